"""One line of an import: bytes in, records out, or one refusal with a code and a field. Pure.

Rules of this file:

* A line is one strict JSON object of `type` "dataset", "model", "agreement" or "approval", or "croissant": a data set
  that a Croissant document describes. Unknown fields are refused, but for those inside such a document.
* An asset gives an `id` of this organization or a `local_name`. The id of a local name is a keyed hash, so that
  importing again replaces the same asset and the id says nothing about the name.
* Facts that texts state never set policy: only the `policy` object does.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from concordat_node.registry.croissant_reader import line_of_croissant
from concordat_node.registry.errors import AssetForeign
from concordat_node.registry.grant_rules import read_agreement, read_approval
from concordat_node.registry.lineage_rules import read_lineage, refuse_many
from concordat_node.registry.policy_rules import read_day, read_policy, read_text
from concordat_node.registry.records import Agreement, Approval, AssetRecord, EvaluationRecord, PolicyAttributes
from concordat_node.registry.version_rules import read_version_name, read_versions, refuse_version_names
from concordat_trust.canonical import parse_object
from concordat_trust.ids import AssetId, AssetIdInvalid, AssetKind, OrgId
from concordat_trust.shape import Shape
from concordat_trust.vocabulary import RATIO_METRICS, SPLITS

LINE_BYTES_MAX = 262_144
TITLE_LENGTH_MAX = 300
SUMMARY_LENGTH_MAX = 2_000
DESCRIPTION_LENGTH_MAX = 20_000
WORD_LENGTH_MAX = 120
KEYWORDS_MAX = 50
EVALUATIONS_MAX = 100
TRAINED_ON_MAX = 100
COHORT_MAX = 2_000_000_000
VALUE_MAX = 1_000_000_000
"""Largest size of a metric's value: as a sort key it is counted in millionths and must stay below 2^53."""
ID_SECRET_BYTES_MIN = 16

"""Metrics between 0 and 1. "94" for an accuracy is a percentage written by mistake, and would pass every threshold."""

_LOCAL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,119}")
_METRIC = re.compile(r"[a-z][a-z0-9_]{0,39}")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,12})?")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose registry this is, and the secret that turns local names into ids."""

    organization: OrgId
    id_secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.id_secret) < ID_SECRET_BYTES_MIN:
            raise RuntimeError(f"the id secret has fewer than {ID_SECRET_BYTES_MIN} bytes")

    def asset_id(self, kind: AssetKind, local_name: str) -> AssetId:
        """Return the id of a local name: the first 16 bytes of HMAC-SHA256(secret, kind ‖ local name)."""
        # Neither kind is the beginning of the other, so the concatenation has one reading.
        digest = hmac.digest(self.id_secret, (kind + local_name).encode("utf-8"), hashlib.sha256)
        return AssetId.new(self.organization, kind, digest[:16])


@dataclass(frozen=True, slots=True)
class ImportedAsset:
    """An asset and the policy attributes whose class it belongs to."""

    record: AssetRecord
    policy: PolicyAttributes


Imported = ImportedAsset | Agreement | Approval


def read_line(data: bytes, owner: Owner) -> Imported:
    """Return what one line says. Raises: RefusedDocument (JSON, DocumentMalformed, DUO and id refusals)."""
    line = parse_object(data, bytes_max=LINE_BYTES_MAX)
    if line.get("type") == "croissant":
        line = line_of_croissant(line)
    shape = Shape(line, "line")
    match shape.one_of("type", ("dataset", "model", "agreement", "approval")):
        case "dataset":
            return _asset(shape, "dataset", owner)
        case "model":
            return _asset(shape, "model", owner)
        case "agreement":
            return read_agreement(shape)
        case _:
            return read_approval(shape)


def _asset(shape: Shape, kind: AssetKind, owner: Owner) -> ImportedAsset:
    policy = read_policy(shape.object("policy"), kind)
    asset_id, created = _id(shape, kind, owner), read_day(shape, "created")
    record = AssetRecord(
        id=asset_id,
        title=read_text(shape, "title", length_min=1, length_max=TITLE_LENGTH_MAX),
        class_id=policy.class_id,
        created=created,
        summary=_optional(shape, "summary", SUMMARY_LENGTH_MAX),
        description=_optional(shape, "description", DESCRIPTION_LENGTH_MAX),
        keywords=_keywords(shape),
        task=_optional(shape, "task", WORD_LENGTH_MAX),
        framework=_optional(shape, "framework", WORD_LENGTH_MAX),
        modality=_optional(shape, "modality", WORD_LENGTH_MAX),
        license=_optional(shape, "license", WORD_LENGTH_MAX),
        origin=_optional(shape, "origin", WORD_LENGTH_MAX),
        version=read_version_name(shape),
        cohort_size=shape.optional_integer("cohort_size", minimum=0, maximum=COHORT_MAX),
        contact=_optional(shape, "contact", TITLE_LENGTH_MAX),
        evaluations=_evaluations(shape, owner),
        trained_on=_trained_on(shape, kind, owner),
        versions=read_versions(shape),
        lineage=read_lineage(shape, asset_id, created, partial(_named, owner)),
    )
    refuse_many(record.edges)
    shape.finish()
    refuse_version_names(record.version, record.versions, record.evaluations)
    return ImportedAsset(record, policy)


def _id(shape: Shape, kind: AssetKind, owner: Owner) -> AssetId:
    if shape.has("id") == shape.has("local_name"):
        raise shape.refuse("id", "or local_name must be there, and not both")
    if shape.has("local_name"):
        return owner.asset_id(kind, _local_name(shape.text("local_name"), shape, "local_name"))
    asset_id = _parsed(shape.text("id"), "id")
    if asset_id.org != owner.organization:
        raise AssetForeign(field="id", organization=owner.organization)
    if asset_id.kind != kind:
        raise shape.refuse("id", f"is not the id of a {kind}")
    return asset_id


def _parsed(text: str, name: str) -> AssetId:
    try:
        return AssetId.parse(text)
    except AssetIdInvalid as error:
        raise AssetIdInvalid(field=name) from error


def _local_name(text: str, shape: Shape, name: str) -> str:
    if not _LOCAL_NAME.fullmatch(text):
        raise shape.refuse(
            name, "is not 1 to 120 letters, digits, spaces and . _ / -, beginning with a letter or digit"
        )
    return text


def _named(owner: Owner, kind: AssetKind, text: str, shape: Shape) -> AssetId:
    return owner.asset_id(kind, _local_name(text, shape, "local_name"))


def _dataset(text: str, shape: Shape, name: str, owner: Owner) -> AssetId:
    """Return the data set a text names: a local name, or an id of any organization."""
    if not text.startswith("urn:"):
        return owner.asset_id("dataset", _local_name(text, shape, name))
    asset_id = _parsed(text, name)
    if asset_id.kind != "dataset":
        raise shape.refuse(name, "is not a data set")
    return asset_id


def _optional(shape: Shape, name: str, length_max: int) -> str:
    return read_text(shape, name, length_max=length_max) if shape.has(name) else ""


def _keywords(shape: Shape) -> tuple[str, ...]:
    if not shape.has("keywords"):
        return ()
    keywords = shape.texts("keywords", count_max=KEYWORDS_MAX, length_max=WORD_LENGTH_MAX)
    if len(set(keywords)) != len(keywords):
        raise shape.refuse("keywords", "names a keyword twice")
    if any(not keyword or not keyword.isprintable() for keyword in keywords):
        raise shape.refuse("keywords", "has an empty or unprintable keyword")
    return keywords


def _trained_on(shape: Shape, kind: AssetKind, owner: Owner) -> tuple[AssetId, ...]:
    if not shape.has("trained_on"):
        return ()
    texts = shape.texts("trained_on", count_max=TRAINED_ON_MAX)
    if kind != "model":
        raise shape.refuse("trained_on", "belongs to a model")
    found = tuple(_dataset(text, shape, "trained_on", owner) for text in texts)
    if len(set(found)) != len(found):
        raise shape.refuse("trained_on", "names a data set twice")
    return found


def _evaluations(shape: Shape, owner: Owner) -> tuple[EvaluationRecord, ...]:
    if not shape.has("evaluations"):
        return ()
    return tuple(_evaluation(item, owner) for item in shape.objects("evaluations", count_max=EVALUATIONS_MAX))


def _evaluation(shape: Shape, owner: Owner) -> EvaluationRecord:
    metric = shape.text("metric")
    if not _METRIC.fullmatch(metric):
        raise shape.refuse("metric", "is not a lower-case metric name such as balanced_accuracy")
    dataset_id = shape.optional_text("dataset_id", length_max=WORD_LENGTH_MAX)
    evaluation = EvaluationRecord(
        metric=metric,
        value=_decimal(shape, "value", metric),
        split=shape.one_of("split", SPLITS),
        unit=None if shape.optional_text("unit") is None else read_text(shape, "unit", length_max=WORD_LENGTH_MAX),
        dataset=_optional(shape, "dataset", TITLE_LENGTH_MAX),
        dataset_id=None if dataset_id is None else _dataset(dataset_id, shape, "dataset_id", owner),
        interval_low=_bound(shape, "interval_low", metric),
        interval_high=_bound(shape, "interval_high", metric),
        version=read_version_name(shape),
    )
    shape.finish()
    _refuse_interval(shape, evaluation)
    return evaluation


def _bound(shape: Shape, name: str, metric: str) -> str | None:
    return None if shape.optional_text(name) is None else _decimal(shape, name, metric)


def _decimal(shape: Shape, name: str, metric: str) -> str:
    text = shape.text(name, length_max=40)
    if not _DECIMAL.fullmatch(text) or abs(Decimal(text)) > VALUE_MAX:
        raise shape.refuse(name, f'is not a decimal string such as "0.94", at most {VALUE_MAX}')
    if metric in RATIO_METRICS and not 0 <= Decimal(text) <= 1:
        raise shape.refuse(name, "is a ratio and must be between 0 and 1: write 94 % as 0.94")
    return text


def _refuse_interval(shape: Shape, evaluation: EvaluationRecord) -> None:
    low, high = evaluation.interval_low, evaluation.interval_high
    if (low is None) != (high is None):
        raise shape.refuse("interval_high" if high is None else "interval_low", "is missing beside the other bound")
    if low is not None and high is not None and not Decimal(low) <= Decimal(evaluation.value) <= Decimal(high):
        raise shape.refuse("interval_low", "and interval_high do not enclose the value")
