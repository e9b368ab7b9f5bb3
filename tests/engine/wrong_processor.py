"""A processor that measures wrongly, for the engine's self-check to find."""

import torch

from ucbd.models.exact_entropy.v1 import EntropyProcessorV1


class TenPercentTooSharp(EntropyProcessorV1):
    """Measures other logits than those that are sampled from, as one placed wrongly would."""

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        super().apply(logits * 1.1)
        return logits
