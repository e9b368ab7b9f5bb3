"""Every start that cannot be good: what is wrong and where, on standard error, and exit code 2.

Mostly through the command itself, in this process: nothing listens and no engine has begun.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ucbd.app.cli import main

ROOT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 120.0

FILES = {
    "unknown.toml": b"prot = 1\n",
    "bytes.toml": b"\xff\xfe\x00",
    "half.toml": b"port = ",
    "half.json": b"{",
    "policy.json": b'{"schema": 1}',
    "text.txt": b"nonsense\n",
    "keys.jsonl": b'{"name": "a"}\n',
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with files that are none of what they are given for; no settings around."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("UCBD_", "OTEL_", "PROMETHEUS"))]:
        monkeypatch.delenv(name)
    return tmp_path


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `ucbd serve` says last while it ends with 2; a start that is not refused is ended."""
    net = threading.Timer(_PATIENCE_SECONDS, os.kill, (os.getpid(), signal.SIGTERM))
    net.start()
    try:
        assert main(["serve", *arguments]) == 2
    finally:
        net.cancel()
    said = capsys.readouterr().err
    assert "Traceback" not in said
    last = said.splitlines()[-1]
    assert last.startswith("ucbd serve: ")
    return last.removeprefix("ucbd serve: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--config gone.toml", "gone.toml: No such file or directory"),
        ("--config folder", "folder: Is a directory"),
        ("--config bytes.toml", "bytes.toml: not TOML: 'utf-8' codec can't decode"),
        ("--config half.toml", "half.toml: not TOML: Invalid value"),
        ("--config unknown.toml", "unknown.toml: prot: there is no such setting; did you mean p"),
        ("--port 99999", "the command line: port: Input should be less than or equal to 65535"),
        ("--workers 0", "the command line: workers: Input should be greater than 0, got 0"),
        ("--workers 2", "workers: 2 processes cannot share the engine"),
        ("--upstream nonsense", "the command line: upstream: String should match"),
        ("--upstream http://127.0.0.1:1", "upstream: cannot ask for its model: http://127.0.0.1:1"),
        ("--model ./gone", "model: './gone' is no folder; the embedded models are reference-base"),
        ("--model text.txt", "model: 'text.txt' is no folder"),
        ("--model folder", "folder: holds no config.json, so it is no model's folder"),
        ("--policy gone", "policy: 'gone' is neither a file nor one of balanced, default"),
        ("--policy gone.json", "gone.json: No such file or directory"),
        ("--policy half.json", "half.json: the file: Invalid JSON"),
        ("--policy policy.json", "policy.json: description: Field required"),
        ("--keys gone.jsonl", "keys: gone.jsonl: must be a file, and it is not there"),
        ("--keys folder", "keys: folder: must be a file, and there is something else"),
        ("--keys keys.jsonl", "keys.jsonl:1: hash: Field required"),
        ("--tls-cert text.txt", "tls_cert is given and tls_key is not"),
        ("--tls-cert text.txt --tls-key text.txt", "tls_cert, tls_key: text.txt and text.txt: "),
        ("--host 0.0.0.0", "host: 0.0.0.0 can be reached from other machines and no keys"),
    ],
)
def test_a_start_by_bad_arguments(arguments: str, said: str, here, capsys):
    assert refusal(capsys, "--port", "0", *arguments.split()).startswith(said)


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        (
            "UCBD_PROT=1",
            "the environment: UCBD_PROT: there is no such setting; did you mean UCBD_P",
        ),
        ("UCBD_KNOWLEDGE_CUTOFF=soon", "the environment: UCBD_KNOWLEDGE_CUTOFF: Input should be"),
        ("UCBD_POLICIES=gone", "policies: gone: must be a folder, and it is not there"),
        ("UCBD_CANARY=gone.jsonl", "canary: gone.jsonl: must be a file, and it is not there"),
        ("UCBD_CANARY=text.txt", "text.txt, line 1: not JSON"),
        ("UCBD_RECORDS=gone/x.db", "records: gone/x.db: there is no folder gone"),
        ("UCBD_RECORDS=text.txt", "records: text.txt: file is not a database"),
        ("UCBD_REFERENCE_INDEX=gone", "reference_index: gone: must be a folder"),
        ("UCBD_REFERENCE_INDEX=folder", "folder/index.json: No such file"),
        ("UCBD_POINTER=half.json", "half.json: the file: Invalid JSON"),
        ("UCBD_TRIPLES=text.txt", "text.txt: line 1: must be subject, relation, object"),
        ("UCBD_NLI=folder", "folder: holds no config.json"),
        ("UCBD_LARGER_MODEL=x", "larger_upstream and larger_model: give both, or neither"),
        ("OTEL_TRACES_EXPORTER=zipkin", "the environment's OTEL_TRACES_EXPORTER: one of none"),
        (
            "PROMETHEUS_MULTIPROC_DIR=folder",
            "the environment: PROMETHEUS_MULTIPROC_DIR: 'folder' may hold what other processes "
            "have counted: unset it",
        ),
    ],
)
def test_a_start_in_a_bad_environment(variable: str, said: str, here, capsys, monkeypatch):
    monkeypatch.setenv("UCBD_CLUSTERER", "jaccard")
    monkeypatch.setenv(*variable.split("=", 1))
    assert refusal(capsys, "--port", "0").startswith(said)


def test_leftovers_of_other_processes_metrics_are_not_touched(here, capsys, monkeypatch):
    """They are refused as they stand: whoever put them there may want them."""
    left = here / "folder" / "counter_1.db"
    left.write_bytes(b"left")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(here / "folder"))
    refusal(capsys)
    assert [path.name for path in (here / "folder").iterdir()] == ["counter_1.db"]
    assert left.read_bytes() == b"left"


def test_a_port_in_use(here, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal(capsys, "--port", str(port))
    assert said == f"host, port: cannot listen on 127.0.0.1:{port}: Address already in use"


def test_an_address_that_is_not_this_machines(here, capsys):
    said = refusal(capsys, "--host", "203.0.113.9", "--port", "0", "--public-without-keys")
    assert said == "host, port: cannot listen on 203.0.113.9:0: Cannot assign requested address"


@pytest.mark.slow
def test_a_model_beside_the_engine_that_only_loading_shows_to_be_wrong(tmp_path):
    """The gateway listens by then, and ends; the log's last error says why."""
    environment = {"UCBD_CLUSTERER": "nli", "UCBD_NLI": "no-such/model", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.process.scripted_gateway"],
        cwd=ROOT,
        env={**os.environ, "UCBD_PORT": "0", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2, done.stderr
    assert "start-up failed: no-such/model: cannot be loaded" in done.stderr
