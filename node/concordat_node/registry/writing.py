"""How a batch of records enters the registry and its index: whole, in the caller's one transaction.

Rules of this file:

* Importing an id again replaces everything that belonged to it; within a batch the last line wins.
* Index rows change in the same transaction, so that no reader ever sees an asset under a class it no longer has.
* A policy class that no asset has any more is removed: it would only be work for the policy engine.
* A deleted id is not written again, unless the caller says that it is restored.
* Revisions and the list of changes are written with what they tell of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, Table, delete, func, insert, select, update

from concordat_node.registry.entries import IMPORT_ACTOR, note_deleted, note_written, read_entries
from concordat_node.registry.entry_tables import ENTRY_KINDS, EntryKind
from concordat_node.registry.records import Agreement, Approval, AssetRecord, PolicyAttributes, Subject
from concordat_node.registry.rules import Imported, ImportedAsset
from concordat_node.registry.store import in_chunks
from concordat_node.registry.tables import (
    AGREEMENT,
    AGREEMENT_MEMBER,
    AGREEMENT_PARTY,
    AGREEMENT_PURPOSE,
    APPROVAL,
    APPROVAL_HOLDER,
    APPROVAL_PURPOSE,
    ASSET,
    ASSET_KEYWORD,
    ASSET_VERSION,
    EVALUATION,
    LINEAGE_EDGE,
    POLICY_CLASS,
    POLICY_CLASS_AGREEMENT,
    POLICY_CLASS_APPROVAL,
    POLICY_CLASS_MODIFIER,
    POLICY_CLASS_PARAMETER,
    REGISTRY_STATE,
)
from concordat_trust.ids import AssetId

Rows = list[dict[str, Any]]
EntryKey = tuple[EntryKind, str]


class IndexWriter(Protocol):
    """The index's side of a registry transaction."""

    def remove(self, connection: Connection, ids: Sequence[str]) -> None:
        """Remove the rows of assets that are still in the registry, before they are replaced or deleted."""
        ...

    def add(self, connection: Connection, records: Sequence[AssetRecord]) -> None:
        """Add the rows of assets whose classes are in the registry."""
        ...


def entry_of(item: Imported) -> EntryKey:
    """Return the kind and id of what a line says."""
    match item:
        case ImportedAsset():
            return "asset", str(item.record.id)
        case Agreement():
            return "agreement", item.id
        case Approval():
            return "approval", item.id


def write_batch(
    connection: Connection,
    batch: Iterable[Imported],
    index: IndexWriter,
    *,
    now: int,
    actor: str = IMPORT_ACTOR,
    restoring: EntryKey | None = None,
) -> frozenset[EntryKey]:
    """Store a batch; the caller's transaction makes it all or nothing.

    Returns the entries that were not stored because they are deleted; `restoring` is one that may be.
    """
    items = {entry_of(item): item for item in batch}
    refused: set[EntryKey] = set()
    for kind in ENTRY_KINDS:
        ids = [entry_id for of_kind, entry_id in items if of_kind == kind]
        known = read_entries(connection, kind, ids)
        gone = {item for item in ids if item in known and known[item].is_deleted and (kind, item) != restoring}
        refused |= {(kind, item) for item in gone}
        note_written(connection, kind, [item for item in ids if item not in gone], known, actor=actor, at=now)
    kept = [item for key, item in items.items() if key not in refused]
    _put_agreements(connection, [item for item in kept if isinstance(item, Agreement)])
    _put_approvals(connection, [item for item in kept if isinstance(item, Approval)])
    assets = {str(item.record.id): item for item in kept if isinstance(item, ImportedAsset)}
    _put_assets(connection, assets, index, now)
    _next_revision(connection)
    return frozenset(refused)


def delete_entry(connection: Connection, key: EntryKey, index: IndexWriter, *, now: int, actor: str) -> None:
    """Delete an entry's content and leave its tombstone. It must be there and not be deleted."""
    kind, entry_id = key
    known = read_entries(connection, kind, [entry_id])
    note_deleted(connection, kind, entry_id, known[entry_id], actor=actor, at=now)
    match kind:
        case "asset":
            delete_assets(connection, [AssetId.parse(entry_id)], index)
        case "agreement":
            _delete(connection, AGREEMENT, [entry_id])
        case "approval":
            _delete(connection, APPROVAL, [entry_id])
    _next_revision(connection)


def delete_assets(connection: Connection, ids: Iterable[AssetId], index: IndexWriter) -> None:
    """Delete the content of assets, without a tombstone; ids that are not there are passed over."""
    keys = [str(asset_id) for asset_id in ids]
    index.remove(connection, keys)
    _delete(connection, ASSET, keys)
    _drop_unused_classes(connection)
    _next_revision(connection)


def _put_assets(connection: Connection, assets: dict[str, ImportedAsset], index: IndexWriter, now: int) -> None:
    if not assets:
        return
    _put_classes(connection, {item.record.class_id: item.policy for item in assets.values()})
    index.remove(connection, list(assets))
    _delete(connection, ASSET, list(assets))
    records = [item.record for item in assets.values()]
    _insert(connection, ASSET, [_asset_row(record, now) for record in records])
    _insert(connection, ASSET_KEYWORD, [row for record in records for row in _keyword_rows(record)])
    _insert(connection, EVALUATION, [row for record in records for row in _evaluation_rows(record)])
    _insert(connection, LINEAGE_EDGE, [row for record in records for row in _edge_rows(record)])
    _insert(connection, ASSET_VERSION, [row for record in records for row in _version_rows(record)])
    index.add(connection, [record.published() for record in records])
    _drop_unused_classes(connection)


def _put_classes(connection: Connection, classes: dict[str, PolicyAttributes]) -> None:
    known: set[str] = set()
    for chunk in in_chunks(list(classes)):
        known.update(
            connection.execute(select(POLICY_CLASS.c.class_id).where(POLICY_CLASS.c.class_id.in_(chunk))).scalars()
        )
    new = {class_id: held for class_id, held in classes.items() if class_id not in known}
    first = int(connection.execute(select(func.max(POLICY_CLASS.c.number))).scalar() or 0) + 1
    numbered = enumerate(new.items(), start=first)
    _insert(connection, POLICY_CLASS, [_class_row(class_id, number, held) for number, (class_id, held) in numbered])
    modifiers = [(class_id, modifier) for class_id, held in new.items() for modifier in held.modifiers]
    _insert(
        connection, POLICY_CLASS_MODIFIER, [{"class_id": key, "code": modifier.code} for key, modifier in modifiers]
    )
    _insert(
        connection,
        POLICY_CLASS_PARAMETER,
        [
            {"class_id": key, "code": modifier.code, "name": name, "value": value}
            for key, modifier in modifiers
            for name, value in modifier.parameters
        ],
    )
    agreements = [(class_id, agreement) for class_id, held in new.items() for agreement in held.agreements]
    _insert(
        connection,
        POLICY_CLASS_AGREEMENT,
        [{"class_id": key, "agreement_id": agreement} for key, agreement in agreements],
    )
    approvals = [(class_id, approval) for class_id, held in new.items() for approval in held.approvals]
    _insert(
        connection,
        POLICY_CLASS_APPROVAL,
        [{"class_id": key, "approval_id": approval} for key, approval in approvals],
    )


def _class_row(class_id: str, number: int, held: PolicyAttributes) -> dict[str, Any]:
    return {
        "class_id": class_id,
        "number": number,
        "kind": held.kind,
        "sensitivity": held.sensitivity,
        "permission": held.permission,
        "disease": held.disease or "",
        "discoverable": held.discoverable,
        "summary_metrics": held.summary_metrics,
        "relay_may_read": held.relay_may_read,
        "embargo_until": held.embargo_until,
        "status": held.status,
        "lineage": held.lineage,
    }


def _drop_unused_classes(connection: Connection) -> None:
    used = select(ASSET.c.asset_id).where(ASSET.c.class_id == POLICY_CLASS.c.class_id)
    connection.execute(delete(POLICY_CLASS).where(~used.exists()))


def _asset_row(record: AssetRecord, now: int) -> dict[str, Any]:
    return {
        "asset_id": str(record.id),
        "class_id": record.class_id,
        "title": record.title,
        "summary": record.summary,
        "description": record.description,
        "task": record.task,
        "framework": record.framework,
        "modality": record.modality,
        "license": record.license,
        "origin": record.origin,
        "created": record.created,
        "version": record.version,
        "cohort_size": record.cohort_size,
        "contact": record.contact,
        "imported_at": now,
    }


def _keyword_rows(record: AssetRecord) -> Rows:
    return [
        {"asset_id": str(record.id), "position": position, "keyword": keyword}
        for position, keyword in enumerate(record.keywords)
    ]


def _evaluation_rows(record: AssetRecord) -> Rows:
    return [
        {
            "asset_id": str(record.id),
            "position": position,
            "metric": item.metric,
            "value": item.value,
            "split": item.split,
            "unit": item.unit,
            "dataset": item.dataset,
            "dataset_id": None if item.dataset_id is None else str(item.dataset_id),
            "interval_low": item.interval_low,
            "interval_high": item.interval_high,
            "version": item.version,
        }
        for position, item in enumerate(record.evaluations)
    ]


def _edge_rows(record: AssetRecord) -> Rows:
    return [
        {
            "asset_id": str(record.id),
            "position": position,
            "edge_id": item.edge.id,
            "relation": item.edge.relation,
            "end_id": str(item.edge.other_end(record.id)),
            "is_source": item.edge.source == record.id,
            "asserted_on": item.asserted_on,
        }
        for position, item in enumerate(record.edges)
    ]


def _version_rows(record: AssetRecord) -> Rows:
    return [
        {
            "asset_id": str(record.id),
            "label": item.label,
            "released": item.released,
            "digest": item.digest,
            "changes": item.changes,
            "status": item.status,
        }
        for item in record.versions
    ]


def _put_agreements(connection: Connection, agreements: list[Agreement]) -> None:
    _delete(connection, AGREEMENT, [item.id for item in agreements])
    columns = ("title", "valid_from", "valid_until", "status", "document_digest", "contact")
    key = "agreement_id"
    _insert(
        connection,
        AGREEMENT,
        [{key: item.id, **{name: getattr(item, name) for name in columns}} for item in agreements],
    )
    _insert(
        connection,
        AGREEMENT_PARTY,
        [{key: item.id, "organization": str(party)} for item in agreements for party in item.parties],
    )
    _insert(
        connection, AGREEMENT_MEMBER, [row for item in agreements for row in _subject_rows(key, item.id, item.members)]
    )
    _insert(
        connection,
        AGREEMENT_PURPOSE,
        [{key: item.id, "purpose": code} for item in agreements for code in item.purposes],
    )


def _put_approvals(connection: Connection, approvals: list[Approval]) -> None:
    _delete(connection, APPROVAL, [item.id for item in approvals])
    columns = ("board", "protocol", "approved_at", "expires_at", "status", "document_digest")
    key = "approval_id"
    _insert(
        connection, APPROVAL, [{key: item.id, **{name: getattr(item, name) for name in columns}} for item in approvals]
    )
    _insert(
        connection, APPROVAL_HOLDER, [row for item in approvals for row in _subject_rows(key, item.id, item.holders)]
    )
    _insert(
        connection, APPROVAL_PURPOSE, [{key: item.id, "purpose": code} for item in approvals for code in item.purposes]
    )


def _subject_rows(key: str, grant_id: str, subjects: Iterable[Subject]) -> Rows:
    return [
        {
            key: grant_id,
            "organization": str(organization),
            "pseudonym": pseudonym or "",
            "is_whole_organization": pseudonym is None,
        }
        for organization, pseudonym in subjects
    ]


def _delete(connection: Connection, table: Table, ids: Sequence[str]) -> None:
    """Delete by the first key column; what belongs to the rows goes with them (ON DELETE CASCADE)."""
    key = next(iter(table.primary_key))
    for chunk in in_chunks(ids):
        connection.execute(delete(table).where(key.in_(chunk)))


def _insert(connection: Connection, table: Table, rows: Rows) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _next_revision(connection: Connection) -> None:
    changed = connection.execute(update(REGISTRY_STATE).values(revision=REGISTRY_STATE.c.revision + 1))
    if not changed.rowcount:
        connection.execute(insert(REGISTRY_STATE).values(single=1, revision=1))
