"""What Prometheus and Alertmanager load, by their own tools: valid, and saying what is meant."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus"
RUNBOOKS = ROOT / "docs" / "runbooks"
METRICS = ROOT / "docs" / "metrics.md"
TESTS = Path(__file__).parent


def run(name: str, *arguments: str | Path) -> str:
    program = shutil.which(name)
    assert program, f"{name} is missing: requirements/services installs it"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_rule_file_is_valid() -> None:
    run("promtool", "check", "rules", *sorted(RULES.glob("*.yml")))


@pytest.mark.parametrize("name", ["recording", "alerts", "alerts_hours"])
def test_the_rules_say_what_the_series_mean(name: str, tmp_path: Path) -> None:
    """promtool reads rule files by path: the test's are filled in."""
    text = (TESTS / f"{name}.test.yml").read_text("utf-8")
    for file in RULES.glob("*.yml"):
        text = text.replace(file.stem.upper(), str(file))
    test = tmp_path / "test.yml"
    test.write_text(text)
    run("promtool", "test", "rules", test)


def rules(name: str) -> list[dict]:
    """The rules of a file; promtool has seen that they are well formed."""
    groups = yaml.safe_load((RULES / name).read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = rules("alerts.yml")


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_has_a_page_that_says_what_to_do(alert: dict) -> None:
    page = ROOT / alert["annotations"]["runbook"]
    assert page == RUNBOOKS / f"{alert['alert']}.md"
    text = page.read_text("utf-8")
    parts = re.findall(r"^## (.+)\n\n(.+)", text, re.MULTILINE)
    assert [title for title, _ in parts] == ["What it means", "What to look at", "What to do"]
    assert text.startswith(f"# {alert['alert']}\n")


def test_every_page_has_its_alert_and_every_alert_its_test() -> None:
    names = {alert["alert"] for alert in ALERTS}
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == names
    tests = "".join(file.read_text("utf-8") for file in TESTS.glob("alerts*.test.yml"))
    for name in names:
        assert re.search(rf"alertname: {name}\n.*\n        exp_alerts:\n", tests), name


def test_every_metric_that_rules_and_pages_name_exists() -> None:
    """Ours are in docs/metrics.md or recorded; vLLM's are in vLLM's own source."""
    recorded = {rule["record"] for rule in rules("recording.yml")}
    own = set(re.findall(r"^\| `(ucbd_\w+)` \|", METRICS.read_text("utf-8"), re.MULTILINE))
    expressions = [rule["expr"] for name in ("alerts.yml", "recording.yml") for rule in rules(name)]
    pages = [page.read_text("utf-8") for page in RUNBOOKS.glob("*.md")]
    texts = "\n".join([*expressions, *pages])
    for name in re.findall(r"\bucbd_[a-z_]+\b", texts):
        assert re.sub(r"_(bucket|sum|count)$", "", name) in own or name in own, name
    for name in re.findall(r"\bucbd:[a-z_:]*[a-z]\b", texts):
        assert name in recorded, name
    source = vllm_metrics()
    for name in re.findall(r"\bvllm:[a-z_]+\b", texts):
        assert name.removesuffix("_total") in source or name in source, name


def vllm_metrics() -> str:
    """The source of what vLLM publishes, read without importing it."""
    spec = importlib.util.find_spec("vllm")
    assert spec, "vLLM is not installed"
    assert spec.origin
    return (Path(spec.origin).parent / "v1" / "metrics" / "loggers.py").read_text("utf-8")


def test_the_alertmanager_example_is_valid_and_knows_the_severities() -> None:
    config = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
    run("amtool", "check-config", config)
    for severity, receiver in (("page", "pages"), ("ticket", "tickets")):
        assert any(alert["labels"]["severity"] == severity for alert in ALERTS)
        routed = run(
            "amtool", "config", "routes", "test", "--config.file", config, f"severity={severity}"
        )
        assert routed.strip() == receiver
