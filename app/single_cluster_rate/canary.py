"""The canary set: fixed questions, asked at start and daily, whose rate is the model's own.

The traffic's single-cluster rate moves with the traffic (method.md section 7). The same questions,
paired with the last run's, move only with the model, its settings and the chance of sampling. Knows
no request. Every process asks for itself: give the setting to one replica.
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ucbd.app.settings import SettingsInvalid
from ucbd.app.single_cluster_rate.all_samples import AllSamples
from ucbd.app.single_cluster_rate.metrics import CanaryMetrics
from ucbd.cascade.case import Question
from ucbd.cascade.diagnosis.comparison import read_baseline
from ucbd.cascade.diagnosis.paired import Paired
from ucbd.cascade.evaluation.records import read_records
from ucbd.models.engine import Engine
from ucbd.models.errors import GatewayError
from ucbd.models.generation import GenerationOptions, Message

log = logging.getLogger(__name__)


class Run(BaseModel):
    """What one run saw: by clusterer with its parameters, by question, whether one cluster.

    A question without all of its samples is not among them.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    samples: int
    single: dict[str, dict[str, bool]]


class Canary:
    """Asks ``questions`` (prompts by id) one at a time in the background.

    ``before`` is the run that the first one is compared with. ``file`` keeps each run for the next
    start; without it that is in memory only.
    """

    def __init__(
        self,
        questions: Mapping[str, str],
        samples: AllSamples,
        engine: Engine,
        *,
        model: str,
        max_tokens: int,
        metrics: CanaryMetrics,
        before: Run | None = None,
        file: Path | None = None,
    ) -> None:
        self._questions = questions
        self._samples = samples
        self._engine = engine
        self._model = model
        self._max_tokens = max_tokens
        self._metrics = metrics
        self._file = file
        self._last = before

    async def run(self, hours: float) -> None:
        """A run now and one every so many hours, until cancelled."""
        while True:
            await self.once()
            await asyncio.sleep(hours * 3600)

    async def once(self) -> Run:
        """Ask every question, tell the rate and its shift from the last run, and keep this one."""
        seen = {ident: await self._ask(prompt) for ident, prompt in self._questions.items()}
        single = {
            str(clusterer): {ident: one[name] for ident, one in seen.items() if name in one}
            for name, clusterer in self._samples.clusterers.items()
        }
        run = Run(model=self._model, samples=self._samples.planned, single=single)
        for name, clusterer in self._samples.clusterers.items():
            now = run.single[str(clusterer)]
            self._metrics.ran(name, list(now.values()), lost=len(seen) - len(now))
            if shift := self._shift(str(clusterer), now):
                self._metrics.shifted(name, shift)
        log.info("the canary set was asked: %d questions", len(seen))
        self._keep(run)
        return run

    async def _ask(self, prompt: str) -> dict[str, bool]:
        """By clusterer, whether it has one cluster; nothing where that is not known."""
        try:
            encoded = await self._engine.encode(prompt)
        except GatewayError as error:
            log.warning("a canary question cannot be asked: %s", error)
            return {}
        question = Question(
            prompt=encoded,
            options=GenerationOptions(self._max_tokens),
            samples=self._samples.planned,
            clusterer="",
            text=prompt,
            conversation=(Message("user", prompt),),
        )
        seen = await self._samples.ask(question)
        return {name: one for name, one in seen.single.items() if isinstance(one, bool)}

    def _shift(self, clusterer: str, now: Mapping[str, bool]) -> Paired | None:
        """None without a last run of as many samples, or without a question in both."""
        if self._last is None or self._last.samples != self._samples.planned:
            return None
        before = self._last.single.get(clusterer, {})
        pairs = [(before[ident], now[ident]) for ident in now if ident in before]
        return paired(pairs) if pairs else None

    def _keep(self, run: Run) -> None:
        self._last = run
        if self._file is None:
            return
        partial = self._file.with_name(self._file.name + ".partial")
        try:
            partial.write_text(run.model_dump_json(), encoding="utf-8")
            os.replace(partial, self._file)
        except OSError as error:
            log.warning("canary_last: %s: %s", self._file, error.strerror)


def paired(pairs: Sequence[tuple[bool, bool]]) -> Paired:
    """Before and after of each question, counted."""
    return Paired(
        n=len(pairs),
        both=sum(before and after for before, after in pairs),
        only_before=sum(before and not after for before, after in pairs),
        only_after=sum(after and not before for before, after in pairs),
    )


def read_questions(path: Path) -> dict[str, str]:
    """Prompts by id, from a question file or the ``report.json`` of a ``ucbd diagnose``.

    Raises ``RecordsUnreadable`` or ``NotComparable``, naming the file and the field.
    """
    if is_diagnosis(path):
        return {question.id: question.prompt for question in read_baseline(path).questions}
    return {record.id: record.prompt for record in read_records(path)}


def is_diagnosis(path: Path) -> bool:
    """Question files are ``.jsonl`` or ``.jsonl.gz``."""
    return path.suffix == ".json"


def diagnosed_run(path: Path) -> Run:
    """What a diagnosis saw, as the run that a first one is compared with."""
    found = read_baseline(path)
    single = {
        by.clusterer[0]: {
            question.id: question.clusters[name].one is True
            for question in found.questions
            if name in question.clusters and question.clusters[name].one is not None
        }
        for name, by in found.homogenization.items()
        if len(by.clusterer) == 1 and found.asked.temperature == 1
    }
    return Run(model=found.model, samples=found.asked.samples, single=single)


def read_run(path: Path) -> Run | None:
    """The run in a file, None where there is none yet. Raises ``SettingsInvalid``."""
    try:
        return Run.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise SettingsInvalid(f"canary_last: {path.parent}: not a folder") from None
        return None
    except OSError as error:
        raise SettingsInvalid(f"canary_last: {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise SettingsInvalid(
            f"canary_last: {path}: no run of a canary set: {field}: {first['msg']}"
        ) from error
