"""The wheel: what it claims, what it carries, and that the core works where there is no torch.

Builds from a copy of the repository's files and installs into an environment of its own. Needs a
package index (or pip's cache) for the core's pinned packages.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from tests.diagnosis.served import served

ROOT = Path(__file__).parents[1]
FOLDERS = ("app", "cascade", "models")
# What may ask for torch, tokenizers or vLLM as soon as it is imported: all of it is the engine's.
NEEDS_AN_ENGINE = (
    "ucbd.app.studies.experiment",
    "ucbd.cascade.alignment_tax",
    "ucbd.models.exact_entropy",
    "ucbd.models.reference",
    "ucbd.models.tempering",
)
# Asks for an extra as soon as it is imported, and is imported only where that is asked for.
NEEDS_AN_EXTRA = ("ucbd.app.telemetry.spans",)
# Slow to import, so not wanted just to print a help text.
HEAVY = ("fastapi", "numpy", "pydantic", "scipy", "torch", "transformers", "uvicorn", "vllm")

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def repository_files() -> list[str]:
    listing = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z").stdout
    return sorted({path for path in listing.split("\0") if path and (ROOT / path).is_file()})


def pins(name: str) -> dict[str, str]:
    """Package -> version of a list in requirements/."""
    lines = (ROOT / "requirements" / name).read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for file in repository_files():
        (folder / "source" / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, folder / "source" / file)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", folder, folder / "source", cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``bin`` of an environment with the wheel and the core's packages, and nothing else."""
    venv = tmp_path_factory.mktemp("bare") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    pip = (sys.executable, "-m", "pip", "--python", venv / "bin" / "python")
    core = ROOT / "requirements" / "core.txt"
    run(*pip, "install", "--quiet", "--no-deps", "-r", core, wheel)
    return venv / "bin"


def test_the_wheel_claims_no_name_but_ucbd(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert names == {"ucbd", "ucbd_gateway-0.1.0.dist-info"}


def test_the_wheel_carries_every_file_of_the_three_folders(wheel: Path) -> None:
    tree = {f"ucbd/{path}" for path in repository_files() if path.split("/")[0] in FOLDERS}
    assert len(tree) > 20
    carried = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("ucbd/")}
    assert carried == tree


def test_the_wheel_says_its_licence_and_that_it_is_typed(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = message_from_bytes(archive.read("ucbd_gateway-0.1.0.dist-info/METADATA"))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "ucbd_gateway-0.1.0.dist-info/licenses/LICENSE" in archive.namelist()
    assert {f"ucbd/{folder}/py.typed" for folder in FOLDERS} <= set(archive.namelist())


def test_the_core_list_is_all_that_the_wheel_asks_for(bare: Path) -> None:
    run(sys.executable, "-m", "pip", "--python", bare / "python", "check")


@pytest.mark.parametrize("command", [("--help",), ("serve", "--help")])
def test_help_works_without_torch_and_imports_nothing_heavy(
    bare: Path, command: tuple[str, ...]
) -> None:
    done = run(bare / "python", "-X", "importtime", bare / "ucbd", *command)
    imported = {line.rsplit("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "serve" in done.stdout
    assert {"ucbd", "argparse"} <= imported
    assert not imported & set(HEAVY)


def test_all_but_the_engine_can_be_imported_without_torch(bare: Path) -> None:
    modules = [
        path.removesuffix(".py").replace("/", ".")
        for path in (f"ucbd/{file}" for file in repository_files())
        if path.split("/")[1] in FOLDERS and path.endswith(".py") and "__init__" not in path
    ]
    left_out = (*NEEDS_AN_ENGINE, *NEEDS_AN_EXTRA)
    wanted = [module for module in modules if not module.startswith(left_out)]
    assert "ucbd.app.main" in wanted
    lines = "".join(f"import {module}\n" for module in wanted)
    run(bare / "python", "-c", f"{lines}import sys\nassert 'torch' not in sys.modules")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "there is no vLLM here to serve a model in this process: give --upstream URL"),
        (
            {"UCBD_UPSTREAM": "http://127.0.0.1:1", "UCBD_MODEL": "x", "UCBD_TRACING": "otlp"},
            "pip install 'ucbd-gateway[tracing]'",
        ),
    ],
)
def test_what_the_core_has_not_ends_the_start_and_says_what_to_install(
    bare: Path, environment: dict[str, str], said: str
) -> None:
    done = subprocess.run(
        [bare / "ucbd", "serve", "--port", "0"],
        env={"UCBD_CLUSTERER": "jaccard", "PATH": "/bin"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2, done.stderr
    assert said in done.stderr.splitlines()[-1]


def test_a_diagnosis_runs_without_torch_and_says_what_it_cannot_cluster_by(
    bare: Path, tmp_path: Path
) -> None:
    with served() as server:
        asked = ("--samples", "2", "--temperatures", "none", "--yes", "--out", tmp_path)
        run(bare / "ucbd", "diagnose", server.url, *asked)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["answered"] == 200
    assert list(report["homogenization"]) == ["combined", "jaccard", "exact"]
    assert any(note.startswith("Not clustered by `embedding`") for note in report["notes"])


def test_the_core_list_and_the_metadata_pin_the_same_versions() -> None:
    items = (re.sub(r"\[.*\]", "", item) for item in project()["dependencies"])
    asked = dict(item.split("==") for item in items)
    assert asked.items() <= pins("core.txt").items()


@pytest.mark.parametrize("engine", ["cpu.txt", "gpu.txt"])
def test_an_engine_list_holds_the_core_at_the_same_versions(engine: str) -> None:
    assert pins("core.txt").items() <= pins(engine).items()


@pytest.mark.parametrize(
    ("extra", "lists"),
    [
        ("cpu", ("cpu.txt", "cpu-torch.txt")),
        ("engine", ("gpu.txt",)),
        ("tracing", ("cpu.txt",)),
        ("ray", ("ray.txt",)),
        ("dev", ("dev.txt", "cpu.txt")),
    ],
)
def test_an_extra_pins_what_its_list_installs(extra: str, lists: tuple[str, ...]) -> None:
    items = (re.sub(r"\[.*\]", "", item) for item in project()["optional-dependencies"][extra])
    asked = dict(item.split("==") for item in items)
    assert asked.items() <= {k: v for name in lists for k, v in pins(name).items()}.items()


def test_nothing_that_breaks_transformers_is_installed_beside_a_cpu_torch() -> None:
    assert not {"torchvision", "torchaudio", "torchcodec"} & set(pins("cpu.txt"))


@pytest.mark.parametrize(
    "file", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda p: p.name
)
def test_every_requirement_is_pinned_to_one_version(file: Path) -> None:
    lines = [line for line in file.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[^\s=*]+", line)] == []
