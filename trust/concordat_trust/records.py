"""The fixed shapes in which a record travels between organizations: card, asset and lineage vertex.

Every field is always present; null means masked (or, for `unit`, interval and links, absent). A text that exists but is
empty is `""`, so that the text level of a card can be read off it. Unknown fields of a record are kept and hashed, so a
newer node can say more than this reader understands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from concordat_trust.canonical import INTEGER_MAX, Json, JsonObject
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import ASSET_KINDS, AssetId
from concordat_trust.lineage import read_edges
from concordat_trust.question import Projection

CARD_FIELDS = (
    "id",
    "kind",
    "organization",
    "level",
    "title",
    "summary",
    "keywords",
    "description",
    "task",
    "framework",
    "modality",
    "license",
    "origin",
    "created",
    "evaluations",
    "conditions",
    "masked_fields",
    "missing",
    "obligations",
    "agreement_ids",
    "valid_until",
)
ASSET_FIELDS = (
    *CARD_FIELDS,
    "version",
    "versions",
    "cohort_size",
    "contact",
    "sensitivity",
    "trained_on",
    "agreements",
)
LINEAGE_FIELDS = (
    "id",
    "kind",
    "organization",
    "level",
    "title",
    "edges",
    "complete",
    "masked_fields",
    "obligations",
    "agreement_ids",
    "valid_until",
)
_FIELDS: Mapping[Projection, tuple[str, ...]] = {
    "card": CARD_FIELDS,
    "asset": ASSET_FIELDS,
    "lineageVertex": LINEAGE_FIELDS,
}

_TEXTS = (
    "title",
    "summary",
    "description",
    "task",
    "framework",
    "modality",
    "license",
    "origin",
    "created",
    "version",
    "contact",
)
_TEXT_LISTS = ("keywords", "masked_fields", "agreement_ids")
_OBJECT_LISTS = {
    "evaluations": (
        "metric",
        "value",
        "unit",
        "dataset",
        "dataset_id",
        "split",
        "interval_low",
        "interval_high",
        "version",
    ),
    "versions": ("label", "released", "digest", "changes"),
    "missing": ("code", "who_can_grant"),
    "obligations": ("code", "text"),
    "trained_on": ("id", "title"),
    "agreements": ("id", "title", "digest", "valid_until"),
}
_REQUIRED = ("id", "kind", "organization", "level")
_REQUIRED_OF_VERTEX = ("edges", "masked_fields")
_INTEGERS = ("valid_until", "cohort_size", "sensitivity")
LEVELS = ("SUMMARY", "FULL")
LIST_MAX = 200
TEXT_MAX = 20_000
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,12})?")


class RecordMalformed(RefusedDocument):
    code = "record_malformed"
    sentence = "A record has no valid field {field!r}."
    hint = "The node does not follow the wire schema; its operator must look at it."


def fields_of(projection: Projection) -> tuple[str, ...]:
    """Return the field names of a projection."""
    return _FIELDS[projection]


def validate_record(record: JsonObject, projection: Projection) -> None:
    """Check the shape of a record that another organization sent.

    Raises: RecordMalformed with the first field that is missing or has a wrong type, length or value.
    """
    for field in fields_of(projection):
        if field not in record:
            raise RecordMalformed(field=field)
        _check_field(field, record[field])
    asset_id = AssetId.parse(str(record["id"]))
    if record["kind"] != asset_id.kind:
        raise RecordMalformed(field="kind")
    if record["organization"] != asset_id.org:
        raise RecordMalformed(field="organization")
    if projection == "lineageVertex":
        _check_vertex(record, asset_id)


def _check_vertex(record: JsonObject, asset_id: AssetId) -> None:
    for field in _REQUIRED_OF_VERTEX:
        if record[field] is None:
            raise RecordMalformed(field=field)
    try:
        edges = read_edges(record["edges"], asset_id)
    except RefusedDocument as error:
        raise RecordMalformed(field="edges") from error
    masked = record["masked_fields"]
    # What is said to be masked is not there: a foreign id beside a masked `lineage` would be a contradiction.
    hidden = {str(field) for field in masked} if isinstance(masked, list) else set[str]()
    if any(item.edge.is_hidden(hidden) for item in edges):
        raise RecordMalformed(field="edges")


def _check_field(field: str, value: Json) -> None:
    if value is None:
        if field in _REQUIRED:
            raise RecordMalformed(field=field)
        return
    if not _is_valid(field, value):
        raise RecordMalformed(field=field)


def _is_valid(field: str, value: Json) -> bool:
    if field in _TEXTS or field in ("id", "organization"):
        return isinstance(value, str) and len(value) <= TEXT_MAX
    if field == "kind":
        return value in ASSET_KINDS
    if field == "level":
        return value in LEVELS
    if field in _TEXT_LISTS:
        return isinstance(value, list) and len(value) <= LIST_MAX and all(isinstance(v, str) for v in value)
    if field in _INTEGERS:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INTEGER_MAX
    if field == "conditions":
        return _is_conditions(value)
    if field == "edges":
        return isinstance(value, list)
    if field == "complete":
        return value is True
    return _is_object_list(value, _OBJECT_LISTS[field])


def _is_object_list(value: Json, fields: tuple[str, ...]) -> bool:
    if not isinstance(value, list) or len(value) > LIST_MAX:
        return False
    return all(isinstance(item, dict) and _is_entry(item, fields) for item in value)


def _is_entry(item: JsonObject, fields: tuple[str, ...]) -> bool:
    for field in fields:
        value = item.get(field)
        if field not in item or not (value is None or isinstance(value, str | int)) or isinstance(value, bool):
            return False
        if field == "value" and not (isinstance(value, str) and _DECIMAL.fullmatch(value)):
            return False
    return True


def _is_conditions(value: Json) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("permission"), str):
        return False
    modifiers = value.get("modifiers")
    if not isinstance(modifiers, list) or len(modifiers) > LIST_MAX or "disease" not in value:
        return False
    return all(isinstance(m, dict) and isinstance(m.get("code"), str) for m in modifiers)
