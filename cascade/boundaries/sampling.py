"""Sampling: draw the answer again N times and see how many different things the model says.

The dearest of today's stages (N generations, batched over one shared prefix). It cannot rank a
question on which all samples agree: that is the homogenized stratum, ``uninformative`` and not
certainty (method.md section 1).
"""

import asyncio
import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from msgspec.structs import replace

from ucbd.cascade.case import (
    Case,
    Finding,
    Measured,
    OutOfScope,
    Question,
    Skipped,
    StopRule,
    Unavailable,
    Uninformative,
    of_fewer,
)
from ucbd.cascade.clustering.clusterer import Clusterer, Clustering
from ucbd.cascade.entropy import discrete_semantic_entropy
from ucbd.cascade.outcome import Action, Cluster, SampleSet
from ucbd.cascade.reasoning import final_answer
from ucbd.cascade.stopping import LARGEST, Drawn, Foresight, Outlook
from ucbd.models.errors import GatewayError
from ucbd.models.generation import Generation, GenerationOptions

POINTLESS = "no samples would change the decision"
_FIRST_ROUND = 3
_NEXT_ROUND = 2
_SEED_STEP = 0x9E3779B97F4A7C15  # odd, so i -> base + i*step (mod 2^63) never repeats


class Sampling:
    """Discrete semantic entropy of N samples at T = 1 (method.md section 3, sampling).

    Where the policy allows, a few are drawn at a time, and no more once the rest would hardly
    change the decision; the score is then the entropy that all N are expected to have.

    Score: nats, 0 … ln N, higher = less certain. Uncertainty: ``1 - answer_support``, the share of
    samples that do not say what the served answer says.
    """

    name = "sampling"
    action: Action = "retrieve"

    def __init__(self, clusterers: Mapping[str, Clusterer]) -> None:
        self._clusterers = clusterers

    async def assess(self, case: Case) -> Finding:
        """Draw, cluster and score; ``Unavailable`` below 2 usable samples."""
        planned = case.question.samples
        if planned == 0:
            return Skipped("forbidden")
        if planned < 2:
            return Skipped("one sample cannot disagree with itself; allow at least 2")
        if case.scope.samples:
            return OutOfScope(case.scope.samples)
        stop = _early_stop(case)
        if stop and stop.pointless():
            return Skipped(POINTLESS)
        options = sample_options(case.question)
        texts: list[str] = []
        error: GatewayError | None = None
        for start, end in _rounds(planned, early=stop is not None):
            got = await case.ledger.wait(_draw(case, options[start:end]))
            texts += got.texts
            error = got.error or error
            if stop and len(texts) == end < planned:
                finding = stop.finding(await self._clustered(case, texts))
                if finding is not None:
                    return finding
        if len(texts) < 2:
            why = f": {error}" if error else ""
            return Unavailable(f"{len(texts)} of {planned} samples usable{why}")
        samples = await self._clustered(case, texts)
        return judge(samples.state, samples)

    async def _clustered(self, case: Case, texts: Sequence[str]) -> SampleSet:
        clusterer = self._clusterers[case.question.clusterer]
        answer = final_answer(case.answer.text)
        clustering = await case.ledger.wait(
            clusterer.cluster(answer, texts, question=case.question.text)
        )
        return sample_set(case.question.samples, texts, clustering, str(clusterer))


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The final answers that came back, and the last error of those that did not."""

    texts: list[str]
    error: GatewayError | None


async def _draw(case: Case, some: Sequence[GenerationOptions]) -> _Drawn:
    """Samples at once, so that the engine batches them; failed ones are left out."""
    results = await asyncio.gather(
        *(case.engine.generate(case.question.prompt, one, entropies=False) for one in some),
        return_exceptions=True,
    )
    texts, error = [], None
    for result in results:
        if isinstance(result, Generation):
            case.ledger.record_sample(result)
            texts.append(final_answer(result.text))
        elif isinstance(result, GatewayError):
            error = result
        else:
            raise result
    return _Drawn([text for text in texts if text], error)


class _EarlyStop:
    """Ends the drawing once more samples would hardly change the decision."""

    def __init__(self, planned: int, rule: StopRule) -> None:
        self._rule = rule
        self._foresight = Foresight(planned, lambda state: rule.decides(_finding(state)))

    def pointless(self) -> bool:
        """Whether no samples would change the decision, as far as that is known before the first.

        What the answer itself says counts as one draw, so that agreement with it is likelier.
        """
        return self._foresight.outlook(Drawn(0, ())).settled(self._rule.error)

    def finding(self, samples: SampleSet) -> Finding | None:
        """What is found without drawing on; None when that has to be."""
        outlook = self._foresight.outlook(samples.state)
        if not outlook.settled(self._rule.error):
            return None
        found = _foreseen(samples, outlook)
        return found if self._rule.decides(found) == outlook.likeliest else None


def _foreseen(samples: SampleSet, outlook: Outlook) -> Measured | Uninformative:
    """The finding of samples that were not all drawn: by what all of them are expected to say."""
    samples = replace(samples, settled=True)
    if len(samples.clusters) == 1 and samples.answer_support > 0:
        reason = (
            f"the first {samples.drawn} samples say the same, right or wrong, and the other "
            f"{samples.planned - samples.drawn} would hardly change the decision"
        )
        return Uninformative(_signal(samples), samples.semantic_entropy, reason, samples)
    return Measured(
        signal=_signal(samples),
        score=outlook.semantic_entropy,
        uncertainty=1 - outlook.support,
        samples=samples,
        drawn=samples.drawn,
    )


def _early_stop(case: Case) -> _EarlyStop | None:
    planned = case.question.samples
    return _EarlyStop(planned, case.stop) if case.stop and planned <= LARGEST else None


def _rounds(planned: int, *, early: bool) -> Iterator[tuple[int, int]]:
    """Which samples are drawn together: all, or a few at a time where it may stop early."""
    end = min(_FIRST_ROUND, planned) if early else planned
    yield 0, end
    while end < planned:
        start, end = end, min(end + _NEXT_ROUND, planned)
        yield start, end


@lru_cache(256)
def sequences(planned: int, *, early: bool) -> int:
    """Sequences that a request holds in the engine on average, all of its samples being drawn.

    Its answer alone at first, then each round's samples together: (1 + N) ÷ (1 + rounds), rounded
    up. ``early`` as where sampling may stop before the last.
    """
    rounds = len(list(_rounds(planned, early=early and planned <= LARGEST))) if planned else 0
    return math.ceil((1 + planned) / (1 + rounds))


def sample_options(question: Question) -> list[GenerationOptions]:
    """How each sample is drawn: T = 1 and the whole distribution, a seed of its own each.

    Everything else (``stop``, ``max_tokens``, a schema) is the main answer's.
    """
    seeds = sample_seeds(question.options.seed, question.samples)
    drawn = replace(question.options, temperature=1.0, top_p=1.0, logprobs=None)
    return [replace(drawn, seed=seed) for seed in seeds]


def sample_seeds(seed: int | None, n: int) -> list[int | None]:
    """``n`` different 63-bit seeds derived from the request's; all None without one."""
    if seed is None:
        return [None] * n
    base = int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest())
    return [(base + i * _SEED_STEP) % 2**63 for i in range(n)]


def sample_set(
    planned: int, texts: Sequence[str], clustering: Clustering, clusterer: str
) -> SampleSet:
    """Clusters of the sampled texts, largest first, and the answer's support among them."""
    members: dict[int, list[str]] = {}
    for label, text in zip(clustering.labels, texts, strict=True):
        members.setdefault(label, []).append(text)
    clusters = tuple(
        Cluster(len(group), Counter(group).most_common(1)[0][0])
        for group in sorted(members.values(), key=len, reverse=True)
    )
    own = clustering.labels.count(clustering.answer) if clustering.answer is not None else 0
    return SampleSet(
        planned=planned,
        clusters=clusters,
        answer_support=own / len(texts),
        semantic_entropy=discrete_semantic_entropy([cluster.size for cluster in clusters]),
        clusterer=clusterer,
    )


def judge(state: Drawn, samples: SampleSet | None) -> Measured | Uninformative:
    """One cluster cannot rank, unless the served answer is outside it: then the stage fires.

    ``samples`` is what was drawn; None for samples that might be. Where some of them were lost,
    signal and reason say how many there are.
    """
    signal = _signal(samples) if samples else ""
    entropy = discrete_semantic_entropy(state.sizes)
    own = state.own or 0
    one = len(state.sizes) == 1
    which = f"all {state.samples} samples"
    if samples and samples.lost:
        which = f"the {samples.drawn} usable of {samples.planned} samples"
    if one and own:
        reason = f"{which} say the same, right or wrong: sampling cannot rank here"
        return Uninformative(signal, entropy, reason, samples)
    alarm = None
    if one:
        alarm = f"{which} agree with each other and not with the answer"
    return Measured(signal, entropy, 1 - own / state.samples, alarm, samples)


@lru_cache(4096)
def _finding(state: Drawn) -> Measured | Uninformative:
    """What samples would be found to be that might be drawn; asked for again and again."""
    return judge(state, None)


def _signal(samples: SampleSet) -> str:
    signal = f"semantic_entropy({samples.clusterer},n={samples.planned})"
    return of_fewer(signal, samples.drawn) if samples.lost else signal
