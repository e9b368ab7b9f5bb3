"""Decides how far an answer can be trusted, cheapest evidence first. Start at ``answer.py``.

Knows no HTTP and no vLLM, only the protocols of ``ucbd.models``.
"""
