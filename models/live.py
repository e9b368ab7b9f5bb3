"""An answer told while it is generated: pieces of text, and entropies as soon as they are known.

Keeps what was told and what was not, and asks for entropies in the background, so that no piece of
text waits for one. Knows no engine.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from itertools import takewhile

from ucbd.models.errors import GatewayError
from ucbd.models.generation import Listener, Missing, Piece, TokenEntropies, TokenLogprob

SoFar = Callable[[int], Awaitable[Sequence[float]]]
"""The entropies known now from that position on, in nats."""


class Live:
    """Tells a listener one answer; tells nobody when there is no listener.

    With ``so_far`` it looks for entropies after each piece, one look at a time, and tells them
    with the piece that comes next.
    """

    def __init__(self, listen: Listener | None, so_far: SoFar | None = None) -> None:
        self._listen = listen
        self._so_far = so_far
        self._looking: asyncio.Task[None] | None = None
        self._fresh: list[float] = []  # known and not yet told
        self._characters = self._tokens = self._entropies = 0  # told

    @property
    def places(self) -> tuple[int, int]:
        """How many entropies were told so far, and how many tokens."""
        return self._entropies, self._tokens

    def say(
        self,
        text: str,
        tokens: int,
        entropies: Sequence[float] = (),
        logprobs: Sequence[TokenLogprob] = (),
    ) -> None:
        """The next piece, with the entropies that are known besides those looked for."""
        if self._listen is None:
            return
        piece = Piece(text, tokens, (*self._fresh, *entropies), tuple(logprobs))
        self._fresh = []
        self._characters += len(text)
        self._tokens += tokens
        self._entropies += len(piece.entropies)
        self._listen(piece)
        if self._so_far is not None and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look(self._so_far))

    def finish(
        self,
        text: str,
        tokens: int,
        entropies: TokenEntropies | Missing,
        logprobs: Sequence[TokenLogprob] | None = None,
    ) -> None:
        """The last piece: what the whole answer has beyond what was told."""
        if self._listen is None:
            return
        self.close()
        points = () if isinstance(entropies, Missing) else entropies.points
        rest = (
            text[self._characters :],
            tokens - self._tokens,
            points[self._entropies :],
            (logprobs or ())[self._tokens :],
        )
        self._fresh, self._so_far = [], None
        if any(rest):
            self.say(*rest)

    def close(self) -> None:
        """Look for no more entropies. Safe to call twice."""
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self, so_far: SoFar) -> None:
        try:
            found = await so_far(self._entropies)
        except GatewayError:
            self._so_far = None  # the answer itself will say what is wrong, if anything is
            return
        # A gap cannot be told as a number; the whole of them comes with the answer, or its reason.
        self._fresh = list(takewhile(math.isfinite, found))
