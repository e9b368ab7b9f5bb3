"""Sampling: draw the answer again N times and see how many different things the model says.

The dearest of today's stages (N generations, batched over one shared prefix). It cannot rank a
question on which all samples agree: that is the homogenized stratum, ``uninformative`` and not
certainty (method.md section 1).
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ucbd.cascade.case import Case, Finding, Measured, Question, Skipped, Unavailable, Uninformative
from ucbd.cascade.clustering.clusterer import Clusterer, Clustering
from ucbd.cascade.entropy import discrete_semantic_entropy
from ucbd.cascade.outcome import Action, Cluster, SampleSet
from ucbd.cascade.reasoning import final_answer
from ucbd.models.errors import GatewayError
from ucbd.models.generation import Generation, GenerationOptions

_SEED_STEP = 0x9E3779B97F4A7C15  # odd, so i -> base + i*step (mod 2^63) never repeats


class Sampling:
    """Discrete semantic entropy of N samples at T = 1 (method.md section 3, sampling).

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
        drawn = await case.ledger.wait(self._draw(case))
        for generation in drawn.generations:
            case.ledger.record_sample(generation)
        texts = [text for g in drawn.generations if (text := final_answer(g.text))]
        if len(texts) < 2:
            why = f": {drawn.error}" if drawn.error else ""
            return Unavailable(f"{len(texts)} of {planned} samples usable{why}")
        clusterer = self._clusterers[case.question.clusterer]
        answer = final_answer(case.answer.text)
        clustering = await case.ledger.wait(
            clusterer.cluster(answer, texts, question=case.question.text)
        )
        return judge(sample_set(planned, texts, clustering, str(clusterer)))

    async def _draw(self, case: Case) -> "_Drawn":
        """All samples at once, so that the engine batches them; failed ones are left out."""
        results = await asyncio.gather(
            *(
                case.engine.generate(case.question.prompt, options, entropies=False)
                for options in sample_options(case.question)
            ),
            return_exceptions=True,
        )
        generations, error = [], None
        for result in results:
            if isinstance(result, Generation):
                generations.append(result)
            elif isinstance(result, GatewayError):
                error = result
            else:
                raise result
        return _Drawn(generations, error)


class _Drawn:
    """The samples that came back, and the last error of those that did not."""

    def __init__(self, generations: list[Generation], error: GatewayError | None) -> None:
        self.generations = generations
        self.error = error


def sample_options(question: Question) -> list[GenerationOptions]:
    """How each sample is drawn: T = 1 and the whole distribution, a seed of its own each.

    Everything else (``stop``, ``max_tokens``) is the main answer's.
    """
    seeds = sample_seeds(question.options.seed, question.samples)
    return [replace(question.options, temperature=1.0, top_p=1.0, seed=seed) for seed in seeds]


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


def judge(samples: SampleSet) -> Measured | Uninformative:
    """One cluster cannot rank, unless the served answer is outside it: then the stage fires."""
    signal = f"semantic_entropy({samples.clusterer},n={samples.planned})"
    if len(samples.clusters) == 1 and samples.answer_support > 0:
        return Uninformative(
            signal,
            samples.semantic_entropy,
            f"all {samples.drawn} samples say the same, right or wrong: sampling cannot rank here",
            samples,
        )
    alarm = None
    if len(samples.clusters) == 1:
        alarm = f"all {samples.drawn} samples agree with each other and not with the answer"
    return Measured(signal, samples.semantic_entropy, 1 - samples.answer_support, alarm, samples)
