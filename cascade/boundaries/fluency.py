"""B1, fluency: how undecided the model was at the tokens of its own answer. Free.

Uses the token entropies that came with the main answer; calls nothing. It does not know which
token carries the fact, so a wordy answer hides one uncertain name among many certain words. Of a
text that was to be made up it says how free the model was, not whether it was wrong: out of scope.
"""

import math

from ucbd.cascade.case import Case, Finding, Measured, OutOfScope, Unavailable
from ucbd.cascade.outcome import Action
from ucbd.models.generation import Missing


class Fluency:
    """Mean token entropy of the main answer (method.md section 3, B1).

    Score: nats, 0 … ln V, higher = less certain; the mean when exact, its midpoint or its lower
    bound when only top-K log-probabilities are known, each under a signal name of its own.
    Uncertainty: ``1 - exp(-score)``, which is 1 − 1/(effective number of continuations): 0 when
    every token was certain, 0.5 when the model wavered between two everywhere.
    """

    name = "fluency"
    action: Action = "larger_model"

    async def assess(self, case: Case) -> Finding:
        """Read the main answer's entropies; ``Unavailable`` when the engine gave none."""
        summary = case.entropy
        if isinstance(summary, Missing):
            return Unavailable(summary.reason)
        if case.scope.answer:
            return OutOfScope(case.scope.answer, summary.score)
        return Measured(summary.signal, summary.score, -math.expm1(-summary.score))
