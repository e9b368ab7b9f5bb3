"""A recording as an engine: the cascade decides about what was once said as about what is said now.

Speaks the ``Engine`` protocol over one record: the main answer is the recorded one, each sample the
next recorded one. Generates nothing; what was not recorded is ``Missing``.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle

from msgspec.structs import asdict

from ucbd.cascade.answer import answer
from ucbd.cascade.case import Boundary, Question
from ucbd.cascade.evaluation.records import Answer, Record, Sample
from ucbd.cascade.ladder import Rung
from ucbd.cascade.ledger import Ledger
from ucbd.cascade.outcome import Outcome, Stage
from ucbd.cascade.policy import Policy
from ucbd.models.engine import ModelInfo
from ucbd.models.errors import EngineUnavailable
from ucbd.models.generation import (
    EncodedPrompt,
    Generation,
    GenerationOptions,
    Listener,
    Message,
    Missing,
    Piece,
    TokenEntropies,
)
from ucbd.models.top_k import entropy_bounds

CASCADE = "cascade"
"""Name of the cascade's own score."""


async def decided(
    record: Record,
    policy: Policy,
    boundaries: Mapping[str, Boundary],
    clusterer: str,
    *,
    explain: bool = False,
) -> Record:
    """The record with ``decision``, ``stages`` and ``scores.cascade`` as the gateway would decide.

    Stages that the policy would not have reached are skipped, so that costs are the policy's, and
    ``scores.cascade`` is the combined uncertainty when it stopped (0 … 1, higher = less certain;
    null when nothing could rank). ``clusterer`` is used where the policy names none. Recorded
    samples stand for those it would draw, as many as there are. ``explain`` runs every stage and
    stops at nothing: all of them in parallel. Without an answer there is nothing
    to decide, and what an earlier run decided is dropped.
    """
    outcome = await outcome_of(record, policy, boundaries, clusterer, explain=explain)
    stages = [_stage(stage) for stage in outcome.stages] if outcome else None
    found = {
        "decision": outcome.decision if outcome else None,
        "stages": stages,
        "scores": {CASCADE: outcome.uncertainty if outcome else None},
    }
    return Record.model_validate(record.model_dump(exclude_unset=True) | found)


def _stage(stage: Stage) -> dict[str, object]:
    """As in the gateway's response, without the seconds: nothing was generated here."""
    return {key: value for key, value in asdict(stage).items() if key != "seconds"}


async def outcome_of(
    record: Record,
    policy: Policy,
    boundaries: Mapping[str, Boundary],
    clusterer: str,
    *,
    explain: bool = False,
    rung: Rung = "all",
) -> Outcome | None:
    """What the gateway would have made of a recorded answer; None without one. As ``decided``."""
    if record.answer is None:
        return None
    question = Question(
        prompt=EncodedPrompt(()),
        options=GenerationOptions(max_tokens=1),
        samples=min(policy.samples, len(record.samples or ())),
        clusterer=policy.clusterer or clusterer,
        text=record.prompt,
        asked_at=record.asked_at,
        evidence=tuple(record.evidence or ()),
        conversation=(Message("user", record.prompt),),
        explain=explain,
    )
    engine = RecordedEngine(record, record.answer)
    return await answer(
        question,
        policy=policy,
        boundaries=boundaries,
        engine=engine,
        ledger=Ledger(),
        rung=rung,
    )


def recorded_entropies(recorded: Answer, vocab_size: int | None) -> TokenEntropies | Missing:
    """An answer's own token entropies, else bounds from its top log-probabilities, in nats."""
    if recorded.token_entropies:
        exact = tuple(recorded.token_entropies)
        return TokenEntropies(lower=exact, upper=exact, exact=True)
    if recorded.top_logprobs:
        k = max(len(token) for token in recorded.top_logprobs)
        return entropy_bounds(recorded.top_logprobs, k, vocab_size)
    return Missing("the record has neither token entropies nor top log-probabilities")


class RecordedEngine:
    """Speaks ``Engine``: says again what a record holds."""

    def __init__(self, record: Record, main: Answer) -> None:
        self._record = record
        self._main = main
        self._samples = cycle(record.samples or ())

    @property
    def info(self) -> ModelInfo:
        """See ``Engine``; sizes that nobody recorded are 0."""
        record = self._record
        sizes = (0, record.vocab_size or 0)
        return ModelInfo(record.model or "recorded", record.model_revision or "", *sizes, "bounds")

    async def encode(self, prompt: str | Sequence[Message], *, raw: bool = False) -> EncodedPrompt:
        """Nothing is read again: a prompt without tokens."""
        return EncodedPrompt(())

    async def generate(
        self,
        prompt: EncodedPrompt,
        options: GenerationOptions,
        *,
        entropies: bool,
        listen: Listener | None = None,
    ) -> Generation:
        """The recorded answer when entropies are wanted, else the next recorded sample.

        A listener is told it in one piece.
        """
        generation = self._main_answer() if entropies else self._sample()
        if listen is not None:
            known = generation.entropies
            points = () if isinstance(known, Missing) else known.points
            listen(Piece(generation.text, generation.tokens, points))
        return generation

    def _main_answer(self) -> Generation:
        measured = recorded_entropies(self._main, self._record.vocab_size)
        return _generation(self._main, measured)

    def _sample(self) -> Generation:
        sample = next(self._samples, None)
        if sample is None:
            raise EngineUnavailable("the record has no samples")
        return _generation(sample, Missing("not asked for"))

    async def next_token(self, prompt: EncodedPrompt, top: int) -> Mapping[str, float]:
        """True and False as the record's P(True) has them, the only next tokens it can hold.

        Raises ``EngineUnavailable`` without one.
        """
        believed = self._main.p_true
        if believed is None:
            raise EngineUnavailable("the record has no P(True)")
        shares = {"True": believed, "False": 1 - believed}
        return {word: math.log(share) for word, share in shares.items() if share}

    async def alive(self) -> bool:
        """A recording always answers."""
        return True

    async def close(self) -> None:
        """Nothing to free."""


def generated_tokens(said: Answer | Sample) -> int | None:
    """How many tokens were generated, however the record tells; None when it does not."""
    if said.tokens is not None:
        return said.tokens
    per_token: list[Sequence[object] | None] = [said.token_logprobs]
    if isinstance(said, Answer):
        per_token += [said.token_entropies, said.top_logprobs]
    return next((len(values) for values in per_token if values), None)


def _generation(said: Answer | Sample, entropies: TokenEntropies | Missing) -> Generation:
    tokens = generated_tokens(said)
    return Generation(
        text=said.text,
        tokens=len(said.text.split()) if tokens is None else tokens,
        finish_reason="stop",
        entropies=entropies,
        prompt_tokens=0,
        cached_prompt_tokens=0,
    )
