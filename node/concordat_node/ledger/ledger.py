"""The log's own database: an answer's entry and its consumed token, in one durable transaction.

Rules of this file:

* The entry and the unique (issuer, token id) row are one transaction, committed before the answer is built. So a token
  is consumed exactly when something was logged, in any number of workers, also after a restart.
* No entry, no answer: every failure of the database is `log_unavailable`, a full disk among them.
* WAL with synchronous=FULL: an acknowledged entry survives a loss of power (NORMAL loses everything since the last
  checkpoint, measured in reference/reliability-security-privacy.md, e).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    func,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError

from concordat_node.ledger.entry import LogEntry, leaf_hash
from concordat_node.registry.engine import Database
from concordat_node.registry.errors import StorageBusy, StorageFailed, StorageFull
from concordat_trust.canonical import JsonObject, parse_object
from concordat_trust.encoding import b64u
from concordat_trust.errors import OperatorError, RefusedDocument

SCHEMA_VERSION = 1
ENTRY_BYTES_MAX = 1_000_000
PAGE_MAX = 1_000

_METADATA = MetaData()
_SCHEMA = Table("ledger_schema", _METADATA, Column("version", Integer, nullable=False))
_ENTRY = Table(
    "entry",
    _METADATA,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("at", Integer, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("canonical", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False, unique=True),
)
_CONSUMED = Table(
    "consumed_token",
    _METADATA,
    Column("issuer", String(40), nullable=False),
    Column("token_id", String(120), nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    UniqueConstraint("issuer", "token_id"),
)


class TokenReplayed(RefusedDocument):
    code = "token_replayed"
    sentence = "This query token has been answered before."
    hint = "Ask again: a retry carries a new token."


class LogUnavailable(OperatorError):
    code = "log_unavailable"
    sentence = "The disclosure log cannot be used ({reason}), so nothing is answered."
    hint = "Free disk space and check the log's file; answers resume by themselves when it can be written."


class LogTooNew(OperatorError):
    code = "log_too_new"
    sentence = "The disclosure log has schema version {version}; this program knows {known}."
    hint = "Run the version of Concordat that wrote it, or a later one."


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One entry as read back, with its position, salt and leaf."""

    position: int
    entry: JsonObject
    salt: str
    leaf: str


class Ledger:
    """The disclosure log. Its methods block; the node calls them on a worker thread."""

    def __init__(self, database: Database) -> None:
        """Create the tables when they are absent. `database` is opened with FULL. Raises: LogTooNew, LogUnavailable."""
        self._database = database
        with _unavailable(), database.writing() as connection:
            _prepare(connection)

    def append(self, entry: LogEntry, *, salt: bytes) -> str:
        """Commit the entry and consume its token; return the leaf for the attestation (base64url).

        Raises: TokenReplayed when (issuer, token id) was consumed before; LogUnavailable when nothing was committed.
        """
        canonical = entry.canonical()
        leaf = leaf_hash(canonical, salt)
        with _unavailable(), self._database.writing() as connection:
            _consume(connection, entry, leaf)
            row = {"at": entry.at, "salt": salt, "canonical": canonical, "leaf": leaf}
            connection.execute(insert(_ENTRY).values(row))
        return b64u(leaf)

    def count(self) -> int:
        """Return how many answers have been logged. Raises: LogUnavailable."""
        with _unavailable(), self._database.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(_ENTRY)).scalar_one())

    def entries(self, *, after: int = 0, limit: int = 100) -> tuple[StoredEntry, ...]:
        """Return entries in the order of writing, from the position after `after`. Raises: LogUnavailable."""
        rows = select(_ENTRY).where(_ENTRY.c.position > after).order_by(_ENTRY.c.position)
        with _unavailable(), self._database.reading() as connection:
            found = connection.execute(rows.limit(min(limit, PAGE_MAX))).all()
        return tuple(
            StoredEntry(
                row.position, parse_object(row.canonical, bytes_max=ENTRY_BYTES_MAX), b64u(row.salt), b64u(row.leaf)
            )
            for row in found
        )

    def close(self) -> None:
        """Close the file; the log can be opened again."""
        self._database.close()


def _prepare(connection: Connection) -> None:
    _METADATA.create_all(connection)
    version = connection.execute(select(_SCHEMA.c.version)).scalar_one_or_none()
    if version is None:
        connection.execute(insert(_SCHEMA).values(version=SCHEMA_VERSION))
    elif version > SCHEMA_VERSION:
        raise LogTooNew(version=version, known=SCHEMA_VERSION)


def _consume(connection: Connection, entry: LogEntry, leaf: bytes) -> None:
    row = {"issuer": entry.issuer, "token_id": entry.token_id, "leaf": leaf}
    try:
        connection.execute(insert(_CONSUMED).values(row))
    except IntegrityError as error:
        raise TokenReplayed from error


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (StorageFull, StorageBusy, StorageFailed) as error:
        raise LogUnavailable(reason=error.code) from error
