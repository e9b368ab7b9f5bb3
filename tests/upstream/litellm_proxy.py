"""LiteLLM's proxy as a process, from an environment of its own."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai

from loadtest.servers import free_port

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv-litellm"
PINS = ROOT / "requirements" / "litellm.txt"
KEY = "sk-litellm-a-key-that-is-long-enough"
START_SECONDS = 240
MODEL = "scripted"


def litellm() -> Path:
    """The command, installed where it is not there yet, once."""
    stamp, pins = VENV / ".pins", hashlib.sha256(PINS.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != pins:
        venv = (sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV))
        subprocess.run(venv, check=True, timeout=300)
        pip = (sys.executable, "-m", "pip", "--python", str(VENV / "bin" / "python"), "install")
        quiet = ("--quiet", "--disable-pip-version-check", "--no-deps")
        subprocess.run((*pip, *quiet, "--requirement", str(PINS)), check=True, timeout=900)
        stamp.write_text(pins)
    return VENV / "bin" / "litellm"


@dataclass(frozen=True)
class Proxy:
    """A running proxy of one model, ``MODEL``."""

    url: str

    @property
    def client(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=KEY, max_retries=0, timeout=60)


@contextmanager
def proxy(folder: Path, api_base: str, model: str) -> Iterator[Proxy]:
    """In front of ``model`` at ``api_base``, ready; stopped in the end."""
    parameters = {"model": f"openai/{model}", "api_base": api_base, "api_key": "any"}
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": parameters}],
        "litellm_settings": {"num_retries": 0, "telemetry": False},
    }
    file, log, port = folder / "litellm.yaml", folder / "litellm.log", free_port()
    file.write_text(json.dumps(config))  # JSON is YAML
    offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": KEY}
    with log.open("wb") as output:
        process = subprocess.Popen(
            (litellm(), "--config", file, "--host", "127.0.0.1", "--port", str(port)),
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **offline},
        )
    found = Proxy(f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(found):
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.2)
        yield found
    finally:
        process.terminate()
        try:
            process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()


def answers(found: Proxy) -> bool:
    try:
        return httpx.get(f"{found.url}/health/liveliness", timeout=10).status_code == 200
    except httpx.TransportError:
        return False
