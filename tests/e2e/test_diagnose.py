"""``ucbd diagnose`` of an embedded model behind vLLM's own OpenAI server, and behind ours."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadtest.servers import free_port
from tests.e2e.conftest import START_SECONDS, Served, ucbd
from ucbd.models.reference import embedded_model
from ucbd.models.reference.question_files import FOLDER

VLLM = {
    **os.environ,
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a stock vLLM server with the embedded DPO model."""
    port, log = free_port(), tmp_path_factory.mktemp("vllm") / "log"
    vllm = (sys.executable, "-m", "vllm.entrypoints.openai.api_server")
    model = ("--model", str(embedded_model("reference-dpo")), "--served-model-name", "dpo")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*vllm, *model, "--port", str(port), "--enforce-eager", "--block-size", "32"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=VLLM,
        )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_SECONDS
    try:
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"vLLM does not answer:\n{log.read_text()[-3000:]}")
            time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=180)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/models", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty facts that the model has read often, and twenty that it never read."""
    rows = [json.loads(line) for line in (FOLDER / "facts.jsonl").read_text().splitlines()]
    chosen = [
        row | {"kind": frequency}
        for frequency in ("often", "never")
        for row in [row for row in rows if row["frequency"] == frequency][:20]
    ]
    path = tmp_path_factory.mktemp("questions") / "q.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in chosen))
    return path


def diagnosed(url: str, questions: Path, out: Path) -> Any:
    """The report on a server's model."""
    asked = ("--questions", str(questions), "--vocab-size", "2048", "--yes", "--out", str(out))
    done = subprocess.run(
        ucbd("diagnose", url, *asked), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((out / "report.json").read_text())


def knows_what_it_has_read(report: Any) -> None:
    """Facts read often are said one way, others are guessed, and heat scatters."""
    assert (report["answered"], report["failures"], report["complete"]) == (40, [], True)
    by_kind = report["by_kind"]["combined"]
    assert by_kind["often"]["scr"] > by_kind["never"]["scr"] + 0.3
    inside, outside = report["token_entropy"]["bounds"]
    assert inside["lower"]["mean"] < outside["lower"]["mean"]
    assert 0 < inside["lower"]["mean"] <= inside["upper"]["mean"]
    points = report["by_temperature"]["combined"]
    assert points[0]["scr"] > points[-1]["scr"]
    assert report["spent"]["uncounted_requests"] == 0


@pytest.mark.verify
def test_a_model_behind_a_stock_vllm_is_diagnosed(server: str, questions: Path, tmp_path: Path):
    report = diagnosed(server, questions, tmp_path)
    knows_what_it_has_read(report)
    assert report["asked"]["refused"] == {}
    # a greedy answer each, ten samples in one request, three temperatures for a fifth of them
    assert report["spent"]["requests"] == 2 + 2 * 40 + 3 * 8


@pytest.mark.slow
def test_our_own_gateway_is_a_server_like_any_other(
    gateway: Served, questions: Path, tmp_path: Path
):
    """It takes no parameter that would change the distribution, and gives eight choices at most."""
    report = diagnosed(gateway.url, questions, tmp_path)
    knows_what_it_has_read(report)
    assert report["asked"]["refused"] == {}
    assert report["asked"]["most_at_once"] == 5
