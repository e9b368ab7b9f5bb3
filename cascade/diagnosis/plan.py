"""What a diagnosis will cost, before it begins: requests and tokens, as far as they can be known.

Counts of prompts are estimates (a token is about four letters, or one sign of Chinese, Japanese and
Korean); generated tokens are the most there can be. Knows no server.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ucbd.cascade.diagnosis.asking import Asking
from ucbd.cascade.evaluation.records import Record

_LETTERS = 4
_FRAME = 8  # tokens of a chat template around a message
_WIDE = 0x2E80  # the first sign of the scripts whose signs are about a token each


@dataclass(frozen=True, slots=True)
class Cost:
    """``requests`` where a server gives several answers at once, else ``requests_most``.

    ``read`` are prompt tokens, about; ``generated`` the most there can be.
    """

    answers: int
    requests: int
    requests_most: int
    read: int
    generated: int

    def told(self) -> str:
        """In a sentence."""
        return (
            f"{self.answers:,} answers in {self.requests:,} requests ({self.requests_most:,} where "
            f"the server gives one answer a request): about {self.read:,} tokens to read and at "
            f"most {self.generated:,} to generate"
        )


def cost(questions: Sequence[Record], asking: Asking, also_at: frozenset[str]) -> Cost:
    """What it takes to ask these questions."""
    answers = requests = read = 0
    for question in questions:
        heats = len(asking.temperatures) if question.id in also_at else 0
        calls = 2 + heats
        answers += 1 + asking.samples + heats * asking.fewer
        requests += calls
        read += calls * _tokens(question.prompt)
    return Cost(answers, requests, answers, read, answers * asking.max_tokens)


def _tokens(text: str) -> int:
    wide = sum(ord(sign) >= _WIDE for sign in text)
    return _FRAME + wide + -(-(len(text) - wide) // _LETTERS)
