"""The pointer: would an answer like this one be wrong? Free, where it was fitted.

Reads the answer's entropies and the words of question and answer; calls nothing. It has learned
which of a model's answers were wrong and nothing about the world: what its model always gets wrong
in the same words as what it gets right, it cannot tell.
"""

from ucbd.cascade.case import Case, Finding, Measured, OutOfScope, Unavailable
from ucbd.cascade.outcome import Action
from ucbd.cascade.pointer import PointerModel, features
from ucbd.cascade.reasoning import final_answer
from ucbd.models.generation import Missing


class Pointer:
    """P(wrong) by logistic regression over 20 free features (method.md section 3, pointer).

    Score and uncertainty: a probability, 0 … 1, higher = less certain.
    """

    name = "pointer"
    action: Action = "larger_model"

    def __init__(self, model: PointerModel | None) -> None:
        self._model = model
        self._signal = ""
        if model is not None:
            self._signal = f"pointer({model.model},n={model.questions},content={model.digest})"

    async def assess(self, case: Case) -> Finding:
        """``Unavailable`` where no pointer was fitted, and without exact, raw token entropies."""
        if self._model is None:
            return Unavailable("no pointer is fitted to this model")
        entropies = case.answer.entropies
        if isinstance(entropies, Missing):
            return Unavailable(entropies.reason)
        if entropies.constrained:
            return Unavailable("the pointer has not seen answers that a grammar constrains")
        found = features(case.question.text, final_answer(case.answer.text), entropies)
        if isinstance(found, Missing):
            return Unavailable(found.reason)
        score = self._model.wrong_probability(found)
        if case.scope.answer:
            return OutOfScope(case.scope.answer, score)
        return Measured(self._signal, score, score)
