"""One question, asked N times in the background: do all samples fall into one cluster?

What the single-cluster rate is made of, of traffic (shadow) and of a canary set alike: all N
samples at T = 1 (method.md section 7), never fewer. Knows no weight and no counter.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from ucbd.app.single_cluster_rate.metrics import Lost
from ucbd.cascade.boundaries.sampling import sample_options
from ucbd.cascade.case import Question
from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.policy import Policy
from ucbd.cascade.reasoning import final_answer
from ucbd.cascade.scope import scope
from ucbd.models.engine import Engine
from ucbd.models.errors import GatewayError
from ucbd.models.generation import Generation, GenerationOptions

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 120.0  # for all samples of one question, at the engine's low priority


@dataclass(frozen=True, slots=True)
class Seen:
    """What N samples of one question said.

    ``single`` has, by clusterer, whether they fell into one cluster, or why that is not known.
    ``tokens`` were generated for it.
    """

    single: Mapping[str, bool | Lost]
    tokens: int


class AllSamples:
    """Asks questions ``policy.samples`` times each, with its scope, and clusters what is said."""

    def __init__(self, engine: Engine, policy: Policy, clusterers: Mapping[str, Clusterer]) -> None:
        self._engine = engine
        self._policy = policy
        self.clusterers = clusterers

    @property
    def planned(self) -> int:
        """N."""
        return self._policy.samples

    async def ask(self, question: Question) -> Seen:
        """Its samples' clusters. A fault, and time running out, are findings too."""
        spent = _Spent()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                found = await self._found(question, spent)
        except TimeoutError:
            found = "deadline"
        except GatewayError:
            found = "error"
        except Exception:
            # Nobody waits for this, so the count of what is lost and the log are where it shows.
            log.exception("samples in the background failed")
            found = "error"
        single = dict.fromkeys(self.clusterers, found) if isinstance(found, str) else found
        return Seen(single, spent.tokens)

    async def _found(self, question: Question, spent: "_Spent") -> Mapping[str, bool | Lost] | Lost:
        """The first sample stands for the answer: it tells whether samples can be compared."""
        options = replace(question.options, seed=None, background=True)
        asked = replace(question, options=options, samples=self._policy.samples)
        first, *rest = sample_options(asked)
        one = await self._sample(asked, first, spent)
        text = final_answer(one.text)
        if self._policy.scope != "all" and scope(question.text, text, one.tokens).samples:
            return "out_of_scope"
        work = (self._sample(asked, option, spent) for option in rest)
        texts = [text]
        for other in await asyncio.gather(*work, return_exceptions=True):  # waits for all of them
            if isinstance(other, BaseException):
                raise other
            texts.append(final_answer(other.text))
        if not all(texts):
            return "incomplete"
        return {name: await self._single(name, question, texts) for name in self.clusterers}

    async def _sample(
        self, question: Question, options: GenerationOptions, spent: "_Spent"
    ) -> Generation:
        sample = await self._engine.generate(question.prompt, options, entropies=False)
        spent.tokens += sample.tokens
        return sample

    async def _single(self, name: str, question: Question, texts: Sequence[str]) -> bool | Lost:
        clusterer = self.clusterers[name]
        try:
            clustering = await clusterer.cluster(texts[0], texts, question=question.text)
        except GatewayError as error:
            log.warning("samples in the background have no clusters by %s: %s", name, error)
            return "error"
        return len(set(clustering.labels)) == 1


@dataclass(slots=True)
class _Spent:
    """Tokens so far, also of samples whose fellows failed."""

    tokens: int = 0
