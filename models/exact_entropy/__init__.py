"""Exact token entropy out of vLLM itself: a logits processor sends it, or keeps it to be asked for.

The processor sees the raw logits of every step, computes ``-sum p ln p`` over the full vocabulary,
one number per token, under the id a request carries in ``SamplingParams.extra_args``.
These modules run inside vLLM's processes. The gateway names them to an engine of its own; as a
package by itself, ``ucbd_vllm`` (its pyproject.toml, nothing needed but vLLM), the same files serve
a stock `vllm serve`, where ``endpoint`` hands the values out. So the imports here are relative.
"""

ENTROPY_ID = "ucbd_entropy_id"
"""Key of ``SamplingParams.extra_args`` under which a request asks for its entropies to be kept."""

ROUTE = "/v1/ucbd/entropy"
"""Where the package ``ucbd_vllm`` hands them out over HTTP; below /v1, which vLLM's key guards."""

PROCESSOR = f"{__name__}.processor:EntropyProcessor"
WORKER_EXTENSION = f"{__name__}.worker.EntropyWorker"
