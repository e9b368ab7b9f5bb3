"""``python -m loadtest`` against a scripted gateway of its own: tables, last line, exit codes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.__main__ import main
from tests.process.conftest import scripted
from tests.process.test_drain import until

ROOT = Path(__file__).parents[2]
MIX = {
    "name": "scripted",
    "version": 1,
    "prompts": ["entropy=0.01 where", "entropy=0.2 where"],
    "kinds": {
        "plain": {"share": 2, "request": {}},
        "streamed": {"share": 1, "request": {"stream": True, "explain": True}},
        "wrong": {"share": 1, "request": {"max_tokens": -1}},
    },
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """With room for all, however busy the machine is."""
    log = tmp_path_factory.mktemp("gateway") / "log"
    with scripted(log, max_in_flight=1000, capacity=1000) as served:
        yield served


@pytest.fixture(scope="module")
def mix(tmp_path_factory):
    path = tmp_path_factory.mktemp("mix") / "scripted.json"
    path.write_text(json.dumps(MIX))
    return str(path)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadtest", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def last(done) -> dict:
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_an_open_test_tells_all_that_it_saw_and_the_gateway_agrees(gateway, mix, tmp_path):
    out = tmp_path / "out"
    done = run("open", "--url", gateway.url, "--mix", mix, "--rate", "60", "--seconds", "2",
               "--out", str(out), "--budget", "error_share <= 0.6")  # fmt: skip
    told = last(done)
    assert done.returncode == 0, done.stdout + done.stderr
    (phase,) = told["phases"]
    assert phase["asked"] == phase["answered"] + phase["errors"]["invalid_request"] > 60
    assert phase["mix"]["name"] == "scripted"
    assert phase["latency"]["p50"] <= phase["latency"]["p95"] <= phase["latency"]["p99"]
    assert phase["first_token"]["n"] > 0
    assert phase["relative_cost"]["mean"] > 1
    assert {"freshness", "fluency", "sampling"} <= set(phase["stages"])
    checks = {check["what"]: check for check in phase["crosscheck"]["checks"]}
    assert checks["answered"]["gateway"] == phase["answered"]
    assert checks["error invalid_request"]["gateway"] == phase["errors"]["invalid_request"]
    assert told["agrees"]
    assert re.search(r"^open +60\.0/s", done.stdout, re.MULTILINE)
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 2
    assert not re.search(r"(src|href)=\"https?:", page)
    assert json.loads((out / "report.json").read_text()) == told


@pytest.mark.slow
def test_a_ramp_stops_at_the_rate_that_is_not_held(gateway, tmp_path):
    path = tmp_path / "slow.json"
    slow = MIX | {"prompts": ["delay=0.2 where"], "kinds": {"plain": {"share": 1, "request": {}}}}
    path.write_text(json.dumps(slow))
    done = run("ramp", "--url", gateway.url, "--mix", str(path), "--rate", "5", "--steps", "3",
               "--seconds", "0.5", "--limit", "0.1", "--arrivals", "constant")  # fmt: skip
    told = last(done)
    assert len(told["phases"]) == 1  # every answer takes 0.2 s
    assert told["capacity"]["saturated"]
    assert told["capacity"]["held"] == 0
    assert done.returncode == 0


@pytest.mark.slow
def test_a_soak_watches_the_gateways_memory(gateway, mix):
    done = run("soak", "--url", gateway.url, "--mix", mix, "--rate", "30", "--seconds", "2",
               "--watch", "0.05")  # fmt: skip
    assert last(done)["phases"][0]["memory_slope"] is not None
    assert "soak: the gateway's memory grew by" in done.stdout


@pytest.mark.slow
def test_a_broken_budget_is_exit_code_1(gateway, mix):
    done = run("closed", "--url", gateway.url, "--mix", mix, "--concurrency", "2",
               "--requests", "40", "--budget", "error_share <= 0")  # fmt: skip
    told = last(done)
    assert done.returncode == 1
    assert not told["ok"]
    assert "BROKEN: closed: error_share <= 0" in done.stdout


def answered(gateway) -> list[str]:
    """Of its metrics only these: others move by being looked at."""
    lines = gateway.get("/metrics").text.splitlines()
    return [line for line in lines if line.startswith("ucbd_requests_total")]


@pytest.mark.slow
def test_a_gateway_that_somebody_else_asks_too_is_told(gateway, mix, tmp_path):
    """Its counters then hold more than was asked here, which is exit code 1."""
    other = subprocess.Popen(
        [sys.executable, "-m", "loadtest", "open", "--url", gateway.url, "--mix", mix,
         "--rate", "40", "--seconds", "900"],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        before = answered(gateway)
        until(lambda: answered(gateway) != before)
        done = run("closed", "--url", gateway.url, "--mix", mix, "--requests", "300")
    finally:
        other.kill()
        other.wait()
    assert done.returncode == 1
    assert not last(done)["agrees"]
    assert re.search(r"closed: answered: \d+ here, \d+ in the gateway's metrics", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["open", "--rate", "5", "--mix", "none"], "No such file or directory; shipped: answers"),
        (["open", "--rate", "5", "--budget", "fast"], "budget: 'fast': is no rule"),
        (["open", "--rate", "0"], "argument --rate: must be above 0"),
        (["open", "--rate", "quick"], "argument --rate"),
        (["ramp", "--rate", "5", "--factor", "0.5"], "factor: must be above 1, is 0.5"),
        (["burst", "--rate", "5", "--peak", "9", "--length", "10"], "length: must be above 0"),
        (["closed", "--concurrency", "5000"], "concurrency: at most 900, is 5000"),
        (["closed", "--baseline", "none.json"], "none.json: No such file"),
        (["sideways"], "invalid choice: 'sideways'"),
    ],
)
def test_arguments_that_cannot_be_used_are_exit_code_2_and_named(arguments, message, capsys):
    try:
        code = main(arguments)
    except SystemExit as exit_:  # argparse's own
        code = exit_.code
    said = capsys.readouterr()
    assert code == 2
    assert message in said.err
    assert not said.out


def test_a_gateway_that_is_not_there_is_exit_code_1(capsys):
    nobody = ["closed", "--url", "http://127.0.0.1:9", "--requests", "5", "--warm-up", "3"]
    assert main(nobody) == 1
    told = "none of the first 3 requests was answered: 3 × connection"
    assert told in capsys.readouterr().err
