"""Reading and changing the registry for a registrar. Every change is one transaction.

Rules of this file:

* In the transaction: the kept answer of the same request, else the revision that the registrar read, else the rules of
  an import line, then content, index, revision, list of changes and kept answer. All of it or nothing.
* A change of a part (a version, an evaluation) is a change of the asset's document, read by the same rules as a whole.
* Deleting leaves a tombstone: id and revision. The content is gone; restoring brings a document with it.
* A change takes effect with the next question: decisions are remembered under the registry's revision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from concordat_node.registration.documents import document, read_document
from concordat_node.registration.errors import (
    EntryExists,
    EntryNotDeleted,
    EntryUnknown,
    PreconditionRequired,
    RevisionChanged,
)
from concordat_node.registration.idempotency import Answer, Once, forget, keep, recall, sweep
from concordat_node.registration.registrar import Registrar
from concordat_node.registry.engine import Database
from concordat_node.registry.entries import Entry, list_entries, read_entries
from concordat_node.registry.entry_tables import EntryKind
from concordat_node.registry.errors import EntryDeleted, IndexStale, StorageFailed
from concordat_node.registry.lineage_check import LineageCheck, sources_in
from concordat_node.registry.rules import Imported, ImportedAsset, Owner
from concordat_node.registry.store import read_agreements, read_approvals, read_assets, read_attributes
from concordat_node.registry.writing import EntryKey, delete_entry, entry_of, write_batch
from concordat_node.search.index_writer import PostingWriter, index_revision
from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.text import TermStatistics

LIST_MAX = 200
COLLECTIONS: dict[EntryKind, str] = {"asset": "assets", "agreement": "agreements", "approval": "approvals"}
ROOT = "/v1/registry"

Edit = Callable[[JsonObject], JsonObject]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for a change, on which revision (`if_match`, as sent), and whether it may be a repetition."""

    registrar: Registrar
    if_match: str | None = None
    once: Once | None = None


def etag(revision: int) -> str:
    """Return the strong entity tag of a revision (RFC 9110 §8.8.3)."""
    return f'"{revision}"'


class Registration:
    """The registry as its registrars see it. Every method blocks; call it off the event loop."""

    def __init__(
        self,
        *,
        database: Database,
        owner: Callable[[], Owner],
        statistics: Callable[[], TermStatistics],
        clock: Callable[[], int],
    ) -> None:
        self._database = database
        self._owner = owner
        self._statistics = statistics
        self._clock = clock

    def entries(self, _registrar: Registrar, kind: EntryKind, *, after: str, is_deleted: bool) -> JsonObject:
        """Return a page of ids with their revisions, and the id to go on after; null at the end."""
        with self._database.reading() as connection:
            found = list_entries(connection, kind, after=after, limit=LIST_MAX + 1, is_deleted=is_deleted)
        page = found[:LIST_MAX]
        items: list[Json] = [{"id": entry_id, "revision": entry.revision} for entry_id, entry in page]
        return {"entries": items, "next": page[-1][0] if len(found) > LIST_MAX else None}

    def read(self, _registrar: Registrar, key: EntryKey) -> Answer:
        """Return an entry's document. Raises: EntryUnknown; EntryDeleted for a tombstone."""
        with self._database.reading() as connection:
            entry = _alive(connection, key)
            return Answer(200, entry.revision, canonical_bytes(document(_content(connection, key))))

    def create(self, asked: Asked, kind: EntryKind, data: bytes) -> Answer:
        """Register a new entry. Raises: the refusals of a document, EntryExists, EntryDeleted."""

        def effect(connection: Connection, now: int) -> Answer:
            item = read_document(data, kind, self._owner())
            key = entry_of(item)
            entry = _entry(connection, key)
            if entry is not None:
                raise EntryDeleted(field="id") if entry.is_deleted else EntryExists
            return self._written(connection, asked, item, 201, now)

        return self._change(asked, effect)

    def replace(self, asked: Asked, key: EntryKey, data: bytes) -> Answer:
        """Replace an entry as a whole. Raises: the refusals of a document and of a precondition."""
        return self._edit(asked, key, lambda _: data)

    def edit(self, asked: Asked, asset_id: str, edit: Edit) -> Answer:
        """Change a part of an asset's document. Raises: as `replace`, and what `edit` raises."""

        def edited(connection: Connection) -> bytes:
            return canonical_bytes(edit(document(_content(connection, ("asset", asset_id)))))

        return self._edit(asked, ("asset", asset_id), edited)

    def restore(self, asked: Asked, key: EntryKey, data: bytes) -> Answer:
        """Write a deleted entry again. Raises: the refusals of a document and of a precondition, EntryNotDeleted."""

        def effect(connection: Connection, now: int) -> Answer:
            entry = _entry(connection, key)
            if entry is None:
                raise EntryUnknown
            _refuse_precondition(asked, entry)
            if not entry.is_deleted:
                raise EntryNotDeleted
            item = read_document(data, key[0], self._owner(), entry_id=key[1])
            return self._written(connection, asked, item, 200, now)

        return self._change(asked, effect)

    def delete(self, asked: Asked, key: EntryKey) -> Answer:
        """Delete an entry's content and leave its tombstone. Raises: the refusals of a precondition."""

        def effect(connection: Connection, now: int) -> Answer:
            entry = _alive(connection, key)
            _refuse_precondition(asked, entry)
            delete_entry(connection, key, self._index(connection), now=now, actor=asked.registrar.actor)
            forget(connection, key[1])
            return Answer(204, entry.revision + 1)

        return self._change(asked, effect)

    def _edit(self, asked: Asked, key: EntryKey, data: Callable[[Connection], bytes]) -> Answer:
        def effect(connection: Connection, now: int) -> Answer:
            _refuse_precondition(asked, _alive(connection, key))
            item = read_document(data(connection), key[0], self._owner(), entry_id=key[1])
            return self._written(connection, asked, item, 200, now)

        return self._change(asked, effect)

    def _change(self, asked: Asked, effect: Callable[[Connection, int], Answer]) -> Answer:
        now, actor = self._clock(), asked.registrar.actor
        # The writer's transaction is begun first: of two requests with one key, the second one waits for the first.
        with self._database.writing() as connection:
            sweep(connection, now=now)
            if asked.once is None:
                return effect(connection, now)
            known = recall(connection, actor, asked.once)
            if known is not None:
                return known
            answer = effect(connection, now)
            keep(connection, actor, asked.once, answer, now=now)
            return answer

    def _written(self, connection: Connection, asked: Asked, item: Imported, status: int, now: int) -> Answer:
        key = entry_of(item)
        if isinstance(item, ImportedAsset):
            LineageCheck(sources_in(connection)).admit(item.record)
        write_batch(connection, [item], self._index(connection), now=now, actor=asked.registrar.actor, restoring=key)
        entry = _alive(connection, key)
        location = f"{ROOT}/{COLLECTIONS[key[0]]}/{key[1]}" if status == 201 else ""
        return Answer(status, entry.revision, canonical_bytes(document(item)), location)

    def _index(self, connection: Connection) -> PostingWriter:
        statistics = self._statistics()
        if index_revision(connection) != statistics.revision:
            raise IndexStale
        return PostingWriter(statistics)


def _entry(connection: Connection, key: EntryKey) -> Entry | None:
    return read_entries(connection, key[0], [key[1]]).get(key[1])


def _alive(connection: Connection, key: EntryKey) -> Entry:
    entry = _entry(connection, key)
    if entry is None:
        raise EntryUnknown
    if entry.is_deleted:
        raise EntryDeleted(field="id")
    return entry


def _content(connection: Connection, key: EntryKey) -> Imported:
    kind, entry_id = key
    match kind:
        case "asset":
            record = next(read_assets(connection, [entry_id]))
            policy = read_attributes(connection, [entry_id]).get(record.id)
            if policy is None:
                raise StorageFailed(reason="the policy class of this asset is damaged")
            return ImportedAsset(record, policy)
        case "agreement":
            return read_agreements(connection, [entry_id])[entry_id]
        case "approval":
            return read_approvals(connection, [entry_id])[entry_id]


def _refuse_precondition(asked: Asked, entry: Entry) -> None:
    """Raises: PreconditionRequired, RevisionChanged. `*` names no revision that was read, and is none."""
    if asked.if_match is None:
        raise PreconditionRequired
    if etag(entry.revision) not in [tag.strip() for tag in asked.if_match.split(",")]:
        raise RevisionChanged
