"""A registry entry as the document that an import line would be, and back: one form and one set of rules. Pure.

`read_document(document(x)) == x` for everything the registry holds.
"""

from __future__ import annotations

from concordat_node.registry.entry_tables import EntryKind
from concordat_node.registry.records import (
    NO_EMBARGO,
    Agreement,
    Approval,
    AssetRecord,
    EvaluationRecord,
    PolicyAttributes,
    VersionRecord,
)
from concordat_node.registry.rules import Imported, ImportedAsset, Owner, read_line
from concordat_node.registry.writing import EntryKey, entry_of
from concordat_trust.canonical import JsonObject
from concordat_trust.lineage import RELATIONS, AssertedEdge
from concordat_trust.shape import DocumentMalformed


def read_document(data: bytes, kind: EntryKind, owner: Owner, *, entry_id: str | None = None) -> Imported:
    """Return what a document says; it must be of the kind and, where one is given, of the id.

    Raises: what an import line is refused with, and DocumentMalformed for another type or id.
    """
    item = read_line(data, owner)
    found: EntryKey = entry_of(item)
    if found[0] != kind:
        raise DocumentMalformed(where="line", field="type", problem=f"is not that of an {kind}")
    if entry_id is not None and found[1] != entry_id:
        raise DocumentMalformed(where="line", field="id", problem="is not the id in the address")
    return item


def document(item: Imported) -> JsonObject:
    """Return the document of an entry: everything that is stored, under the names of an import line."""
    match item:
        case ImportedAsset():
            return _asset(item.record, item.policy)
        case Agreement():
            return {"type": "agreement", **item.to_json()}
        case Approval():
            return {"type": "approval", **item.to_json()}


def _asset(record: AssetRecord, policy: PolicyAttributes) -> JsonObject:
    found: JsonObject = {
        "type": record.kind,
        "id": str(record.id),
        "title": record.title,
        "created": record.created,
        "summary": record.summary,
        "description": record.description,
        "keywords": list(record.keywords),
        "task": record.task,
        "framework": record.framework,
        "modality": record.modality,
        "license": record.license,
        "origin": record.origin,
        "version": record.version or None,
        "versions": [version_document(item) for item in record.versions],
        "cohort_size": record.cohort_size,
        "contact": record.contact,
        "evaluations": [_evaluation(item) for item in record.evaluations],
        "lineage": [_edge(record, item) for item in record.lineage],
        "policy": _policy(policy),
    }
    if record.kind == "model":
        found["trained_on"] = [str(item) for item in record.trained_on]
    return found


def _edge(record: AssetRecord, item: AssertedEdge) -> JsonObject:
    edge = item.edge
    word = edge.relation if edge.source == record.id else RELATIONS[edge.relation].inverse
    return {"relation": word, "id": str(edge.other_end(record.id)), "asserted_on": item.asserted_on}


def version_document(item: VersionRecord) -> JsonObject:
    """Return one version as it stands in `versions`."""
    return {
        "label": item.label,
        "released": item.released,
        "digest": item.digest or None,
        "changes": item.changes,
        "status": item.status,
    }


def _evaluation(item: EvaluationRecord) -> JsonObject:
    return {
        "metric": item.metric,
        "value": item.value,
        "split": item.split,
        "unit": item.unit,
        "dataset": item.dataset,
        "dataset_id": None if item.dataset_id is None else str(item.dataset_id),
        "interval_low": item.interval_low,
        "interval_high": item.interval_high,
        "version": item.version or None,
    }


def _policy(policy: PolicyAttributes) -> JsonObject:
    found = policy.to_json()
    del found["kind"]
    return {**found, "embargo_until": None if policy.embargo_until == NO_EMBARGO else policy.embargo_until}
