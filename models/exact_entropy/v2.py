"""The processor for vLLM's second interface (Model Runner V2, the default on GPUs).

Sees logits after biases, penalties, bad words and grammar, before temperature. Rows map to slots on
the device; under speculative decoding a request has one row per draft token, and a draft that was
not accepted is written again at the same position. Unit-tested here; no GPU has run it in CI, which
is why the engine checks itself at start.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from vllm.v1.worker.gpu.sample.logits_processor.interface import (
    LogitsContext,
    LogitsProcessor,
    LogitsProcRequestState,
)

from . import ENTROPY_ID
from .entropy import entropy
from .store import EntropyStore
from .worker import announce

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.config import VllmConfig


class EntropyProcessorV2(LogitsProcessor):  # type: ignore[misc]  # vLLM is untyped for mypy here
    """Keeps the entropy of every row whose request asks for it; changes no logits."""

    def __init__(self, vllm_config: "VllmConfig", req_states: LogitsProcRequestState) -> None:
        self._states = req_states
        self._requests: dict[int, str] = {}
        self.store = announce(EntropyStore())

    def add_request(self, req_idx: int, sampling_params: "SamplingParams") -> bool:
        """Take over a slot; True keeps ``apply`` from being skipped for it."""
        request = (sampling_params.extra_args or {}).get(ENTROPY_ID)
        if request is None:
            self._requests.pop(req_idx, None)
            return False
        self._requests[req_idx] = request
        return True

    def apply(self, logits: torch.Tensor, ctx: LogitsContext) -> torch.Tensor:
        """Measure the rows of this step; returns ``logits`` (rows, V) as they came."""
        slots = {int(slot) for slot in ctx.idx_mapping_np}
        requests = {slot: self._requests[slot] for slot in slots if slot in self._requests}
        if not requests:
            return logits
        rows = ctx.expanded_idx_mapping
        # Which slot and position a row has is known only on the device: it travels beside the
        # value. float64 holds all three exactly.
        position = ctx.pos + 1 - self._states.prompt_len.gpu[rows]
        packed = torch.stack([rows.double(), position.double(), entropy(logits).double()])

        def keep(values: Sequence[float]) -> None:
            measured = zip(*np.reshape(values, (3, -1)).tolist(), strict=True)
            self.store.add(
                [
                    (requests[int(slot)], int(place), nats)
                    for slot, place, nats in measured
                    if slot in requests and place >= 0  # negative: prefill, no token follows
                ]
            )

        self.store.put_later(packed.flatten(), keep)
        return logits
