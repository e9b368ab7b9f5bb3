"""From a URL to a database that is ready: driver, pragmas, tables, version. Knows no record.

SQLite runs with a write-ahead log. A commit survives the death of the process always, and that of
the machine where its transaction was ``DURABLE``.
"""

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any

from sqlalchemy import URL, Connection, event, insert, make_url, select, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ucbd.models.errors import StoreFailed, StoreUnusable
from ucbd.models.store.tables import METADATA, SCHEMA, SCHEMA_VERSION

WRITES, DURABLE = "ucbd_writes", "ucbd_durable"
_BUSY_SECONDS = 10
_ONE_WRITER = text("SELECT pg_advisory_xact_lock(1969447524)")  # "ucbd" as a number

DATABASE_ERRORS = (SQLAlchemyError, OSError, TimeoutError)
"""What a database raises, its driver's own errors included; all become ours."""


class Database:
    """A database of this project's tables. Open one with ``Database.open``."""

    def __init__(self, engine: AsyncEngine, shown: str, lock: IO[str] | None) -> None:
        self._engine = engine
        self._lock = lock
        self.shown = shown

    @classmethod
    async def open(cls, where: str, *, serving: bool) -> "Database":
        """Connect, and make the tables where there are none.

        ``where`` is a file, or a URL (``sqlite:///FILE``, ``postgresql://USER:PASSWORD@HOST/NAME``).
        A gateway (``serving``) has an SQLite file to itself; the commands may read and label beside
        it. Raises ``StoreUnusable``, which never shows a password.
        """
        url = database_url(where)
        sqlite = url.get_backend_name() == "sqlite"
        shown = str(url.database) if sqlite else url.render_as_string(hide_password=True)
        lock = _prepare_file(Path(str(url.database)), serving) if sqlite else None
        database = cls(_engine(url), shown, lock)
        try:
            async with database._engine.connect() as connection:
                connection = await connection.execution_options(**{WRITES: True, DURABLE: True})
                async with connection.begin():
                    await database._alone(connection)
                    await connection.run_sync(_make_tables, shown)
        except DATABASE_ERRORS as error:
            await database.close()
            raise StoreUnusable(f"records: {shown}: {_cause(error)}") from error
        except StoreUnusable:
            await database.close()
            raise
        return database

    @asynccontextmanager
    async def writing(self, *, durable: bool) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes, one at a time in the whole store; committed at the end.

        Raises ``StoreFailed``, and then nothing was written.
        """
        try:
            async with self._engine.connect() as connection:
                connection = await connection.execution_options(**{WRITES: True, DURABLE: durable})
                async with connection.begin():
                    await self._alone(connection)
                    yield connection
        except DATABASE_ERRORS as error:
            raise StoreFailed(f"{self.shown}: {_cause(error)}") from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees one state of the store. Raises ``StoreFailed``."""
        try:
            async with self._engine.connect() as connection:
                yield connection
        except DATABASE_ERRORS as error:
            raise StoreFailed(f"{self.shown}: {_cause(error)}") from error

    async def close(self) -> None:
        """Give back every connection, and the file."""
        await self._engine.dispose()
        if self._lock is not None:
            self._lock.close()

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    async def _alone(self, connection: AsyncConnection) -> None:
        """PostgreSQL's writers in turn, so that numbers are committed in their order.

        SQLite has one writer by itself.
        """
        if self.dialect == "postgresql":
            await connection.execute(_ONE_WRITER)


def database_url(where: str) -> URL:
    """The URL that a setting means. Raises ``StoreUnusable`` without repeating it."""
    if "://" not in where:
        return URL.create("sqlite+aiosqlite", database=where)
    try:
        url = make_url(where)
    except (ArgumentError, ValueError) as error:
        raise StoreUnusable("records: neither a file nor the URL of a database") from error
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database:
        return URL.create("sqlite+aiosqlite", database=url.database)
    if backend in ("postgresql", "postgres") and url.database:
        return url.set(drivername="postgresql+asyncpg")
    raise StoreUnusable(
        "records: must be a file, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME, "
        f"got {url.render_as_string(hide_password=True)}"
    )


def check_there(where: str) -> None:
    """Raise ``StoreUnusable`` for a file that is not there: a mistyped path is no empty store."""
    url = database_url(where)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        raise StoreUnusable(f"records: {url.database}: there is no such file")


def _engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, connect_args={"timeout": _BUSY_SECONDS})
        event.listen(engine.sync_engine, "connect", _connected)
        event.listen(engine.sync_engine, "begin", _begun)
        return engine
    try:
        return create_async_engine(
            url, pool_pre_ping=True, connect_args={"timeout": 10, "command_timeout": 60}
        )
    except ModuleNotFoundError as error:
        message = "needs the extra 'postgresql': pip install 'ucbd-gateway[postgresql]'"
        raise StoreUnusable(f"records: {message}") from error


def _prepare_file(path: Path, serving: bool) -> IO[str] | None:
    """A new file is readable by its owner alone; the lock says whose gateway it is.

    A file that is there is left to SQLite: closing it here would drop the locks that SQLite holds
    on it in this process.
    """
    if not path.parent.is_dir():
        raise StoreUnusable(f"records: {path}: there is no folder {path.parent}")
    lock = None
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if serving:
            lock = path.with_name(path.name + ".lock").open("w")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreUnusable(
            f"records: {path} belongs to another gateway process; several processes need "
            "PostgreSQL (records = postgresql://USER:PASSWORD@HOST/NAME)"
        ) from error
    except OSError as error:
        raise StoreUnusable(f"records: {path}: {error.strerror}") from error
    return lock


def _connected(connection: Any, _: Any) -> None:
    """Every new SQLite connection: our own BEGIN, a write-ahead log, no dangling label."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begun(connection: Connection) -> None:
    """A writer takes the write lock at once: one that reads first could find it gone."""
    options = connection.get_execution_options()
    if not options.get(WRITES):
        connection.exec_driver_sql("BEGIN")
        return
    level = "FULL" if options.get(DURABLE) else "NORMAL"
    connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _make_tables(connection: Connection, shown: str) -> None:
    METADATA.create_all(connection, tables=[SCHEMA])
    found = connection.execute(select(SCHEMA.c.version)).scalar()
    if found is not None and found != SCHEMA_VERSION:
        made = "a newer" if found > SCHEMA_VERSION else "another"
        raise StoreUnusable(
            f"records: {shown} is of schema {found}, made by {made} version of the gateway; this "
            f"one reads schema {SCHEMA_VERSION}. Nothing in it was changed"
        )
    if found is None:
        METADATA.create_all(connection)
        connection.execute(insert(SCHEMA).values(version=SCHEMA_VERSION))


def _cause(error: BaseException) -> str:
    """The database's own words, without the statement and its values: they may hold text."""
    driver = getattr(error, "orig", None)
    return str(driver or getattr(error, "strerror", None) or error) or type(error).__name__
