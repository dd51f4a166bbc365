"""Revisions, tombstones and changes of registry entries; every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from concordat_node.registry.entry_tables import REGISTRY_CHANGE, REGISTRY_ENTRY, Action, EntryKind
from concordat_node.registry.store import in_chunks

CHANGE_KEPT_S = 2 * 365 * 86_400
"""How long the list of changes says who did what; it names people."""
CHANGES_SWEPT = 1_000
IMPORT_ACTOR = "import"
"""Who changed an entry by the import command; people are named by their provider's subject, after "person:"."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of an entry beside its content; a deleted one is a tombstone."""

    revision: int
    is_deleted: bool


def read_entries(connection: Connection, kind: EntryKind, ids: Sequence[str]) -> dict[str, Entry]:
    """Return those of `ids` that were ever registered."""
    found: dict[str, Entry] = {}
    for chunk in in_chunks(ids):
        wanted = (REGISTRY_ENTRY.c.kind == kind) & REGISTRY_ENTRY.c.entry_id.in_(chunk)
        for row in connection.execute(select(REGISTRY_ENTRY).where(wanted)):
            found[row.entry_id] = Entry(row.revision, row.is_deleted)
    return found


def note_written(
    connection: Connection, kind: EntryKind, ids: Sequence[str], known: Mapping[str, Entry], *, actor: str, at: int
) -> None:
    """Count one revision for each of `ids`, which were written; `known` is what `read_entries` said before."""
    new = [item for item in ids if item not in known]
    old = [item for item in ids if item in known]
    if new:
        rows = [{"kind": kind, "entry_id": item, "revision": 1, "is_deleted": False} for item in new]
        connection.execute(insert(REGISTRY_ENTRY), rows)
    _count(connection, kind, old, is_deleted=False)
    restored = [item for item in old if known[item].is_deleted]
    changed = [item for item in old if not known[item].is_deleted]
    actions: tuple[tuple[Action, list[str]], ...] = (("created", new), ("changed", changed), ("restored", restored))
    for action, items in actions:
        revisions = {item: known[item].revision + 1 if item in known else 1 for item in items}
        _note(connection, kind, revisions, action, actor=actor, at=at)


def note_deleted(connection: Connection, kind: EntryKind, entry_id: str, entry: Entry, *, actor: str, at: int) -> None:
    """Turn an entry into a tombstone, one revision later."""
    _count(connection, kind, [entry_id], is_deleted=True)
    _note(connection, kind, {entry_id: entry.revision + 1}, "deleted", actor=actor, at=at)


def list_entries(
    connection: Connection, kind: EntryKind, *, after: str, limit: int, is_deleted: bool
) -> list[tuple[str, Entry]]:
    """Return (id, entry) in the order of ids, from the first one behind `after`."""
    wanted = (REGISTRY_ENTRY.c.kind == kind) & (REGISTRY_ENTRY.c.is_deleted == is_deleted)
    query = select(REGISTRY_ENTRY).where(wanted & (REGISTRY_ENTRY.c.entry_id > after))
    rows = connection.execute(query.order_by(REGISTRY_ENTRY.c.entry_id).limit(limit)).all()
    return [(row.entry_id, Entry(row.revision, row.is_deleted)) for row in rows]


def _count(connection: Connection, kind: EntryKind, ids: Iterable[str], *, is_deleted: bool) -> None:
    rows = [{"of_kind": kind, "of_id": item} for item in ids]
    if rows:
        mine = (REGISTRY_ENTRY.c.kind == bindparam("of_kind")) & (REGISTRY_ENTRY.c.entry_id == bindparam("of_id"))
        values = {"revision": REGISTRY_ENTRY.c.revision + 1, "is_deleted": is_deleted}
        connection.execute(update(REGISTRY_ENTRY).where(mine).values(values), rows)


def _note(
    connection: Connection, kind: EntryKind, revisions: Mapping[str, int], action: Action, *, actor: str, at: int
) -> None:
    rows = [
        {"at": at, "actor": actor, "kind": kind, "entry_id": item, "action": action, "revision": revision}
        for item, revision in revisions.items()
    ]
    if rows:
        connection.execute(insert(REGISTRY_CHANGE), rows)
        _forget_changes(connection, now=at, count=len(rows) + CHANGES_SWEPT)


def _forget_changes(connection: Connection, *, now: int, count: int) -> None:
    """Drop old changes among the oldest `count`: more than were just written, so that old ones never pile up."""
    number, at = REGISTRY_CHANGE.c.number, REGISTRY_CHANGE.c.at
    oldest = connection.execute(select(number, at).order_by(number).limit(count)).all()
    old = [row.number for row in oldest if row.at <= now - CHANGE_KEPT_S]
    for chunk in in_chunks(old):
        connection.execute(delete(REGISTRY_CHANGE).where(number.in_(chunk)))
