"""The HTTP edge: the only place that knows FastAPI and Prometheus. Start at ``main.py``."""
