"""The processor for vLLM's first interface (CPU; GPUs without Triton).

Sees logits after masks and biases, before penalties and temperature. Rows belong to batch slots,
and requests move between slots; a slot removed may be a preemption, so nothing is dropped then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from vllm.v1.sample.logits_processor import (
    BatchUpdate,
    LogitsProcessor,
    MoveDirectionality,
)

from . import ENTROPY_ID
from .amx import ask_for_amx
from .entropy import entropy
from .store import EntropyStore
from .worker import announce

if TYPE_CHECKING:
    from vllm.config import VllmConfig


@dataclass(frozen=True, slots=True)
class _Slot:
    """A measured request in a batch slot; ``output`` is vLLM's own growing list."""

    request: str
    output: list[int]


class EntropyProcessorV1(LogitsProcessor):  # type: ignore[misc]  # vLLM is untyped for mypy here
    """Keeps the entropy of every row whose request asks for it; changes no logits."""

    def __init__(
        self, vllm_config: "VllmConfig", device: torch.device, is_pin_memory: bool
    ) -> None:
        ask_for_amx()  # it is made in the worker, before the first step
        self._slots: dict[int, _Slot] = {}
        self.store = announce(EntropyStore())

    def is_argmax_invariant(self) -> bool:
        """False, though it changes nothing: vLLM skips invariant ones for greedy rows."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the batch: removed, then added (which may replace), then moved."""
        if batch_update is None:
            return
        for slot in batch_update.removed:
            self._slots.pop(slot, None)
        for slot, params, _, output in batch_update.added:
            request = (params.extra_args or {}).get(ENTROPY_ID)
            if request is None:
                self._slots.pop(slot, None)
            else:
                self._slots[slot] = _Slot(request, output)
        for one, other, direction in batch_update.moved:
            self._move(one, other, swap=direction == MoveDirectionality.SWAP)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Measure the rows of this step; returns ``logits`` (rows, V) as they came."""
        if not self._slots:
            return logits
        # In order: where all rows are measured, as is usual, no row is copied for it.
        rows = sorted(row for row in self._slots if row < logits.shape[0])
        places = [(self._slots[row].request, len(self._slots[row].output)) for row in rows]
        measured = logits if rows == list(range(logits.shape[0])) else logits[rows]

        def keep(values: Sequence[float]) -> None:
            self.store.add([(*place, nats) for place, nats in zip(places, values, strict=True)])

        self.store.put_later(entropy(measured), keep)
        return logits

    def _move(self, one: int, other: int, *, swap: bool) -> None:
        moving, replaced = self._slots.pop(one, None), self._slots.pop(other, None)
        if moving is not None:
            self._slots[other] = moving
        if swap and replaced is not None:
            self._slots[one] = replaced
