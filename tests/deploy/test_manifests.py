"""Images, compose and Kubernetes manifests: parsed, validated and held against the repository.

No container has run here: what a parser, a schema or a file list can tell is what these tell.
"""

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pydantic
import pytest
import yaml
from cloudcoil.models.prometheus_operator import v1 as prometheus_operator

from ucbd.app.settings import Settings, read_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
DOCKERFILES = sorted((DEPLOY / "docker").glob("*.Dockerfile"))
OPERATORS = {
    "ServiceMonitor": prometheus_operator.ServiceMonitor,
    "PrometheusRule": prometheus_operator.PrometheusRule,
}
"""Kinds that the Prometheus operator defines, and models made from its own CRDs."""
PINNED = re.compile(r":v?\d+\.\d+(\.\d+)?(-[\w.-]+)?$")


def documents(path: Path) -> list[dict]:
    return [one for one in yaml.safe_load_all(path.read_text("utf-8")) if one]


def kustomization(name: str) -> dict:
    return documents(KUBERNETES / name / "kustomization.yaml")[0]


def validate(document: dict) -> None:
    """By the schema of its kind; a key that the schema does not know is an error too."""
    model = OPERATORS.get(document["kind"])
    if model is None:
        kubernetes_validate.validate(document, "1.32", strict=True)
    else:
        read = model.model_validate(document)
        assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) == document


MANIFESTS = [KUBERNETES / "base" / name for name in kustomization("base")["resources"]]


def base(kind: str) -> dict:
    return next(d for path in MANIFESTS for d in documents(path) if d["kind"] == kind)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_is_what_kubernetes_schema_allows(path: Path) -> None:
    for document in documents(path):
        validate(document)


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": "http", "intervall": "15s"},  # no such field
        {"port": "http", "interval": "15 s"},  # not its pattern
        {"port": 8000},  # not its type
    ],
)
def test_a_mistake_in_an_operators_kind_is_seen(wrong: dict) -> None:
    monitor = base("ServiceMonitor")
    monitor["spec"]["endpoints"] = [wrong]
    with pytest.raises((pydantic.ValidationError, AssertionError)):
        validate(monitor)


def test_a_typing_mistake_in_a_manifest_is_seen() -> None:
    """The schemas are strict: an unknown key is an error, or the test above could not fail."""
    wrong = base("Deployment")
    wrong["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.32", strict=True)


@pytest.mark.parametrize("name", ["base", "gpu"])
def test_a_kustomization_names_files_that_are_there_and_all_of_them(name: str) -> None:
    made = kustomization(name)
    named = set(made["resources"])
    named |= {patch["path"] for patch in made.get("patches", [])}
    named |= {file for one in made["configMapGenerator"] for file in one["files"]}
    for file in named:
        assert (KUBERNETES / name / file).exists(), file
    files = {path.name for path in (KUBERNETES / name).iterdir()} - {"kustomization.yaml"}
    assert files == named - {"../base"}


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
@pytest.mark.parametrize("name", ["base", "gpu"])
def test_kustomize_builds_it_and_every_result_is_valid(name: str) -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", str(KUBERNETES / name)],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    ).stdout
    for document in yaml.safe_load_all(built):
        assert document.get("metadata", {}).get("namespace", "ucbd") == "ucbd"
        validate(document)


@pytest.mark.parametrize("name", ["base", "gpu"])
def test_the_settings_in_a_config_map_are_settings(name: str) -> None:
    settings = read_settings(KUBERNETES / name / "ucbd.toml", environment={})
    assert settings.host == "0.0.0.0"
    assert settings.log_format == "json"


def test_pods_are_probed_drained_and_allowed_little() -> None:
    pod = base("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["startupProbe"]["httpGet"]["path"] == "/readyz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert pod["terminationGracePeriodSeconds"] > 30 + 5  # the server's drain and preStop
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]


def test_no_manifest_holds_a_secret() -> None:
    for path in [*MANIFESTS, *(KUBERNETES / "gpu").iterdir()]:
        assert "kind: Secret" not in path.read_text("utf-8"), path
    env_from = base("Deployment")["spec"]["template"]["spec"]["containers"][0]["envFrom"]
    assert env_from[0]["secretRef"]["name"] == "ucbd-secrets"


def test_everything_selects_the_same_pods() -> None:
    labels = base("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert base("Service")["spec"]["selector"] == labels
    for kind, key in (
        ("Deployment", "selector"),
        ("PodDisruptionBudget", "selector"),
        ("ServiceMonitor", "selector"),
        ("NetworkPolicy", "podSelector"),
    ):
        assert base(kind)["spec"][key]["matchLabels"] == labels, kind
    assert base("Service")["metadata"]["labels"] == labels  # what the ServiceMonitor looks for
    port = base("Deployment")["spec"]["template"]["spec"]["containers"][0]["ports"][0]
    assert port["containerPort"] == Settings().port
    assert base("ServiceMonitor")["spec"]["endpoints"][0]["port"] == port["name"]


def test_the_prometheus_rule_is_the_rule_files() -> None:
    """After a change of deploy/prometheus/: python deploy/kubernetes/rules.py."""
    build = runpy.run_path(str(KUBERNETES / "rules.py"))["build"]
    assert (KUBERNETES / "base" / "prometheusrule.yaml").read_text("utf-8") == build()
    groups = [
        group
        for name in ("recording.yml", "alerts.yml")
        for group in documents(DEPLOY / "prometheus" / name)[0]["groups"]
    ]
    assert base("PrometheusRule")["spec"]["groups"] == groups


def test_the_autoscaler_goes_by_a_metric_that_exists() -> None:
    (metric,) = base("HorizontalPodAutoscaler")["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    assert f"| `{name}` | gauge |" in (ROOT / "docs" / "metrics.md").read_text("utf-8")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_is_pinned_not_root_and_probed(path: Path) -> None:
    text = path.read_text("utf-8").replace("\\\n", " ")
    instructions = [line.split(None, 1) for line in text.splitlines() if re.match(r"[A-Z]+ ", line)]
    given: dict[str, list[str]] = {}
    for name, rest in instructions:
        given.setdefault(name, []).append(rest)
    for image in given["FROM"]:
        assert PINNED.search(image.split(" AS ")[0]), image
    assert given["USER"] == ["10001"]
    assert "/readyz" in given["HEALTHCHECK"][0]
    assert json.loads(given["ENTRYPOINT"][0]) == ["ucbd", "serve"]
    for packages in re.findall(r"pip install ([^&]+)", given["RUN"][1] + " & " + given["RUN"][2]):
        assert "--no-deps" in packages, packages


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing_in_an_image(path: Path) -> None:
    found = hadolint(path)
    assert found.returncode == 0, found.stdout


def test_hadolint_finds_what_is_wrong(tmp_path: Path) -> None:
    """Or the test above could not fail."""
    wrong = tmp_path / "Dockerfile"
    wrong.write_text("FROM debian\nRUN cd /tmp && sudo apt-get install curl\n")
    found = hadolint(wrong)
    assert found.returncode == 1
    assert {"DL3006", "DL3004", "DL3003"} <= set(re.findall(r"DL\d+", found.stdout))


def hadolint(path: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert program, "hadolint is missing: `make setup` installs it"
    return subprocess.run([program, str(path)], capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_copies_what_is_there_and_not_ignored(path: Path) -> None:
    kept = {
        line[1:].rstrip("/")
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
                assert source.split("/")[0] in kept, source


def test_compose_is_pinned_and_mounts_what_is_there() -> None:
    services = documents(DEPLOY / "compose" / "compose.yml")[0]["services"]
    for name, service in services.items():
        if "image" in service:
            assert PINNED.search(service["image"]), name
        else:
            build = service["build"]
            assert (DEPLOY / "compose" / build["context"] / build["dockerfile"]).resolve().exists()
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / "compose" / source).exists(), volume
        for port in service["ports"]:
            assert port.startswith("127.0.0.1:"), "not for everybody by default"


def test_the_prometheus_of_compose_loads_its_rules(tmp_path: Path) -> None:
    text = (DEPLOY / "compose" / "prometheus.yml").read_text("utf-8")
    config = tmp_path / "prometheus.yml"
    config.write_text(text.replace("/etc/prometheus/rules", str(DEPLOY / "prometheus")))
    checked = subprocess.run(
        [shutil.which("promtool") or "promtool", "check", "config", str(config)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
