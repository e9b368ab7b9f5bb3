"""Self-assessment: the model is shown its own answer and asked whether it is true.

One short call whose prompt is the conversation as served plus one turn, so that an engine with a
prefix cache reads little more than the question about the question. Models lean towards yes:
P(True) ranks answers of one model, and is no probability of being right; a model that was never
taught to judge itself may rank nothing by it.
"""

import math
from collections.abc import Mapping, Sequence

from ucbd.cascade.case import Case, Finding, Measured, OutOfScope, Unavailable
from ucbd.cascade.outcome import Action
from ucbd.cascade.reasoning import final_answer
from ucbd.models.engine import Engine
from ucbd.models.generation import Message, Missing

JUDGEMENT = "Is this answer true? True or False?"
"""The appended turn."""

TOP_K = 20
"""How many next tokens are looked at for the two words."""


class SelfAssessment:
    """1 − P(True) of the answer (method.md section 3, self-assessment).

    Score and uncertainty are the same, 0 … 1, higher = less certain.
    """

    name = "self_assessment"
    action: Action = "larger_model"

    async def assess(self, case: Case) -> Finding:
        """``Unavailable`` without turns to go on from, or without either word in reach."""
        conversation = case.question.conversation
        if not conversation:
            return Unavailable("there is no conversation to ask the model in")
        if case.scope.answer:
            return OutOfScope(case.scope.answer)
        answer = final_answer(case.answer.text)
        believed = await case.ledger.wait(p_true(case.engine, conversation, answer))
        case.ledger.record_judgement()
        if isinstance(believed, Missing):
            return Unavailable(believed.reason)
        return Measured("p_true", 1 - believed, 1 - believed)


async def p_true(engine: Engine, conversation: Sequence[Message], answer: str) -> float | Missing:
    """P(True) of an answer: ``p_T / (p_T + p_F)``, 0 … 1, higher = MORE certain.

    Kadavath et al. 2022; method.md section 3. Case and space variants of the two words count
    together. ``Missing`` when neither is among the ``TOP_K`` likeliest next tokens. Raises the
    engine's errors.
    """
    asked = [*conversation, Message("assistant", answer), Message("user", JUDGEMENT)]
    return from_next_token(await engine.next_token(await engine.encode(asked), TOP_K))


def from_next_token(logprobs: Mapping[str, float]) -> float | Missing:
    """P(True) from the log-probabilities of the likeliest next tokens, by their text."""
    true, false = _mass(logprobs, "true"), _mass(logprobs, "false")
    if true + false == 0:
        return Missing(f"neither True nor False is among the {len(logprobs)} likeliest tokens")
    return true / (true + false)


def _mass(logprobs: Mapping[str, float], word: str) -> float:
    return math.fsum(
        math.exp(value) for token, value in logprobs.items() if token.strip().casefold() == word
    )
