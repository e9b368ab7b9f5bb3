"""B4, association: do the things that the answer puts together belong together?

By a triple store of the operator's where it knows them, else by the paper's proxy: how far apart
the names of question and answer are as embeddings. The proxy knows how alike names sound and stand
in text, not what is true of them.
"""

from collections.abc import Sequence
from itertools import combinations

from ucbd.cascade.case import Case, Finding, Measured, OutOfScope, Question, Unavailable
from ucbd.cascade.entities import entities
from ucbd.cascade.outcome import Action
from ucbd.cascade.reasoning import final_answer
from ucbd.models.embedder import Embedder, Vector
from ucbd.models.triples import Triples

_MOST = 16  # names: pairs grow with their square


class Association:
    """Score, 0 … 2, and uncertainty, the same but at most 1; higher = less certain.

    With triples: the share of the question's known names to which no name of the answer is
    related. Without, or where they know none of the question's: the mean pairwise cosine distance
    of all names (method.md section 3, B4), which takes two.
    """

    name = "association"
    action: Action = "human"

    def __init__(self, embedder: Embedder | None, triples: Triples | None = None) -> None:
        self._embedder = embedder
        self._triples = triples

    async def ahead(self, question: Question) -> dict[str, Vector]:
        """The vectors of the question's names."""
        return await self._embedded(entities(question.text)[:_MOST])

    async def assess(self, case: Case) -> Finding:
        """``Unavailable`` below two names, and without triples and an embedder."""
        if case.scope.answer:
            return OutOfScope(case.scope.answer)
        asked = entities(case.question.text)[:_MOST]
        said = [n for n in entities(final_answer(case.answer.text)) if n not in asked][:_MOST]
        if self._triples and said and (known := [n for n in asked if self._triples.knows(n)]):
            score = unrelated(self._triples, known, said)
            about = f"n={len(self._triples)},content={self._triples.digest}"
            return Measured(f"association(triples,{about})", score, score)
        if len(asked) + len(said) < 2:
            return Unavailable("question and answer hold fewer than two names")
        if self._embedder is None:
            return Unavailable("there is no embedder, and no triples that know these names")
        vectors = await case.prepared(self.ahead)
        vectors |= await case.ledger.wait(self._embedded(said))
        score = mean_distance([vectors[name] for name in (*asked, *said)])
        return Measured(f"association({self._embedder.name})", score, min(1.0, max(0.0, score)))

    async def _embedded(self, names: Sequence[str]) -> dict[str, Vector]:
        if self._embedder is None or not names:
            return {}
        return dict(zip(names, await self._embedder.embed(names), strict=True))


def unrelated(triples: Triples, known: Sequence[str], said: Sequence[str]) -> float:
    """The share of ``known`` names that are related to none that were ``said``, 0 … 1."""
    alone = sum(not any(triples.related(one, other) for other in said) for one in known)
    return alone / len(known)


def mean_distance(vectors: Sequence[Vector]) -> float:
    """Mean of 1 − cosine over all pairs of unit vectors, 0 … 2; needs two."""
    distances = [1 - float(one @ other) for one, other in combinations(vectors, 2)]
    return sum(distances) / len(distances)
