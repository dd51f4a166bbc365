"""The tables of change: a revision per entry, what was done by whom, and answers kept for repeated requests.

Rules of this file:

* `registry_entry` outlives what it counts: a deleted entry is a row here and nowhere else (a tombstone), so that its id
  is never used again by accident and its revision never goes back.
* Nothing here is read on the way of a question: no answer can depend on a revision, a tombstone or a change.
"""

from __future__ import annotations

from typing import Literal, get_args

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, LargeBinary, String, Table

from concordat_node.registry.tables import ID_LENGTH, METADATA, one_of

EntryKind = Literal["asset", "agreement", "approval"]
ENTRY_KINDS: tuple[EntryKind, ...] = get_args(EntryKind)
Action = Literal["created", "changed", "deleted", "restored"]
ACTIONS: tuple[Action, ...] = get_args(Action)
ACTOR_LENGTH = 300
KEY_LENGTH = 128

REGISTRY_ENTRY = Table(
    "registry_entry",
    METADATA,
    Column("kind", String(10), primary_key=True, nullable=False),
    Column("entry_id", String(ID_LENGTH), primary_key=True, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    one_of("kind", ENTRY_KINDS),
    CheckConstraint("revision >= 1", name="revision"),
)
REGISTRY_CHANGE = Table(
    "registry_change",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(ACTOR_LENGTH), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("entry_id", String(ID_LENGTH), nullable=False),
    Column("action", String(10), nullable=False),
    Column("revision", Integer, nullable=False),
    one_of("kind", ENTRY_KINDS),
    one_of("action", ACTIONS),
    Index(None, "kind", "entry_id"),
)
IDEMPOTENT_ANSWER = Table(
    "idempotent_answer",
    METADATA,
    Column("actor", String(ACTOR_LENGTH), primary_key=True, nullable=False),
    Column("key", String(KEY_LENGTH), primary_key=True, nullable=False),
    Column("request_sha256", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("location", String(400), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "at"),
)
