"""What the registry holds, read as records. Every method is one read transaction.

Rules of this file:

* A policy class whose stored attributes no longer hash to its id was changed behind the registry's back. It is left out
  everywhere: a class that is not there is visible to nobody, so damage closes and never opens.
* A member or holder is read only when its row says one thing: a person, or the whole organization. What lost its rows,
  or its pseudonym, names nobody.
* Nothing here decides visibility. The callers are the policy engine, the gate, and the index's own rebuild.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Row, Select, Table, select

from concordat_node.registry.engine import Database
from concordat_node.registry.records import (
    Agreement,
    Approval,
    AssetRecord,
    EvaluationRecord,
    Modifier,
    PolicyAttributes,
    Subject,
    VersionRecord,
    newest_first,
)
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
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.lineage import AssertedEdge, LineageEdge, LineageRelation

CHUNK = 500
"""How many values one IN list carries: well under what any database allows."""

_T = TypeVar("_T")


def in_chunks(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield `values` in pieces of at most CHUNK."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


class RegistryStore:
    """The registry of one node."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def revision(self) -> int:
        """Return a number that grows with every change. It is internal: no answer may carry it."""
        with self._database.reading() as connection:
            return int(connection.execute(select(REGISTRY_STATE.c.revision)).scalar() or 0)

    def classes(self) -> dict[str, PolicyAttributes]:
        """Return every policy class that has an asset, by class id."""
        with self._database.reading() as connection:
            return {key: held for key, held in _classes(connection).items() if held.class_id == key}

    def damaged_classes(self) -> tuple[str, ...]:
        """Return the ids of classes whose attributes do not hash to them; their assets are visible to nobody."""
        with self._database.reading() as connection:
            return tuple(sorted(key for key, held in _classes(connection).items() if held.class_id != key))

    def class_attributes(self, ids: Iterable[AssetId]) -> dict[AssetId, PolicyAttributes]:
        """Return the current policy attributes of those of `ids` that exist."""
        with self._database.reading() as connection:
            return read_attributes(connection, [str(asset_id) for asset_id in ids])

    def assets(self, ids: Iterable[AssetId]) -> dict[AssetId, AssetRecord]:
        """Return those of `ids` that exist, as published. Only the gate may turn them into something that leaves."""
        with self._database.reading() as connection:
            found = read_assets(connection, [str(asset_id) for asset_id in ids])
            return {record.id: record.published() for record in found}

    def agreements(self) -> dict[str, Agreement]:
        """Return every agreement by id, also revoked and expired ones: policy decides by the clock it is given."""
        with self._database.reading() as connection:
            return read_agreements(connection)

    def approvals(self) -> dict[str, Approval]:
        """Return every ethics approval by id, also revoked and expired ones."""
        with self._database.reading() as connection:
            return read_approvals(connection)


def read_attributes(connection: Connection, ids: Sequence[str]) -> dict[AssetId, PolicyAttributes]:
    """Return the current policy attributes of those of `ids` that exist and whose class is not damaged."""
    columns = select(ASSET.c.asset_id, ASSET.c.class_id)
    rows = _where_in(connection, columns, ASSET.c.asset_id, ids)
    found: dict[str, str] = {row.asset_id: row.class_id for row in rows}
    classes = _classes(connection, sorted(set(found.values())))
    attributes = {AssetId.parse(asset_id): classes[class_id] for asset_id, class_id in found.items()}
    return {key: held for key, held in attributes.items() if held.class_id == found[str(key)]}


def read_agreements(connection: Connection, ids: Sequence[str] | None = None) -> dict[str, Agreement]:
    """Return agreements by id: every one, or those of `ids` that exist."""
    parties = _grouped(connection, AGREEMENT_PARTY, ids)
    members = _grouped(connection, AGREEMENT_MEMBER, ids)
    purposes = _grouped(connection, AGREEMENT_PURPOSE, ids)
    rows = _where_in(connection, select(AGREEMENT), AGREEMENT.c.agreement_id, ids)
    return {
        row.agreement_id: Agreement(
            id=row.agreement_id,
            title=row.title,
            parties=tuple(OrgId.parse(party.organization) for party in parties[row.agreement_id]),
            members=_subjects(members[row.agreement_id]),
            purposes=tuple(purpose.purpose for purpose in purposes[row.agreement_id]),
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            status=row.status,
            document_digest=row.document_digest,
            contact=row.contact,
        )
        for row in rows
    }


def read_approvals(connection: Connection, ids: Sequence[str] | None = None) -> dict[str, Approval]:
    """Return ethics approvals by id: every one, or those of `ids` that exist."""
    holders = _grouped(connection, APPROVAL_HOLDER, ids)
    purposes = _grouped(connection, APPROVAL_PURPOSE, ids)
    rows = _where_in(connection, select(APPROVAL), APPROVAL.c.approval_id, ids)
    return {
        row.approval_id: Approval(
            id=row.approval_id,
            board=row.board,
            protocol=row.protocol,
            holders=_subjects(holders[row.approval_id]),
            purposes=tuple(purpose.purpose for purpose in purposes[row.approval_id]),
            approved_at=row.approved_at,
            expires_at=row.expires_at,
            status=row.status,
            document_digest=row.document_digest,
        )
        for row in rows
    }


def read_assets(connection: Connection, ids: Sequence[str]) -> Iterator[AssetRecord]:
    """Yield the assets among `ids` that exist, with everything that belongs to them, withdrawn versions included."""
    for chunk in in_chunks(ids):
        keywords = _grouped(connection, ASSET_KEYWORD, chunk)
        evaluations = _grouped(connection, EVALUATION, chunk)
        versions = _grouped(connection, ASSET_VERSION, chunk)
        edges = _grouped(connection, LINEAGE_EDGE, chunk)
        for row in connection.execute(select(ASSET).where(ASSET.c.asset_id.in_(chunk))).all():
            yield AssetRecord(
                id=AssetId.parse(row.asset_id),
                title=row.title,
                class_id=row.class_id,
                created=row.created,
                summary=row.summary,
                description=row.description,
                keywords=tuple(item.keyword for item in keywords[row.asset_id]),
                task=row.task,
                framework=row.framework,
                modality=row.modality,
                license=row.license,
                origin=row.origin,
                version=row.version,
                cohort_size=row.cohort_size,
                contact=row.contact,
                evaluations=tuple(_evaluation(item) for item in evaluations[row.asset_id]),
                versions=newest_first(_version(item) for item in versions[row.asset_id]),
                trained_on=tuple(
                    AssetId.parse(item.end_id) for item in edges[row.asset_id] if _is_written_as(item, "trained_on")
                ),
                lineage=tuple(
                    _asserted(item)
                    for item in edges[row.asset_id]
                    if not (_is_written_as(item, "trained_on") or _is_written_as(item, "evaluated_on"))
                ),
            )


def _is_written_as(row: Row[Any], relation: LineageRelation) -> bool:
    """Whether this edge has a field of its own in the record of its source."""
    return bool(row.is_source) and row.relation == relation


def _asserted(row: Row[Any]) -> AssertedEdge:
    own, end = AssetId.parse(row.asset_id), AssetId.parse(row.end_id)
    source, target = (own, end) if row.is_source else (end, own)
    return AssertedEdge(LineageEdge(row.relation, source, target), row.asserted_on)


def _evaluation(row: Row[Any]) -> EvaluationRecord:
    return EvaluationRecord(
        metric=row.metric,
        value=row.value,
        split=row.split,
        unit=row.unit,
        dataset=row.dataset,
        dataset_id=None if row.dataset_id is None else AssetId.parse(row.dataset_id),
        interval_low=row.interval_low,
        interval_high=row.interval_high,
        version=row.version,
    )


def _version(row: Row[Any]) -> VersionRecord:
    return VersionRecord(row.label, row.released, row.digest, row.changes, row.status)


def _classes(connection: Connection, ids: Sequence[str] | None = None) -> dict[str, PolicyAttributes]:
    modifiers = _grouped(connection, POLICY_CLASS_MODIFIER, ids)
    parameters = _grouped(connection, POLICY_CLASS_PARAMETER, ids)
    agreements = _grouped(connection, POLICY_CLASS_AGREEMENT, ids)
    approvals = _grouped(connection, POLICY_CLASS_APPROVAL, ids)
    rows = _where_in(connection, select(POLICY_CLASS), POLICY_CLASS.c.class_id, ids)
    return {
        row.class_id: PolicyAttributes(
            kind=row.kind,
            sensitivity=row.sensitivity,
            permission=row.permission,
            disease=row.disease or None,
            modifiers=_modifiers(modifiers[row.class_id], parameters[row.class_id]),
            agreements=tuple(item.agreement_id for item in agreements[row.class_id]),
            approvals=tuple(item.approval_id for item in approvals[row.class_id]),
            discoverable=row.discoverable,
            summary_metrics=row.summary_metrics,
            relay_may_read=row.relay_may_read,
            embargo_until=row.embargo_until,
            status=row.status,
            lineage=row.lineage,
        ).in_order()
        for row in rows
    }


def _modifiers(modifiers: Sequence[Row[Any]], parameters: Sequence[Row[Any]]) -> tuple[Modifier, ...]:
    held: dict[str, list[tuple[str, str]]] = {row.code: [] for row in modifiers}
    for row in parameters:
        held.setdefault(row.code, []).append((row.name, row.value))
    return tuple(Modifier(code, tuple(pairs)) for code, pairs in held.items())


def _subjects(rows: Sequence[Row[Any]]) -> tuple[Subject, ...]:
    """Return whom the rows name; a row whose mark and pseudonym contradict each other names nobody."""
    return tuple(
        (OrgId.parse(row.organization), None if row.is_whole_organization else row.pseudonym)
        for row in rows
        if row.is_whole_organization == (row.pseudonym == "")
    )


def _where_in(
    connection: Connection, query: Select[Any], column: Column[str], values: Sequence[str] | None
) -> list[Row[Any]]:
    if values is None:
        return list(connection.execute(query.order_by(column)))
    return [row for chunk in in_chunks(values) for row in connection.execute(query.where(column.in_(chunk)))]


def _grouped(connection: Connection, table: Table, ids: Sequence[str] | None = None) -> Mapping[str, list[Row[Any]]]:
    """Return the rows of a table by the first column of its key, in the order of the whole key."""
    key = list(table.primary_key)
    query = select(table).order_by(*key)
    grouped: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in _where_in(connection, query, key[0], ids):
        grouped[row[0]].append(row)
    return grouped
