"""Stock vLLM servers as processes, with and without our plugin."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from loadtest.servers import free_port
from ucbd.models.reference import embedded_model

ROOT = Path(__file__).parents[2]
MODEL = "reference-dpo"
START_SECONDS = 400  # two cold starts on a busy machine; a hang still fails
PLUGIN = (
    *("--logits-processors", "ucbd_vllm.processor:EntropyProcessor"),
    *("--worker-extension-cls", "ucbd_vllm.worker.EntropyWorker"),
)


@dataclass(frozen=True)
class VllmServer:
    """A running `vllm serve`."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                pytest.fail(f"vLLM stopped while starting:\n{self.log.read_text()[-3000:]}")
            try:
                if httpx.get(f"{self.url}/health", timeout=10).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.5)
        pytest.fail(f"not ready after {START_SECONDS} s:\n{self.log.read_text()[-3000:]}")


def installed_plugin(folder: Path) -> Path:
    """The package ``ucbd-vllm``, built and installed into a folder of its own."""
    source = folder / "source"
    shutil.copytree(ROOT / "models" / "exact_entropy", source)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation")
    subprocess.run([*pip, "--target", str(folder / "site"), str(source)], check=True, timeout=300)
    return folder / "site"


@contextmanager
def vllm_server(folder: Path, *arguments: str, **environment: str) -> Iterator[VllmServer]:
    """`vllm serve` with the embedded model, still starting; killed in the end."""
    port = free_port()
    settings = {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    command = (
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(embedded_model(MODEL)), "--served-model-name", MODEL),
        *("--host", "127.0.0.1", "--port", str(port), "--enforce-eager", "--block-size", "32"),
        *("--max-logprobs", "-1"),
        *arguments,
    )
    log = folder / f"vllm-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **settings, **environment},
            start_new_session=True,
        )
    try:
        yield VllmServer(process, f"http://127.0.0.1:{port}", log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=180)
        except subprocess.TimeoutExpired:
            process.kill()
