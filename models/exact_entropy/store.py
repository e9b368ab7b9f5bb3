"""Where a worker process keeps entropies until they are collected: bounded, keyed by request.

Knows positions and numbers, not logits. A value that was evicted or never written reads as NaN,
never as zero. Connected to a reader, it keeps only what could not be sent there.
"""

import math
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from .channel import Sender, Value

if TYPE_CHECKING:
    import torch

MAX_VALUES = 1 << 20
"""Values kept for requests nobody has collected yet: 8 MiB, a thousand answers of a thousand
tokens. Beyond it the request that has waited longest since its last token is forgotten."""

_MAX_PENDING = 64  # device copies under way before the oldest is waited for


class EntropyStore:
    """Entropies by request id and output position, written on the device, read on the host."""

    def __init__(self, max_values: int = MAX_VALUES) -> None:
        self._max_values = max_values
        self._values: OrderedDict[str, array[float]] = OrderedDict()
        self._size = 0
        self._sender: Sender | None = None
        self._pending: deque[tuple[torch.cuda.Event, Callable[[], None]]] = deque()

    def __len__(self) -> int:
        """Number of values kept."""
        return self._size

    def connect(self, path: str) -> None:
        """From now on send values to ``path``. Raises ``OSError`` when nobody listens there."""
        self._sender = Sender(path)

    def add(self, values: Sequence[Value]) -> None:
        """Send the values of a step, or keep them.

        Of a request of which something is kept, all that follows is: a position may be written
        again (the last piece of a long prompt does so), and what is kept is then the newest.
        """
        unsent = values if self._sender is None else self._sender.send(values)
        if not unsent and not self._values:
            return
        sent = len(values) - len(unsent)
        for place, (request, position, nats) in enumerate(values):
            if place >= sent or request in self._values:
                self.put(request, position, nats)

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

    def put_later(self, values: "torch.Tensor", keep: Callable[[Sequence[float]], None]) -> None:
        """Hand ``values`` (1-d, on any device) to ``keep`` as floats.

        At once on the CPU. On a GPU the copy runs beside the next steps, and ``keep`` is called
        when it has arrived, at the latest at the next ``collect``.
        """
        if values.device.type == "cpu":
            keep(values.tolist())
            return
        import torch  # the gateway keeps such a store too, without a device

        host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        host.copy_(values, non_blocking=True)
        copied = torch.cuda.Event()
        copied.record()
        self._pending.append((copied, lambda: keep(host.tolist())))
        while len(self._pending) > _MAX_PENDING:
            self._arrive()
        self._arrive_copied()

    def so_far(self, request: str, start: int) -> list[float]:
        """The values that have arrived from position ``start`` on; they stay."""
        self._arrive_copied()
        values = self._values.get(request)
        return [] if values is None else values[start:].tolist()

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

    def _arrive_copied(self) -> None:
        while self._pending and self._pending[0][0].query():
            self._arrive()

    def _arrive(self) -> None:
        copied, keep = self._pending.popleft()
        copied.synchronize()
        keep()
