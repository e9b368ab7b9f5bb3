"""Stores to test: a fresh SQLite file, and a database of a real PostgreSQL where there is one."""

import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.servers import free_port
from ucbd.models.store.rows import Certificate, RequestRecord
from ucbd.models.store.store import RecordStore

RECORD = RequestRecord(
    id="gen-1",
    asked_at=1_795_000_000.25,
    model="m",
    model_revision="r1",
    policy="default",
    decision="answer",
    boundary="none",
    uncertainty=0.25,
    confidence=0.8,
    rung="fluency",
    certificate=Certificate("c1", 0.1),
    served_by=None,
    audit=True,
    scores={"mean_token_entropy": 0.5, "p_true": None},
    stages=[{"name": "fluency", "score": 0.5, "outcome": "accepted"}],
    text={"prompt": "Où? \x00 \ud800", "answer": {"text": "Ici.", "tokens": 2}},
)
"""With text that a database could stumble over."""


def records(n: int, **changes: object) -> list[RequestRecord]:
    """``gen-1`` … ``gen-n``."""
    return [replace(RECORD, id=f"gen-{i}", **changes) for i in range(1, n + 1)]


def _postgresql_programs() -> Path | None:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL, without a database, of a PostgreSQL server that runs for these tests alone."""
    pytest.importorskip("asyncpg", reason="asyncpg is not installed")
    programs = _postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    if os.geteuid() == 0 and shutil.which("runuser") is None:
        pytest.skip("PostgreSQL does not run as root, and there is no runuser")
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path("/tmp") / f"ucbd-postgresql-{uuid.uuid4().hex[:8]}"  # its user must reach it
    folder.mkdir()
    if as_user:
        shutil.chown(folder, "postgres")
    port, data = free_port(), folder / "data"
    initdb = [programs / "initdb", "-D", data, "-U", "ucbd", "-A", "trust", "-E", "UTF8", "-N"]
    run = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder, "timeout": 300}
    subprocess.run([*as_user, *initdb], **run)
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
    control = [*as_user, programs / "pg_ctl", "-D", data, "-w", "-t", "240", "-l", folder / "log"]
    try:
        subprocess.run([*control, "-o", options, "start"], **run)
        yield f"postgresql://ucbd@127.0.0.1:{port}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **run | {"check": False})
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database, of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "records.db")
    server = request.getfixturevalue("postgresql")
    name = f"test_{uuid.uuid4().hex[:12]}"
    command = ["psql", "-q", f"{server}/postgres", "-c", f"CREATE DATABASE {name}"]
    subprocess.run(command, check=True, timeout=300)
    return f"{server}/{name}"


@pytest.fixture
async def store(where: str) -> AsyncIterator[RecordStore]:
    store = await RecordStore.open(where, serving=True)
    yield store
    await store.close()
