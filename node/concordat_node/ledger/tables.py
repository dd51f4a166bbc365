"""The tables of the disclosure log, and how an older file becomes a current one.

Rules of this file:

* `entry.position` is the leaf's index in the tree, from 0, without gaps. `subtree` holds the hash of every perfect
  subtree of two or more leaves, under its number in the tree; a leaf's own hash stands in its entry.
* A file of version 1 (no tree, positions from 1) is brought up to date in the transaction that opens it. It is refused
  when an entry is missing or does not give its leaf: a tree built over it would call the damage genuine.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    cast,
    insert,
    select,
    update,
)

from concordat_node.ledger.entry import SALT_BYTES, leaf_hash
from concordat_trust.errors import OperatorError
from concordat_trust.log_proof import Subtree, frontier, grow

SCHEMA_VERSION = 2
PAGE_MAX = 1_000

METADATA = MetaData()
SCHEMA = Table("ledger_schema", METADATA, Column("version", Integer, nullable=False))
ENTRY = Table(
    "entry",
    METADATA,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("at", Integer, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("canonical", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False, unique=True),
)
SUBTREE = Table(
    "subtree",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)
CONSUMED = Table(
    "consumed_token",
    METADATA,
    Column("issuer", String(40), nullable=False),
    Column("token_id", String(120), nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    UniqueConstraint("issuer", "token_id"),
)
AS_BYTES = select(
    ENTRY.c.position,
    ENTRY.c.at,
    *(cast(column, LargeBinary).label(column.name) for column in (ENTRY.c.salt, ENTRY.c.canonical, ENTRY.c.leaf)),
).order_by(ENTRY.c.position)
"""Entries as they are, in order; whoever edits the file can write a text where bytes belong."""
_INSERT_SUBTREE = insert(SUBTREE)


class LogTooNew(OperatorError):
    code = "log_too_new"
    sentence = "The disclosure log has schema version {version}; this program knows {known}."
    hint = "Run the version of Concordat that wrote it, or a later one."


class LogDamaged(OperatorError):
    code = "log_damaged"
    sentence = "The disclosure log is damaged at position {position}: {problem}."
    hint = "Keep this file as it is, and restore the log from a backup; `concordat node log verify` says what is wrong."


def prepare(connection: Connection) -> None:
    """Make the tables that are absent, and bring an older file up to date. Raises: LogTooNew, LogDamaged."""
    METADATA.create_all(connection)
    version = connection.execute(select(SCHEMA.c.version)).scalar_one_or_none()
    if version is None:
        connection.execute(insert(SCHEMA).values(version=SCHEMA_VERSION))
        return
    if version > SCHEMA_VERSION:
        raise LogTooNew(version=version, known=SCHEMA_VERSION)
    if version == 1:
        _grow_tree_from_version_1(connection)
        connection.execute(update(SCHEMA).values(version=SCHEMA_VERSION))


def insert_subtrees(connection: Connection, completed: Sequence[tuple[Subtree, bytes]]) -> None:
    """Store the subtrees that a leaf completes."""
    if completed:
        rows = [{"number": place.number, "hash": digest} for place, digest in completed]
        connection.execute(_INSERT_SUBTREE, rows)


def leaf_of(canonical: bytes, salt: bytes) -> bytes | None:
    """Return the leaf of an entry as it is stored, None when there is none for a salt of this length."""
    return leaf_hash(canonical, salt) if len(salt) == SALT_BYTES else None


def _grow_tree_from_version_1(connection: Connection) -> None:
    standing: dict[Subtree, bytes] = {}
    size = 0
    while rows := connection.execute(AS_BYTES.where(ENTRY.c.position > size).limit(PAGE_MAX)).all():
        for row in rows:
            if row.position != size + 1:
                raise LogDamaged(position=size + 1, problem="there is no entry")
            if leaf_of(row.canonical, row.salt) != row.leaf:
                raise LogDamaged(position=size + 1, problem="the entry does not give its leaf")
            grown = grow([standing[place] for place in frontier(size)], size, row.leaf)
            insert_subtrees(connection, grown.completed)
            known = {**standing, Subtree(size, 0): row.leaf, **dict(grown.completed)}
            size += 1
            standing = {place: known[place] for place in frontier(size)}
    # Ascending, so that each number is free when an entry moves to it.
    for position in range(1, size + 1):
        connection.execute(update(ENTRY).where(ENTRY.c.position == position).values(position=position - 1))
