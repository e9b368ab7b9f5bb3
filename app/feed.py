"""What is told of an answer while a client reads it.

Between an engine that never waits and a client that may: whatever has come since the client's last
read goes out together. Holds no more than the answers' own lengths. Knows no wire format.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from ucbd.cascade.running import RunningEntropy
from ucbd.models.generation import Listener, Piece, TokenLogprob

StreamMode = Literal["tokens", "commit"]
"""Of a stream: text as it comes, or none before the decision."""


@dataclass(frozen=True, slots=True)
class Told:
    """A part of one of the answers: of the first, which is judged, or of a further choice.

    ``tokens`` were generated for it since the part before; ``logprobs`` are those of the part's own
    tokens, where they were asked for.
    ``entropy`` is the running mean over the answer's tokens in nats, higher = less certain, None
    before any is known; ``entropies`` are those of single tokens that became known with this part.
    """

    choice: int
    text: str
    entropy: float | None = None
    entropies: tuple[float, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    tokens: int | None = None


class Feed:
    """Parts of the answers to one request, in the order they came."""

    def __init__(self) -> None:
        self.begun: set[int] = set()
        self._parts: list[Told] = []
        self._running: defaultdict[int, RunningEntropy] = defaultdict(RunningEntropy)
        self._news = asyncio.Event()
        self._closed = False

    def listener(self, choice: int) -> Listener:
        """For the engine that generates that choice."""

        silent = 0  # tokens of which nothing could be told yet

        def tell(piece: Piece) -> None:
            nonlocal silent
            entropy = self._running[choice].add(piece)
            if piece.text or piece.entropies or piece.logprobs:
                self.begun.add(choice)
                tokens, silent = silent + piece.tokens, 0
                told = Told(choice, piece.text, entropy, piece.entropies, piece.logprobs, tokens)
                self._parts.append(told)
                self._news.set()
            else:
                silent += piece.tokens

        return tell

    def close(self, _: object = None) -> None:
        """Nothing more will come."""
        self._closed = True
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[list[Told]]:
        """Everything new at a time, until it is closed."""
        while self._parts or not self._closed:
            await self._news.wait()
            self._news.clear()
            parts, self._parts = self._parts, []
            if parts:
                yield parts
