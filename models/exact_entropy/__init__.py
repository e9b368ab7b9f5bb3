"""Exact token entropy out of vLLM itself: a logits processor keeps it, a worker RPC collects it.

The processor sees the raw logits of every step, computes ``-sum p ln p`` over the full vocabulary
and keeps one number per token under the id a request carries in ``SamplingParams.extra_args``.
These modules run inside vLLM's worker process; the gateway names them in ``vllm_engine``.
"""

ENTROPY_ID = "ucbd_entropy_id"
"""Key of ``SamplingParams.extra_args`` under which a request asks for its entropies to be kept."""

V1_PROCESSOR = "ucbd.models.exact_entropy.v1:EntropyProcessorV1"
V2_PROCESSOR = "ucbd.models.exact_entropy.v2:EntropyProcessorV2"
WORKER_EXTENSION = "ucbd.models.exact_entropy.worker.EntropyWorker"
