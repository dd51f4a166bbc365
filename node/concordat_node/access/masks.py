"""A registry record and its decision, as the card, asset or lineage vertex that may leave.

Rules of this file:

* Pure, and the only place where fields of an `AssetRecord` become fields of an answer. It masks, it does not decide.
* Every field of the projection is present. A hidden one is null and named in `masked_fields`, whose content depends on
  the decision and the projection alone, never on whether the record has a value there.
* An own asset is named (`dataset_id`, `trained_on`, an end of an edge) only when it is itself visible to this
  requester, with the title its own decision leaves; agreements are named only when the decision cites them.
* An edge whose own end is not visible, or whose fields are hidden, is not there. Nothing says that it was left out:
  `complete` is what the policy lets the owner say, and depends on no edge.
* Where `versions` is hidden, no evaluation says which version was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from concordat_node.policy.engine import Decision
from concordat_node.registry.records import Agreement, AssetRecord, EvaluationRecord, PolicyAttributes
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.ids import AssetId
from concordat_trust.lineage import EDGE_MASKS
from concordat_trust.question import Projection
from concordat_trust.records import CARD_FIELDS, fields_of


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of the neighbourhood may be named: visible own assets with their disclosed title, agreements by id."""

    assets: Mapping[AssetId, str | None]
    agreements: Mapping[str, Agreement]


def masked_record(
    record: AssetRecord,
    attributes: PolicyAttributes,
    decision: Decision,
    *,
    projection: Projection,
    around: Surroundings,
) -> JsonObject:
    """Return the canonical record object of the projection, hidden fields null."""
    hidden = decision.hidden
    full = _bookkeeping(record, decision)
    if projection == "lineageVertex":
        full |= {"complete": True, "edges": shown_edges(record, hidden, around), "title": record.title}
    else:
        full |= _card(record, attributes, decision, around)
    if projection == "asset":
        full |= _asset_only(record, attributes, decision, around)
    fields = fields_of(projection)
    masked = {field: None if field in hidden else full[field] for field in fields}
    # A vertex has no field of these names, but its edges go with them.
    named = {*fields, *EDGE_MASKS} if projection == "lineageVertex" else set(fields)
    masked["masked_fields"] = list[Json](sorted(hidden & named))
    return masked


def disclosed_fields(masked: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the maskable fields that left with content, for the log entry."""
    return tuple(sorted(field for field, value in masked.items() if value is not None and field not in _BOOKKEEPING))


_BOOKKEEPING = frozenset(CARD_FIELDS[:4]) | {"masked_fields", "missing", "obligations", "agreement_ids", "valid_until"}


def shown_edges(record: AssetRecord, hidden: Set[str], around: Surroundings) -> list[Json]:
    """Return the edges that this asset asserts and that may be told, in an order of their own."""
    told = [item for item in record.edges if not item.edge.is_hidden(hidden)]
    named = [item for item in told if item.edge.is_foreign or item.edge.other_end(record.id) in around.assets]
    return [item.to_json() for item in sorted(named)]


def _bookkeeping(record: AssetRecord, decision: Decision) -> JsonObject:
    return {
        "id": str(record.id),
        "kind": record.kind,
        "organization": str(record.id.org),
        "level": decision.level.name,
        "masked_fields": [],
        "missing": [{"code": item.code, "who_can_grant": item.who_can_grant} for item in decision.missing],
        "obligations": [{"code": item.code, "text": item.text} for item in decision.obligations],
        "agreement_ids": list[Json](sorted(decision.agreement_ids)),
        "valid_until": decision.valid_until,
    }


def _card(record: AssetRecord, attributes: PolicyAttributes, decision: Decision, around: Surroundings) -> JsonObject:
    return {
        "title": record.title,
        "summary": record.summary,
        "keywords": list[Json](record.keywords),
        "description": record.description,
        "task": record.task,
        "framework": record.framework,
        "modality": record.modality,
        "license": record.license,
        "origin": record.origin,
        "created": record.created,
        "evaluations": [_evaluation(item, decision, around) for item in record.evaluations],
        "conditions": _conditions(attributes),
    }


def _asset_only(
    record: AssetRecord, attributes: PolicyAttributes, decision: Decision, around: Surroundings
) -> JsonObject:
    cited = [around.agreements[item] for item in sorted(decision.agreement_ids) if item in around.agreements]
    return {
        "version": record.current_version,
        "versions": [
            {"label": item.label, "released": item.released, "digest": item.digest, "changes": item.changes}
            for item in record.versions
        ],
        "cohort_size": record.cohort_size,
        "contact": record.contact,
        "sensitivity": attributes.sensitivity,
        "trained_on": [
            {"id": str(item), "title": around.assets[item]} for item in record.trained_on if item in around.assets
        ],
        "agreements": [
            {
                "id": item.id,
                "title": item.title,
                "digest": item.document_digest,
                "valid_until": item.valid_until,
            }
            for item in cited
        ],
    }


def _evaluation(item: EvaluationRecord, decision: Decision, around: Surroundings) -> JsonObject:
    dataset_id = item.dataset_id
    return {
        "metric": item.metric,
        "value": item.value,
        "unit": item.unit,
        "dataset": item.dataset,
        "dataset_id": str(dataset_id) if dataset_id is not None and dataset_id in around.assets else None,
        "split": item.split,
        "interval_low": item.interval_low,
        "interval_high": item.interval_high,
        "version": None if "versions" in decision.hidden else item.version,
    }


def _conditions(attributes: PolicyAttributes) -> JsonObject:
    return {
        "permission": attributes.permission,
        "disease": attributes.disease,
        "modifiers": [
            {
                "code": modifier.code,
                "parameters": [{"name": name, "value": value} for name, value in modifier.parameters],
            }
            for modifier in attributes.modifiers
        ],
    }
