"""One served model, asked and reported on: what ``ucbd diagnose`` does once a server.

Keeps every answer in ``DIR/asked.jsonl`` as it comes. Knows files and the order of things; computes
no number and decides nothing.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ucbd.app.files import replace_file
from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.diagnosis.asking import SAID, Asking, Failure, ask_each
from ucbd.cascade.diagnosis.course import Course, read_course
from ucbd.cascade.diagnosis.notes import notes
from ucbd.cascade.diagnosis.pace import Pace
from ucbd.cascade.diagnosis.page import page
from ucbd.cascade.diagnosis.questions import every, fingerprint
from ucbd.cascade.diagnosis.summary import Diagnosed, Json, summary
from ucbd.cascade.evaluation.progress import add, begin
from ucbd.cascade.evaluation.records import Record, labelled, write_records
from ucbd.cascade.evaluation.score import ScoredRecord, score
from ucbd.models.errors import GatewayError, InvalidRequest
from ucbd.models.upstream.client import UpstreamClient
from ucbd.models.upstream.respondent import Respondent

ASKED, COURSE = "asked.jsonl", "course.json"
_DECIMALS = 3  # of seconds
_SCORED_AT_ONCE = 256  # records; their texts share the embedder's forward passes


@dataclass(frozen=True, slots=True)
class Server:
    """Where a model is served, under which name (None: the only one there), and with which key."""

    url: str
    model: str | None
    key: str | None


@dataclass(frozen=True, slots=True)
class Terms:
    """What is the same for every server: the questions, how they are asked, how they are judged."""

    questions: Sequence[Record]
    source: str
    asking: Asking
    at_once: int
    clusterers: Mapping[str, Clusterer]
    default: str
    absent: Mapping[str, str]
    vocab_size: int | None

    @property
    def also_at(self) -> frozenset[str]:
        """Ids of the questions that are asked at other temperatures too."""
        if not self.asking.temperatures:
            return frozenset()
        return every(self.questions, self.asking.every)


@dataclass(frozen=True, slots=True)
class Interview:
    """A report, the scored records behind it, and why it is not whole, when it is not."""

    report: Json
    records: Sequence[ScoredRecord]
    stopped: str | None


async def served_name(server: Server) -> str:
    """The name of the model to ask. Raises ``InvalidRequest`` where it must be said which."""
    client = UpstreamClient(server.url, key=server.key)
    try:
        names = [one.id for one in await client.models()]
    except GatewayError:
        if server.model is None:
            raise
        return server.model  # some servers list nothing; asking will tell
    finally:
        await client.close()
    if server.model is None:
        if len(names) != 1:
            known = ", ".join(names) or "none"
            raise InvalidRequest("model", f"{server.url} serves {known}: say which by --model NAME")
        return names[0]
    if names and server.model not in names:
        raise InvalidRequest(
            "model", f"{server.url} does not serve {server.model!r}; it serves {', '.join(names)}"
        )
    return server.model


def interview(server: Server, model: str, terms: Terms, out: Path) -> Interview:
    """Ask what has not been asked yet, score, and write what there is.

    A stop on the way (an interruption, a server that is gone) is told, not raised, once there is
    something to report on. Raises ``OtherEvaluation`` for a folder of another diagnosis, and what
    stopped it before there was anything.
    """
    plan = _plan(server, model, terms)
    asked = begin(out / ASKED, plan)
    left = [question for question in terms.questions if question.id not in asked]
    if asked:
        print(f"{out}: {len(asked)} of {len(terms.questions)} were answered before; going on")
    course = read_course(out / COURSE) or Course()
    if left:
        course = _asked(server, model, terms, left, out).after(course)
        replace_file(out / COURSE, course.model_dump_json(indent=1) + "\n")
        asked = begin(out / ASKED, plan)
    answers = [_of(one, asked[one.id]) for one in terms.questions if one.id in asked]
    if not answers:
        raise GatewayError(
            course.stopped or f"none of {len(terms.questions)} questions was answered"
        )
    found = asyncio.run(_scored(answers, terms))
    report = summary(found, _about(server, model, terms, course))
    report["notes"] = notes(
        found.records, report["answers"], course, len(terms.questions), terms.absent
    )
    write_records(out / "records.jsonl", found.records)
    write(out, report)
    return Interview(report, found.records, course.stopped)


def write(out: Path, report: Json) -> None:
    """``report.html`` and ``report.json``."""
    replace_file(out / "report.html", page(report))
    replace_file(out / "report.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")


def _asked(server: Server, model: str, terms: Terms, left: Sequence[Record], out: Path) -> Course:
    """Ask; what stopped it is in the course. Raises ``InvalidRequest``: nothing else will help."""
    begun = time.monotonic()
    pace = Pace(terms.at_once)
    respondent = Respondent(UpstreamClient(server.url, key=server.key), model, pace)
    failures: list[Failure] = []
    stopped = None
    try:
        asyncio.run(_ask(respondent, terms, left, out, failures))
    except KeyboardInterrupt:
        stopped = "interrupted"
    except InvalidRequest:
        raise
    except GatewayError as error:
        stopped = str(error)
    dialect = respondent.dialect
    return Course(
        refused=dict(dialect.refused),
        top_logprobs=dialect.top_logprobs,
        most=dialect.most,
        failures=failures,
        events=dict(pace.events),
        waited=pace.waited,
        fingerprints=sorted(respondent.fingerprints),
        stopped=stopped,
        seconds=round(time.monotonic() - begun, _DECIMALS),
        **asdict(respondent.spent),
    )


async def _ask(
    respondent: Respondent,
    terms: Terms,
    left: Sequence[Record],
    out: Path,
    failures: list[Failure],
) -> None:
    bar = tqdm(total=len(left), desc=f"asked {respondent.model}", unit="question", disable=None)
    try:
        with (out / ASKED).open("a", encoding="utf-8") as file, bar:

            def answered(record: Record) -> None:
                add(file, record)
                bar.update()

            await respondent.learn(terms.asking.samples, terms.asking.max_tokens)
            await ask_each(
                left,
                respondent,
                terms.asking,
                terms.also_at,
                at_once=terms.at_once,
                answered=answered,
                failed=failures.append,
            )
    finally:
        await respondent.close()


async def _scored(answers: Sequence[Record], terms: Terms) -> Diagnosed:
    """Every answer labelled where a reference tells, and scored, at every temperature."""
    heats = (*terms.asking.temperatures, 1.0) if terms.also_at else ()
    heated = {
        heat: [
            one
            for record in answers
            if (one := _heated(record, heat, terms.asking.fewer)) is not None
        ]
        for heat in heats
    }
    whole = [*answers, *(record for some in heated.values() for record in some)]
    found: list[ScoredRecord] = []
    with tqdm(total=len(whole), desc="scored", unit="record", disable=None) as bar:
        for start in range(0, len(whole), _SCORED_AT_ONCE):
            some = whole[start : start + _SCORED_AT_ONCE]
            found += await asyncio.gather(*(_score(record, terms) for record in some))
            bar.update(len(some))
    rest = iter(found)
    return Diagnosed(
        records=list(islice(rest, len(answers))),
        heated={heat: list(islice(rest, len(some))) for heat, some in heated.items()},
        default=terms.default,
        samples=terms.asking.samples,
        planned=len(terms.questions),
    )


async def _score(record: Record, terms: Terms) -> ScoredRecord:
    if terms.vocab_size:
        record = record.model_copy(update={"vocab_size": terms.vocab_size})
    return await score(labelled(record), terms.clusterers, terms.default)


def _of(question: Record, answered: Record) -> Record:
    """What was answered, of the question as it stands now: references and kinds may be mended."""
    given = question.model_dump(exclude_unset=True, exclude={"correct", "answer", "samples"})
    dump = answered.model_dump(exclude_unset=True)
    return Record.model_validate(given | {key: dump[key] for key in SAID if key in dump})


def _heated(record: Record, temperature: float, fewer: int) -> Record | None:
    """The record with its few samples of a temperature, None where it has none.

    Of the usual temperature the first few: the same number, so that the rates can be compared.
    """
    drawn = (record.model_extra or {}).get("at_temperature") or {}
    if not drawn:
        return None
    if temperature == 1.0:
        return record.model_copy(update={"samples": (record.samples or [])[:fewer]})
    samples = drawn.get(f"{temperature:g}")
    if samples is None:
        return None
    return Record.model_validate(record.model_dump(exclude_unset=True) | {"samples": samples})


def _about(server: Server, model: str, terms: Terms, course: Course) -> dict[str, Any]:
    """The head of the report: whose answers, how they were got, what they cost."""
    asking = terms.asking
    return {
        "model": model,
        "server": server.url,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "complete": course.stopped is None,
        "source": terms.source,
        "fingerprint": fingerprint(terms.questions),
        "asked": {
            "samples": asking.samples,
            "temperature": 1.0,
            "top_p": 1.0,
            "max_tokens": asking.max_tokens,
            "temperatures": list(asking.temperatures),
            "fewer": asking.fewer,
            "top_logprobs": course.top_logprobs,
            "most_at_once": course.most,
            "refused": dict(course.refused),
            "vocab_size": terms.vocab_size,
        },
        "failures": [asdict(failure) for failure in course.failures],
        "system_fingerprints": course.fingerprints,
        "spent": {
            "requests": course.requests,
            "prompt_tokens": course.prompt_tokens if course.counted else None,
            "completion_tokens": course.completion_tokens if course.counted else None,
            "tokens_missing": None if course.counted else "not counted by the server",
            "uncounted_requests": course.uncounted,
            "seconds": course.seconds,
            "waited_seconds": course.waited,
        },
    }


def _plan(server: Server, model: str, terms: Terms) -> dict[str, object]:
    """What decides the answers; a diagnosis goes on only as the same one."""
    return {
        "diagnosis": 1,
        "server": server.url,
        "model": model,
        "questions": fingerprint(terms.questions),
        "asked": asdict(terms.asking),
    }
