"""JSON Schemas of the documents that the registry's addresses take; limits are those of the rules that read them.

A test walks them: what they require, forbid and bound is what `registry.rules` requires, forbids and bounds.
"""

from __future__ import annotations

from concordat_node.registry import grant_rules, policy_rules, rules, version_rules
from concordat_node.registry.lineage_rules import LINEAGE_WORDS
from concordat_node.registry.records import (
    ASSET_STATUSES,
    DISCOVERABLE,
    GRANT_STATUSES,
    LINEAGE_SHOWN,
    VERSION_STATUSES,
)
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.lineage import EDGES_MAX
from concordat_trust.vocabulary import PURPOSES, SPLITS, Clearance


def text(length_max: int, *, length_min: int = 0, pattern: str | None = None) -> JsonObject:
    """Return the schema of a text."""
    found: JsonObject = {"type": "string", "maxLength": length_max}
    if length_min:
        found["minLength"] = length_min
    if pattern is not None:
        found["pattern"] = pattern
    return found


def optional(schema: JsonObject) -> JsonObject:
    """Return the schema of a value that may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def choice(values: tuple[str, ...]) -> JsonObject:
    return {"type": "string", "enum": list[Json](values)}


def array(items: JsonObject, count_max: int, count_min: int = 0) -> JsonObject:
    return {"type": "array", "items": items, "maxItems": count_max, "minItems": count_min}


def obj(required: tuple[str, ...], **properties: JsonObject) -> JsonObject:
    """Return the schema of an object that has no other fields."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list[Json](required),
        "properties": dict[str, Json](properties),
    }


def ref(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}


DAY = text(10, pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
DIGEST = text(64, length_min=64, pattern="^[0-9a-f]{64}$")
DECIMAL = text(40, pattern=r"^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,12})?$")
WORD = text(rules.WORD_LENGTH_MAX)
LABEL = text(version_rules.LABEL_LENGTH_MAX, length_min=1, pattern="^[A-Za-z0-9][A-Za-z0-9._+-]*$")
TIME: JsonObject = {"type": "integer", "minimum": 0, "maximum": grant_rules.TIME_MAX}
GRANT_ID = text(80, length_min=1, pattern="^[A-Za-z0-9][A-Za-z0-9._:/-]*$")

VERSION = obj(
    ("label", "released"),
    label=LABEL,
    released=DAY,
    digest=optional(DIGEST),
    changes=optional(text(version_rules.CHANGES_LENGTH_MAX)),
    status=choice(VERSION_STATUSES),
)
EVALUATION = obj(
    ("metric", "value", "split"),
    metric=text(40, length_min=1, pattern="^[a-z][a-z0-9_]*$"),
    value=DECIMAL,
    split=choice(SPLITS),
    unit=optional(WORD),
    dataset=text(rules.TITLE_LENGTH_MAX),
    dataset_id=optional(WORD),
    interval_low=optional(DECIMAL),
    interval_high=optional(DECIMAL),
    version=optional(LABEL),
)
MODIFIER = obj(
    ("code",),
    code=text(11, length_min=11, pattern="^DUO:[0-9]{7}$"),
    parameters=array(
        obj(
            ("name", "value"),
            name=text(policy_rules.PARAMETER_LENGTH_MAX, length_min=1),
            value=text(policy_rules.PARAMETER_LENGTH_MAX, length_min=1),
        ),
        policy_rules.PARAMETERS_MAX,
    ),
)
POLICY = obj(
    ("sensitivity", "permission", "modifiers", "agreements", "approvals", "embargo_until", "status"),
    sensitivity={"type": "integer", "minimum": int(min(Clearance)), "maximum": int(max(Clearance))},
    permission=text(11, length_min=11, pattern="^DUO:[0-9]{7}$"),
    disease=optional(text(policy_rules.DISEASE_LENGTH_MAX)),
    modifiers=array(ref("Modifier"), policy_rules.MODIFIERS_MAX),
    agreements=array(GRANT_ID, policy_rules.AGREEMENTS_MAX),
    approvals=array(GRANT_ID, policy_rules.APPROVALS_MAX),
    discoverable=choice(DISCOVERABLE),
    summary_metrics={"type": "boolean"},
    relay_may_read={"type": "boolean"},
    embargo_until=optional(DAY),
    status=choice(ASSET_STATUSES),
    lineage=choice(LINEAGE_SHOWN),
)
EDGE: JsonObject = {
    **obj(
        ("relation",),
        relation=choice(LINEAGE_WORDS),
        id=text(120),
        local_name=text(120, length_min=1, pattern="^[A-Za-z0-9][A-Za-z0-9 ._/-]*$"),
        asserted_on=DAY,
    ),
    "oneOf": [{"required": ["id"]}, {"required": ["local_name"]}],
}
ASSET: JsonObject = {
    **obj(
        ("type", "title", "created", "policy"),
        type=choice(("dataset", "model")),
        id=text(120),
        local_name=text(120, length_min=1, pattern="^[A-Za-z0-9][A-Za-z0-9 ._/-]*$"),
        title=text(rules.TITLE_LENGTH_MAX, length_min=1),
        created=DAY,
        summary=text(rules.SUMMARY_LENGTH_MAX),
        description=text(rules.DESCRIPTION_LENGTH_MAX),
        keywords=array(text(rules.WORD_LENGTH_MAX, length_min=1), rules.KEYWORDS_MAX),
        task=WORD,
        framework=WORD,
        modality=WORD,
        license=WORD,
        origin=WORD,
        version=optional(LABEL),
        versions=array(ref("Version"), version_rules.VERSIONS_MAX),
        cohort_size=optional({"type": "integer", "minimum": 0, "maximum": rules.COHORT_MAX}),
        contact=text(rules.TITLE_LENGTH_MAX),
        evaluations=array(ref("Evaluation"), rules.EVALUATIONS_MAX),
        trained_on=array(text(rules.WORD_LENGTH_MAX), rules.TRAINED_ON_MAX),
        lineage=array(ref("Edge"), EDGES_MAX),
        policy=ref("Policy"),
    ),
    "oneOf": [{"required": ["id"]}, {"required": ["local_name"]}],
}
SUBJECT = obj(
    ("organization", "pseudonym"),
    organization=text(40, length_min=3, pattern="^[a-z][a-z0-9-]{2,39}$"),
    pseudonym=optional(text(grant_rules.PSEUDONYM_LENGTH_MAX, length_min=1)),
)
_PURPOSES = array(choice(PURPOSES), len(PURPOSES), 1)
AGREEMENT = obj(
    ("type", "id", "title", "parties", "members", "purposes", "valid_from", "valid_until", "status", "document_digest"),
    type=choice(("agreement",)),
    id=GRANT_ID,
    title=text(grant_rules.NAME_LENGTH_MAX, length_min=1),
    parties=array(text(40, length_min=3), grant_rules.PARTIES_MAX, 1),
    members=array(ref("Subject"), grant_rules.SUBJECTS_MAX, 1),
    purposes=_PURPOSES,
    valid_from=TIME,
    valid_until=TIME,
    status=choice(GRANT_STATUSES),
    document_digest=DIGEST,
    contact=text(grant_rules.NAME_LENGTH_MAX),
)
APPROVAL = obj(
    (
        "type",
        "id",
        "board",
        "protocol",
        "holders",
        "purposes",
        "approved_at",
        "expires_at",
        "status",
        "document_digest",
    ),
    type=choice(("approval",)),
    id=GRANT_ID,
    board=text(grant_rules.NAME_LENGTH_MAX, length_min=1),
    protocol=text(grant_rules.NAME_LENGTH_MAX, length_min=1),
    holders=array(ref("Subject"), grant_rules.SUBJECTS_MAX, 1),
    purposes=_PURPOSES,
    approved_at=TIME,
    expires_at=TIME,
    status=choice(GRANT_STATUSES),
    document_digest=DIGEST,
)
PAGE = obj(
    ("entries", "next"),
    entries=array(obj(("id", "revision"), id=text(120), revision={"type": "integer", "minimum": 1}), 200),
    next=optional(text(120)),
)
ERROR = obj(("error",), error=obj(("code", "message", "hint"), code=text(64), message=text(4_000), hint=text(4_000)))
SCHEMAS: dict[str, JsonObject] = {
    "Agreement": AGREEMENT,
    "Approval": APPROVAL,
    "Asset": ASSET,
    "Error": ERROR,
    "Evaluation": EVALUATION,
    "Evaluations": obj(("evaluations",), evaluations=array(ref("Evaluation"), rules.EVALUATIONS_MAX)),
    "Modifier": MODIFIER,
    "Page": PAGE,
    "Edge": EDGE,
    "Policy": POLICY,
    "Subject": SUBJECT,
    "Version": VERSION,
    "Versions": obj(("versions",), versions=array(ref("Version"), version_rules.VERSIONS_MAX)),
}
