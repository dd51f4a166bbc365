"""SQLite as Concordat uses it: one writer, several read-only readers, and storage failures with a name.

Rules of this file:

* Nothing outside it knows SQLite: store and index speak SQLAlchemy Core, so that PostgreSQL stays possible.
* One writer connection, each transaction begun with BEGIN IMMEDIATE: a deferred transaction that later writes can fail
  half-way with a deadlock. Readers open the file read-only and see one snapshot per transaction.
* WAL. `NORMAL` for what can be imported or built again; `FULL` for a ledger, where an acknowledged commit must survive
  a loss of power (measured: NORMAL loses everything since the last checkpoint).
* The file is created with mode 0600; SQLite gives its -wal and -shm files the same.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from concordat_node.registry.errors import StorageBusy, StorageFailed, StorageFull
from concordat_trust.errors import OperatorError

Durability = Literal["NORMAL", "FULL"]
BUSY_TIMEOUT_MS = 5_000
READERS_MAX = 4
_POSTGRES_DISK_FULL = "53100"


@dataclass(frozen=True, slots=True)
class Database:
    """One database: transactions that write, one at a time, and transactions that only read."""

    writer: Engine
    reader: Engine

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield the writer inside a transaction, of which all or nothing is kept.

        Raises: StorageFull, StorageBusy, StorageFailed.
        """
        with storage_errors(), self.writer.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a read-only connection that sees one snapshot. Raises: StorageBusy, StorageFailed."""
        with storage_errors(), self.reader.begin() as connection:
            yield connection

    def close(self) -> None:
        # The writer goes last: the last connection to close folds the WAL into the file, and a reader may not.
        self.reader.dispose()
        self.writer.dispose()


def open_database(
    path: Path,
    *,
    durability: Durability = "NORMAL",
    readers: int = READERS_MAX,
    busy_timeout_ms: int = BUSY_TIMEOUT_MS,
) -> Database:
    """Return the database at `path`, created empty with mode 0600 when it is not there.

    Raises: StorageFull, StorageBusy, StorageFailed (a missing folder, a foreign file, a file that is no database).
    """
    patience = f"busy_timeout={busy_timeout_ms}"
    with storage_errors():
        _create(path)
        writer = _engine(path, "rw", 1, (patience, "journal_mode=WAL", f"synchronous={durability}"))
        # The writer's first connection switches the file to WAL before any reader opens it.
        with writer.begin():
            pass
        return Database(writer, _engine(path, "ro", readers, (patience, "query_only=ON")))


def open_ledger_database(path: Path) -> Database:
    """Return a database whose acknowledged commits survive a loss of power. Raises: as `open_database`."""
    return open_database(path, durability="FULL")


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise _from_errno(error) from error


def _from_errno(error: OSError) -> OperatorError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull()
    return StorageFailed(reason=errno.errorcode.get(error.errno or 0, "unknown"))


def _engine(path: Path, mode: Literal["rw", "ro"], connections: int, pragmas: tuple[str, ...]) -> Engine:
    def connect() -> sqlite3.Connection:
        # isolation_level=None: Python's own implicit BEGIN is deferred; ours is set below.
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode={mode}", uri=True, check_same_thread=False, isolation_level=None
        )
        try:
            for pragma in (*pragmas, "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    engine = create_engine(
        "sqlite://",
        hide_parameters=True,  # a failure's text goes to logs; ids and terms do not
        creator=connect,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_MS / 1000,
    )
    begin = "BEGIN IMMEDIATE" if mode == "rw" else "BEGIN"

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "begin", on_begin)
    return engine


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn failures of disk and database into operator errors; a broken constraint stays what it is: a bug."""
    try:
        yield
    except PoolTimeout as error:
        raise StorageBusy from error
    except (DBAPIError, sqlite3.Error) as error:
        named = _from_database(error.orig if isinstance(error, DBAPIError) else error)
        if named is None:
            raise
        raise named from error


def _from_database(error: BaseException | None) -> OperatorError | None:
    if getattr(error, "sqlstate", None) == _POSTGRES_DISK_FULL:
        return StorageFull()
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(code, int) or isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
        return None
    primary = code & 0xFF  # Extended result codes carry the primary one in their low byte.
    if primary == sqlite3.SQLITE_FULL:
        return StorageFull()
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageBusy()
    return StorageFailed(reason=str(getattr(error, "sqlite_errorname", "unknown")).lower())
