"""OpenAI-compatible servers as engines: `vllm serve`, or anything that speaks like it.

Needs neither vLLM nor torch. ``wire`` is their JSON, ``client`` one server over HTTP, ``errors``
everything that one can answer instead of an answer.
"""
