"""For those who know locust: users who ask, read the answer for a while, and ask again.

    locust -f loadtest/locustfile.py --host http://127.0.0.1:8000 --headless -u 20 -r 5 -t 30s

A user here waits for an answer before the next question, so this is a closed loop: what a stalled
gateway does to those who would have come meanwhile is not seen; ``python -m loadtest open`` sees
it. Locust is no dependency of the project: install it apart.
"""

import json
import random
from pathlib import Path

from locust import HttpUser, between, task

QUESTIONS = Path(__file__).parents[1] / "models/reference/questions/facts.jsonl"
PROMPTS = [json.loads(line)["prompt"] for line in QUESTIONS.read_text("utf-8").splitlines()]


class Reader(HttpUser):
    """One user. A 200 is any decision; an abstention is an answer of the gateway."""

    wait_time = between(0.5, 2)

    @task(3)
    def ask(self) -> None:
        self.client.post("/generate", json={"prompt": random.choice(PROMPTS)}, name="plain")

    @task(1)
    def watch(self) -> None:
        wanted = {"prompt": random.choice(PROMPTS), "stream": True}
        response = self.client.post("/generate", json=wanted, name="streamed", stream=True)
        for _ in response.iter_lines():
            pass
