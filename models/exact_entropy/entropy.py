"""The entropy of a row of logits, exactly. Knows no request."""

import torch

_NEVER = -1e4  # e to this is 0 and 0 times it is 0, which 0 times −inf is not
_BLOCK = 1 << 18  # logits taken together on a CPU: what is made of more leaves its caches


def entropy(logits: torch.Tensor) -> torch.Tensor:
    """``-sum p ln p`` over the last dimension, in nats: (rows, V) → (rows,), higher = less certain.

    Masked entries (−inf) have p = 0 and add nothing; a row with NaN gives NaN. With logits x
    shifted so that the largest is 0, and Z = sum e^x, it is ``ln Z - (sum x e^x)/Z``: neither term
    is negative, so nothing cancels, and no logarithm per entry is needed.
    """
    if logits.device.type == "cpu" and logits.ndim > 1 and logits.numel() > _BLOCK:
        blocks = logits.split(max(1, _BLOCK // logits.shape[-1]))
        return torch.cat([_entropy(block) for block in blocks])
    return _entropy(logits)


def _entropy(logits: torch.Tensor) -> torch.Tensor:
    logits = logits.float()
    shifted = (logits - logits.amax(dim=-1, keepdim=True)).clamp_(min=_NEVER)
    weights = shifted.exp()
    total = weights.sum(dim=-1)
    return total.log() - shifted.mul_(weights).sum(dim=-1) / total
