"""The log's own database: an answer's entry, its consumed token and its place in the tree, in one durable transaction.

Rules of this file:

* The entry, the unique (issuer, token id) row and the hashes that the entry adds to the tree are one transaction,
  committed before the answer is built. So a token is consumed exactly when something was logged, in any number of
  workers, also after a restart, and every entry has a proof from its first moment on.
* An append reads and writes at most one hash per level of the tree (RFC 6962 §2.1), never the entries before it.
* The issuer's report of the token's use is due from the same transaction on (`outbox`).
* No entry, no answer: every failure of the database is `log_unavailable`, a full disk and a hash that is missing from
  the tree among them.
* WAL with synchronous=FULL: an acknowledged entry survives a loss of power (NORMAL loses everything since the last
  checkpoint, measured in reference/reliability-security-privacy.md, e).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, insert, select
from sqlalchemy.exc import IntegrityError

from concordat_node.ledger.entry import LogEntry, leaf_hash
from concordat_node.ledger.outbox import insert_use
from concordat_node.ledger.tables import CONSUMED, ENTRY, PAGE_MAX, SUBTREE, insert_subtrees, prepare
from concordat_node.registry.engine import Database
from concordat_node.registry.errors import StorageBusy, StorageFailed, StorageFull
from concordat_trust.canonical import JsonObject, parse_object
from concordat_trust.encoding import b64u
from concordat_trust.errors import OperatorError, RefusedDocument, RequesterError
from concordat_trust.log_proof import (
    Subtree,
    consistency_path,
    frontier,
    grow,
    inclusion_path,
    root_of,
)

ENTRY_BYTES_MAX = 1_000_000

# Made once: building them anew costs more than running them.
_LAST_POSITION = select(func.max(ENTRY.c.position))
_SUBTREES = select(SUBTREE.c.number, SUBTREE.c.hash).where(SUBTREE.c.number.in_(bindparam("numbers", expanding=True)))
_LEAVES = select(ENTRY.c.position, ENTRY.c.leaf).where(ENTRY.c.position.in_(bindparam("positions", expanding=True)))
_INSERT_ENTRY = insert(ENTRY)
_INSERT_CONSUMED = insert(CONSUMED)


class TokenReplayed(RefusedDocument):
    code = "token_replayed"
    sentence = "This query token has been answered before."
    hint = "Ask again: a retry carries a new token."


class LogUnavailable(OperatorError):
    code = "log_unavailable"
    sentence = "The disclosure log cannot be used ({reason}), so nothing is answered."
    hint = "Free disk space and check the log's file; answers resume by themselves when it can be written."


class LogPositionUnknown(RequesterError):
    code = "log_position_unknown"
    sentence = "The disclosure log has {size} entries; there is nothing at {position}."
    hint = "Positions are counted from 0; `concordat node log list` shows them."


class _HashMissing(Exception):
    """The tree lacks the hash of a subtree; inside this file only."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One entry as read back, with its position, salt and leaf."""

    position: int
    entry: JsonObject
    salt: str
    leaf: str


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry's place in the tree: leaf `index` of the tree of `size` entries with this root, proved by `path`."""

    leaf: bytes
    index: int
    size: int
    path: tuple[bytes, ...]
    root: bytes


@dataclass(frozen=True, slots=True)
class Continued:
    """The log of `size` entries, and the proof that it continues its own first `old_size` entries."""

    old_size: int
    old_root: bytes
    size: int
    root: bytes
    path: tuple[bytes, ...]


class Ledger:
    """The disclosure log. Its methods block; the node calls them on a worker thread."""

    def __init__(self, database: Database) -> None:
        """Create the tables when they are absent. `database` is opened with FULL.

        Raises: LogTooNew, LogDamaged, LogUnavailable.
        """
        self._database = database
        with _unavailable(), database.writing() as connection:
            prepare(connection)

    @property
    def database(self) -> Database:
        """The log's database, for who reads it whole (`verifying`)."""
        return self._database

    def append(self, entry: LogEntry, *, salt: bytes) -> Logged:
        """Commit the entry and consume its token; return its place in the tree that it is the last leaf of.

        Raises: TokenReplayed when (issuer, token id) was consumed before; LogUnavailable when nothing was committed.
        """
        canonical = entry.canonical()
        leaf = leaf_hash(canonical, salt)
        with _unavailable(), self._database.writing() as connection:
            _consume(connection, entry, leaf)
            size = _size(connection)
            grown = grow(_hashes(connection, frontier(size)), size, leaf)
            row = {"position": size, "at": entry.at, "salt": salt, "canonical": canonical, "leaf": leaf}
            connection.execute(_INSERT_ENTRY, row)
            insert_subtrees(connection, grown.completed)
            insert_use(connection, entry)
        return Logged(leaf, size, size + 1, grown.path, grown.root)

    def count(self) -> int:
        """Return how many answers have been logged. Raises: LogUnavailable."""
        with _unavailable(), self._database.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(ENTRY)).scalar_one())

    def entries(self, *, after: int = -1, limit: int = 100) -> tuple[StoredEntry, ...]:
        """Return entries in the order of writing, from the position after `after`. Raises: LogUnavailable."""
        rows = select(ENTRY).where(ENTRY.c.position > after).order_by(ENTRY.c.position)
        with _unavailable(), self._database.reading() as connection:
            found = connection.execute(rows.limit(min(limit, PAGE_MAX))).all()
        return tuple(
            StoredEntry(
                row.position, parse_object(row.canonical, bytes_max=ENTRY_BYTES_MAX), b64u(row.salt), b64u(row.leaf)
            )
            for row in found
        )

    def prove(self, position: int) -> Logged:
        """Return an entry's place in the tree as it is now. Raises: LogPositionUnknown, LogUnavailable."""
        with _unavailable(), self._database.reading() as connection:
            size = _size(connection)
            if not 0 <= position < size:
                raise LogPositionUnknown(position=position, size=size)
            (leaf,) = _hashes(connection, [Subtree(position, 0)])
            path = inclusion_path(position, size, lambda place: _hashes(connection, [place])[0])
            return Logged(leaf, position, size, path, _root(connection, size))

    def state(self) -> tuple[int, bytes]:
        """Return size and root of the tree as it is now. Raises: LogUnavailable."""
        with _unavailable(), self._database.reading() as connection:
            size = _size(connection)
            return size, _root(connection, size)

    def continued(self, old_size: int) -> Continued:
        """Return the proof that the tree continues its first `old_size` entries.

        Raises: LogPositionUnknown, LogUnavailable.
        """
        with _unavailable(), self._database.reading() as connection:
            size = _size(connection)
            if not 0 <= old_size <= size:
                raise LogPositionUnknown(position=old_size - 1, size=size)
            path = consistency_path(old_size, size, lambda place: _hashes(connection, [place])[0])
            return Continued(old_size, _root(connection, old_size), size, _root(connection, size), path)

    def close(self) -> None:
        """Close the file; the log can be opened again."""
        self._database.close()


def _size(connection: Connection) -> int:
    last = connection.execute(_LAST_POSITION).scalar_one()
    return 0 if last is None else int(last) + 1


def _root(connection: Connection, size: int) -> bytes:
    return root_of(_hashes(connection, frontier(size)))


def _hashes(connection: Connection, places: Sequence[Subtree]) -> list[bytes]:
    """Return the stored hashes of these subtrees, in their order."""
    numbers = [place.number for place in places if place.level]
    positions = [place.last for place in places if not place.level]
    subtrees: dict[int, bytes] = {}
    leaves: dict[int, bytes] = {}
    if numbers:
        subtrees = {row.number: row.hash for row in connection.execute(_SUBTREES, {"numbers": numbers})}
    if positions:
        leaves = {row.position: row.leaf for row in connection.execute(_LEAVES, {"positions": positions})}
    try:
        return [subtrees[place.number] if place.level else leaves[place.last] for place in places]
    except KeyError as error:
        raise _HashMissing from error


def _consume(connection: Connection, entry: LogEntry, leaf: bytes) -> None:
    row = {"issuer": entry.issuer, "token_id": entry.token_id, "leaf": leaf}
    try:
        connection.execute(_INSERT_CONSUMED, row)
    except IntegrityError as error:
        raise TokenReplayed from error


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (StorageFull, StorageBusy, StorageFailed) as error:
        raise LogUnavailable(reason=error.code) from error
    except _HashMissing as error:
        raise LogUnavailable(reason="tree_damaged") from error
