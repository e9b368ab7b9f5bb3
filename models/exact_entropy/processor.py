"""One name for the processor of either interface: vLLM says which it is by what it passes.

A command line is written before anybody knows which model runner the configuration will lead to.
"""

from typing import Any

from vllm.v1.sample.logits_processor import LogitsProcessor as FirstInterface
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor as SecondInterface

from .v1 import EntropyProcessorV1
from .v2 import EntropyProcessorV2


class EntropyProcessor(FirstInterface, SecondInterface):  # type: ignore[misc]  # vLLM is untyped
    """Accepted by both loaders; constructing it gives the processor of the one that did."""

    def __new__(cls, vllm_config: Any, *given: Any) -> Any:
        """(config, device, pinned) is the first interface, (config, request states) the second."""
        made = EntropyProcessorV1 if len(given) == 2 else EntropyProcessorV2
        return made(vllm_config, *given)
