"""The larger tier: a second, bigger model gets the question that the first should not answer.

Once, where `larger_model` would help, and within the request's deadline. What goes wrong there
leaves the first answer and the decision as they were. Nothing is measured on the larger model's.
"""

import asyncio

from ucbd.cascade.case import Question
from ucbd.cascade.ledger import Ledger
from ucbd.cascade.outcome import Escalation
from ucbd.models.engine import Engine
from ucbd.models.errors import GatewayError
from ucbd.models.generation import Generation

DEADLINE = "deadline"


async def escalated(question: Question, larger: Engine, ledger: Ledger) -> Escalation:
    """The larger model's answer to the same conversation under the same options, or why none."""
    start = ledger.clock()
    try:
        async with asyncio.timeout(ledger.remaining()):
            generation = await ledger.wait(_asked(question, larger))
    except TimeoutError:
        return Escalation(None, DEADLINE, None, ledger.clock() - start)
    except GatewayError as error:
        return Escalation(None, str(error), None, ledger.clock() - start)
    ledger.record_larger(generation)
    return Escalation(generation, None, larger.info.id, ledger.clock() - start)


async def _asked(question: Question, larger: Engine) -> Generation:
    asked = question.text if question.raw else question.conversation
    prompt = await larger.encode(asked, raw=question.raw)
    return await larger.generate(prompt, question.options, entropies=False)
