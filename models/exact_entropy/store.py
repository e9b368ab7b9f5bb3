"""Where a worker process keeps entropies until they are collected: bounded, keyed by request.

Knows positions and numbers, not logits. A value that was evicted or never written reads as NaN,
never as zero.
"""

import math
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence

import torch

MAX_VALUES = 1 << 20
"""Values kept for requests nobody has collected yet: 8 MiB, a thousand answers of a thousand
tokens. Beyond it the request that has waited longest since its last token is forgotten."""

_NEVER = -1e4  # e to this is 0 and 0 times it is 0, which 0 times −inf is not
_MAX_PENDING = 64  # device copies under way before the oldest is waited for


class EntropyStore:
    """Entropies by request id and output position, written on the device, read on the host."""

    def __init__(self, max_values: int = MAX_VALUES) -> None:
        self._max_values = max_values
        self._values: OrderedDict[str, array[float]] = OrderedDict()
        self._size = 0
        self._pending: deque[tuple[torch.cuda.Event, Callable[[], None]]] = deque()

    def __len__(self) -> int:
        """Number of values kept."""
        return self._size

    def put(self, request: str, position: int, value: float) -> None:
        """Keep one value; a position written again (after preemption) is overwritten."""
        values = self._values.get(request)
        if values is None:
            values = self._values[request] = array("d")
        else:
            self._values.move_to_end(request)
        missing = position - len(values)
        if missing < 0:
            values[position] = value
            return
        values.extend([math.nan] * missing)
        values.append(value)
        self._size += missing + 1
        while self._size > self._max_values:
            _, evicted = self._values.popitem(last=False)
            self._size -= len(evicted)

    def put_later(self, values: torch.Tensor, keep: Callable[[Sequence[float]], None]) -> None:
        """Hand ``values`` (1-d, on any device) to ``keep`` as floats.

        At once on the CPU. On a GPU the copy runs beside the next steps, and ``keep`` is called
        when it has arrived, at the latest at the next ``collect``.
        """
        if values.device.type == "cpu":
            keep(values.tolist())
            return
        host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        host.copy_(values, non_blocking=True)
        copied = torch.cuda.Event()
        copied.record()
        self._pending.append((copied, lambda: keep(host.tolist())))
        while len(self._pending) > _MAX_PENDING or (self._pending and self._pending[0][0].query()):
            self._arrive()

    def collect(self, requests: Sequence[str], forget: Iterable[str]) -> list[list[float] | None]:
        """The values of each request, in order of position; None for one that has none.

        What was collected and what is to be forgotten is dropped.
        """
        while self._pending:
            self._arrive()
        found = [self._pop(request) for request in requests]
        for request in forget:
            self._pop(request)
        return [None if values is None else values.tolist() for values in found]

    def _pop(self, request: str) -> "array[float] | None":
        values = self._values.pop(request, None)
        self._size -= len(values or ())
        return values

    def _arrive(self) -> None:
        copied, keep = self._pending.popleft()
        copied.synchronize()
        keep()


def entropy(logits: torch.Tensor) -> torch.Tensor:
    """``-sum p ln p`` over the last dimension, in nats: (rows, V) → (rows,), higher = less certain.

    Masked entries (−inf) have p = 0 and add nothing; a row with NaN gives NaN. With logits x
    shifted so that the largest is 0, and Z = sum e^x, it is ``ln Z - (sum x e^x)/Z``: neither term
    is negative, so nothing cancels, and no logarithm per entry is needed.
    """
    logits = logits.float()
    shifted = (logits - logits.amax(dim=-1, keepdim=True)).clamp_(min=_NEVER)
    weights = shifted.exp()
    total = weights.sum(dim=-1)
    return total.log() - shifted.mul_(weights).sum(dim=-1) / total
