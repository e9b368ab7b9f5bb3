"""The gateway on Ray Serve: two replicas under load, and what a dead one costs."""

import importlib.util
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from ucbd.app.settings import Settings, SettingsInvalid

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="`make ray` installs Ray"),
]


@pytest.fixture(scope="module")
def run() -> dict[str, dict]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.deploy.ray_run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_requests_are_spread_and_the_replicas_metrics_add_up(run):
    counts = list(run["answered_by_port"].values())
    assert run["calm"]["errors"] == {}
    assert sum(counts) == sum(run["calm"]["ended"].values())
    assert len(counts) == 2
    assert min(counts) > sum(counts) / 4


def test_of_a_killed_replicas_requests_none_hangs_and_a_retry_is_answered(run):
    ended, errors = run["shaken"]["ended"], run["shaken"]["errors"]
    assert set(ended) == {"answered", "answered by retry"}
    assert errors, "the killed replica had no request under way: nothing was shown"
    assert set(errors) == {"500 Internal Server Error"}  # Ray's own word for it


def test_ray_starts_another_and_both_serve_again(run):
    assert run["recovered"]["errors"] == {}
    counts = list(run["more_by_port"].values())
    assert sum(counts) == sum(run["recovered"]["ended"].values())
    assert min(counts) > 0


def test_one_replica_asks_the_canary_set_and_no_two_share_a_file():
    for_replica = runpy.run_path(str(ROOT / "deploy" / "ray" / "gateway.py"))["for_replica"]
    settings = Settings(canary="questions.jsonl", upstream=("http://a",), workers=3)
    assert for_replica(settings, 0, 2) == settings.model_copy(update={"workers": 1})
    assert for_replica(settings, 1, 2).canary is None
    stored = Settings(records="records.db")
    assert for_replica(stored, 0, 1) == stored
    with pytest.raises(SettingsInvalid, match="2 replicas cannot share one file"):
        for_replica(stored, 0, 2)
