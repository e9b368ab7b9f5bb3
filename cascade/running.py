"""The running entropy of an answer while it is being generated.

Knows pieces, and the marks around a reasoning block; what it says in the end is only about what the
finished answer's entropy says exactly.
"""

from ucbd.models.generation import Piece

_CLOSE = "</think>"


class RunningEntropy:
    """Mean entropy of the answer's tokens that is known so far: nats, higher = less certain.

    It may lag behind the text. In a reasoning block it is of that block, and where the block ends
    it begins anew: what is thought aloud is not the answer.
    """

    def __init__(self) -> None:
        self._tail = ""
        self._tokens = self._known = self._start = 0
        self._sum = 0.0

    def add(self, piece: Piece) -> float | None:
        """The mean once this piece is told; None before any entropy is known."""
        self._tokens += piece.tokens
        said = self._tail + piece.text
        self._tail = said[-len(_CLOSE) + 1 :]
        if _CLOSE in said.lower():
            self._start = max(self._tokens, self._known)
            self._sum = 0.0
        for value in piece.entropies:
            self._sum += value if self._known >= self._start else 0.0
            self._known += 1
        counted = self._known - self._start
        return self._sum / counted if counted > 0 else None
