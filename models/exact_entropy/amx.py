"""Leave to use AMX: Linux gives it to a process that asks, and vLLM does not ask.

vLLM picks AMX attention for bf16 wherever the processor has it. A large model's first product, by
oneDNN, has asked before; a small one comes to attention first, and its worker dies (SIGILL).
"""


def ask_for_amx() -> bool:
    """Whether this process may use AMX from now on; False where the processor has none."""
    import torch  # here: vLLM loads its plugins before it needs torch

    return bool(torch.cpu._is_amx_tile_supported() and torch.cpu._init_amx())
