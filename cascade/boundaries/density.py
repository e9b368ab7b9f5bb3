"""B2, density: is the question like those that the model is known to serve well?

One embedding and a search, both while the answer is being generated. It does not know what the
model knows: a question of a kind that is common in the index may be unanswerable, a rare one easy.
"""

import asyncio

from ucbd.cascade.case import Case, Finding, Measured, OutOfScope, Question, Unavailable
from ucbd.cascade.outcome import Action
from ucbd.models.embedder import Embedder
from ucbd.models.neighbours import IndexUnusable, Neighbours

NEAREST = 10
"""k of method.md section 3, B2."""


class Density:
    """1 − ρ, ρ the mean cosine of the question with its k nearest in a reference index.

    Score: 0 … 2; uncertainty: the same, at most 1. Higher = less certain.
    """

    name = "density"
    action: Action = "retrieve"

    def __init__(self, embedder: Embedder | None, index: Neighbours | None) -> None:
        """Raises ``IndexUnusable`` for an index that another embedder made."""
        self._embedder = embedder
        self._index = index
        if embedder and index and index.about.embedder != embedder.name:
            raise IndexUnusable(
                f"the reference index was made with {index.about.embedder!r}, "
                f"questions are embedded with {embedder.name!r}: make it anew by ucbd index"
            )

    async def ahead(self, question: Question) -> float | None:
        """ρ, −1 … 1, higher = MORE certain; None without a question or an index."""
        if not question.text.strip() or self._embedder is None or self._index is None:
            return None
        [vector] = await self._embedder.embed([question.text])
        nearest = await asyncio.to_thread(self._index.cosines, vector, NEAREST)
        return float(nearest.mean())

    async def assess(self, case: Case) -> Finding:
        """``Unavailable`` without an index."""
        if self._embedder is None or self._index is None:
            return Unavailable("no reference index is set")
        density = await case.prepared(self.ahead)
        if density is None:
            return Unavailable("there is no question in words")
        score = 1 - density
        if case.scope.answer:
            return OutOfScope(case.scope.answer, score)
        about = self._index.about
        which = f"n={about.entries},content={self._index.digest}"
        signal = f"density({about.embedder},k={NEAREST},{which})"
        return Measured(signal, score, min(1.0, max(0.0, score)))
