"""OpenAI's API at ``/v1``: its requests in, its responses out, our judgement under ``ucbd``."""
