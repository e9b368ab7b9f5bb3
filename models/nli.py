"""Natural language inference: what a premise says of a hypothesis, by a cross-encoder.

Loads any sequence classifier of Hugging Face's with the three usual labels, by folder or by name:
``cross-encoder/nli-deberta-v3-{xsmall,base,large}``, ``microsoft/deberta-*-mnli``, or the embedded
``reference-nli``. Fetches nothing, runs no code of a model's own, reads weights as safetensors
only. Torch is imported when the model is loaded, not when this module is. Knows no question and no
cluster.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from ucbd.models.coalesce import Coalescer
from ucbd.models.errors import EngineStartFailed, ModelUnusable
from ucbd.models.model_files import check_model_folder

EMBEDDED_NLI = "reference-nli"
"""Name of the model that comes with the gateway; it knows the embedded models' world only."""

LABELS = ("entailment", "neutral", "contradiction")

_MAX_BATCH = 64  # pairs of one trip to the thread; bounds how long the next caller waits
_PASS_CHARACTERS = 32_000  # in one forward pass, which bounds its memory: 16 pairs of 512 tokens
_PACKAGES = ("torch", "transformers")

Pair = tuple[str, str]
"""Premise and hypothesis."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Probabilities, summing to 1, of what a premise says of a hypothesis."""

    entailment: float
    neutral: float
    contradiction: float


class NliModel(Protocol):
    """Judges pairs of texts. ``name`` is part of the name of every score made with it."""

    name: str

    async def judge(self, pairs: Sequence[Pair]) -> list[Judgement]:
        """One judgement per (premise, hypothesis). Calls in flight together share passes."""
        ...


class CrossEncoder:
    """A sequence classifier with the labels entailment, neutral and contradiction.

    ``model`` is a folder, ``reference-nli``, or a name in the local Hugging Face cache. Runs on the
    CPU in a thread of its own. Equal pairs are scored once, and the last ``cached`` are remembered.
    A pair longer than the model's context loses the beginning of its longer side, where the
    question stands, not the end of an answer.
    """

    def __init__(self, model: str, *, cached: int = 16_384) -> None:
        """Raises ``ModelUnusable`` when a folder cannot be such a model; loads nothing yet."""
        self.name = model
        self._source = source_of(model)
        self._cached = cached
        self._cache: OrderedDict[Pair, Judgement] = OrderedDict()
        self._loaded: _Loaded | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nli")
        self._batches = Coalescer(self._judge_batch, max_items=_MAX_BATCH)

    @staticmethod
    def installed() -> bool:
        """Whether the packages of the ``nli`` extra are there."""
        return all(find_spec(package) for package in _PACKAGES)

    async def load(self) -> None:
        """Load the weights now rather than in the first request. Raises ``ModelUnusable``."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    async def judge(self, pairs: Sequence[Pair]) -> list[Judgement]:
        """See ``NliModel``. Raises ``ModelUnusable`` when the model cannot be loaded."""
        unique = dict.fromkeys(pairs)
        known = {pair: hit for pair in unique if (hit := self._remembered(pair)) is not None}
        asked = [pair for pair in unique if pair not in known]
        known |= zip(asked, await asyncio.gather(*map(self._batches, asked)), strict=True)
        return [known[pair] for pair in pairs]

    async def _judge_batch(self, batch: Sequence[Pair]) -> list[Judgement]:
        """Only one runs at a time, so that a pair asked twice at once is scored once."""
        unique = dict.fromkeys(batch)
        known = {pair: hit for pair in unique if (hit := self._remembered(pair)) is not None}
        asked = [pair for pair in unique if pair not in known]
        if asked:
            loop = asyncio.get_running_loop()
            scored = await loop.run_in_executor(self._thread, self._score, asked)
            known |= zip(asked, scored, strict=True)
        for pair, judgement in known.items():
            self._remember(pair, judgement)
        return [known[pair] for pair in batch]

    def _remembered(self, pair: Pair) -> Judgement | None:
        hit = self._cache.get(pair)
        if hit is not None:
            self._cache.move_to_end(pair)
        return hit

    def _remember(self, pair: Pair, judgement: Judgement) -> None:
        self._cache[pair] = judgement
        self._cache.move_to_end(pair)
        while len(self._cache) > self._cached:
            self._cache.popitem(last=False)

    def _load(self) -> "_Loaded":
        """The model. Runs only in the model's own thread, so two can never load it."""
        if self._loaded is None:
            self._loaded = _load(self.name, self._source)
        return self._loaded

    def _score(self, pairs: Sequence[Pair]) -> list[Judgement]:
        """Judgements of pairs, like lengths together so that little is padding."""
        loaded = self._load()
        found: dict[int, Judgement] = {}
        for rows in passes([sum(map(len, pair)) for pair in pairs]):
            found |= zip(rows, loaded.probabilities([pairs[i] for i in rows]), strict=True)
        return [found[i] for i in range(len(pairs))]


def passes(lengths: Sequence[int]) -> list[list[int]]:
    """Which pairs, of so many characters, go through the model together: the short ones first.

    As many as fit: each row of a pass is filled up to its longest.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    found: list[list[int]] = []
    for i in order:
        if found and (len(found[-1]) + 1) * lengths[i] <= _PASS_CHARACTERS:
            found[-1].append(i)
        else:
            found.append([i])
    return found


class _Loaded:
    """A model in memory, with its tokenizer and the places of its three labels."""

    def __init__(self, model: Any, tokenizer: Any, places: Sequence[int], context: int) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._places = list(places)
        self._context = context

    def probabilities(self, pairs: Sequence[Pair]) -> list[Judgement]:
        """One forward pass."""
        import torch

        encoded = self._tokenizer(
            [premise for premise, _ in pairs],
            [hypothesis for _, hypothesis in pairs],
            padding=True,
            truncation="longest_first",
            max_length=self._context,
            return_tensors="pt",
        )
        with torch.inference_mode():
            logits = self._model(**encoded).logits
        rows = torch.softmax(logits.double(), dim=1)[:, self._places]
        return [Judgement(*row) for row in rows.tolist()]


def source_of(model: str) -> str:
    """What transformers loads: a folder that has been looked at, or a name.

    Raises ``ModelUnusable`` for a folder that holds no whole model or not the three labels.
    """
    embedded = Path(__file__).parent / "reference" / "weights" / EMBEDDED_NLI
    folder = embedded if model == EMBEDDED_NLI else Path(model)
    if not folder.is_dir():
        if folder is embedded or folder.is_absolute() or model.startswith((".", "~")):
            raise ModelUnusable(f"{folder}: no such folder")
        return model
    try:
        check_model_folder(folder)
    except EngineStartFailed as error:
        raise ModelUnusable(str(error)) from error
    config = json.loads((folder / "config.json").read_text("utf-8"))
    label_places(str(folder), config.get("id2label") or {})
    return str(folder)


def label_places(model: str, names: Mapping[Any, str]) -> tuple[int, int, int]:
    """Where a model's outputs for entailment, neutral and contradiction stand.

    ``names`` is ``id2label`` of its configuration. Raises ``ModelUnusable`` when these are not its
    three labels, whatever their case.
    """
    places = {str(name).casefold(): int(place) for place, name in names.items()}
    if len(names) != len(LABELS) or set(places) != set(LABELS):
        found = ", ".join(str(name) for name in names.values()) or "none"
        raise ModelUnusable(
            f"{model}: config.json: id2label: must name {', '.join(LABELS)}, got {found}"
        )
    entailment, neutral, contradiction = (places[label] for label in LABELS)
    return entailment, neutral, contradiction


def _load(name: str, source: str) -> _Loaded:
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # of a second's loading, into every log
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(source, **local)
        places = label_places(name, config.id2label)
        tokenizer = AutoTokenizer.from_pretrained(source, truncation_side="left", **local)
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            source, use_safetensors=True, dtype="float32", output_loading_info=True, **local
        )
    except ModelUnusable:
        raise
    except Exception as error:
        # Whatever a foreign folder makes of three libraries, the reader is told which folder.
        raise ModelUnusable(f"{name}: cannot be loaded: {error}") from error
    if missing := sorted(loading["missing_keys"]):
        # transformers fills these at random and only warns.
        raise ModelUnusable(f"{name}: weights lack {', '.join(missing[:3])}")
    context = min(tokenizer.model_max_length, config.max_position_embeddings)
    return _Loaded(model.eval(), tokenizer, places, context)
