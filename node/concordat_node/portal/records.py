"""One record as a page shows it: what it is, how it was measured, under which conditions, what is still missing. Pure.

Null is masked and says so; an empty text is simply not there. Obligations are the same for many records, so a list
collects them once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from concordat_node.portal.reading import Object, number, obj, objects, text, texts
from concordat_trust.canonical import Json
from concordat_trust.policy_words import grantor_words, missing_words
from concordat_trust.times import time_words
from concordat_trust.words import modifier_words, permission_words

HEADLINE_MAX = 3
_KINDS = {"model": "Model", "dataset": "Data set"}
_FACTS = (
    ("task", "Task"),
    ("framework", "Framework"),
    ("modality", "Modality"),
    ("license", "Licence"),
    ("origin", "Origin"),
    ("created", "Created"),
    ("version", "Version"),
)
_FIELD_WORDS = {
    "trained_on": "what it was trained on",
    "cohort_size": "cohort size",
    "license": "licence",
    "conditions": "conditions of use",
    "created": "date",
}
_ABBREVIATIONS = frozenset({"auc", "auroc", "auprc", "f1", "iou", "mae", "mse", "npv", "ppv", "r2", "rmse", "roc auc"})
_SENSITIVITY = ("public", "registered", "controlled", "restricted")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One measurement; every text as its owner wrote it."""

    metric: str
    value: str
    unit: str
    split: str
    dataset: str
    dataset_id: str
    interval: str
    version: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an asset: its label, day of release, digest of the artefact, and what changed."""

    label: str
    released: str
    digest: str
    changes: str


@dataclass(frozen=True, slots=True)
class Need:
    """A condition that is not met yet, and who can grant it."""

    words: str
    who: str
    is_sign_in: bool = False
    """Whether the person meets it alone, by signing in again."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """An agreement that a record is shown under."""

    id: str
    title: str
    digest: str
    until: str


@dataclass(frozen=True, slots=True)
class Record:
    """What a page shows of a record. `title` and `summary` None are masked; `evaluations` None as well."""

    id: str
    title: str | None
    kind: str
    organization: str
    owner: str
    is_summary: bool
    summary: str | None
    description: str
    keywords: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    evaluations: tuple[Evaluation, ...] | None
    conditions: tuple[str, ...]
    masked: tuple[str, ...]
    needs: tuple[Need, ...]
    obligations: tuple[str, ...]
    agreements: tuple[Agreement, ...]
    trained_on: tuple[tuple[str, str], ...]
    versions: tuple[Version, ...]
    contact: str
    until: str

    @property
    def headline(self) -> tuple[Evaluation, ...]:
        """The evaluations for a list: on data that the model has not seen, where there are any."""
        measured = self.evaluations or ()
        unseen = tuple(evaluation for evaluation in measured if evaluation.split != "train")
        return (unseen or measured)[:HEADLINE_MAX]


def record_of(record: Object, names: Mapping[str, str]) -> Record:
    """Return the view of a card or an asset that was verified at home."""
    organization = text(record.get("organization"))
    return Record(
        id=text(record.get("id")),
        title=_masked(record.get("title")),
        kind=_KINDS.get(text(record.get("kind")), text(record.get("kind"))),
        organization=organization,
        owner=names.get(organization, organization),
        is_summary=record.get("level") == "SUMMARY",
        summary=_masked(record.get("summary")),
        description=text(record.get("description")),
        keywords=texts(record.get("keywords")),
        facts=tuple(_facts(record)),
        evaluations=_evaluations(record),
        conditions=tuple(_conditions(obj(record.get("conditions")))),
        masked=tuple(_FIELD_WORDS.get(field, field.replace("_", " ")) for field in texts(record.get("masked_fields"))),
        needs=tuple(
            Need(
                missing_words(text(item.get("code"))),
                grantor_words(text(item.get("who_can_grant"))),
                item.get("who_can_grant") == "requester",
            )
            for item in objects(record.get("missing"))
        ),
        obligations=tuple(text(o.get("text")) or text(o.get("code")) for o in objects(record.get("obligations"))),
        agreements=_agreements(record),
        trained_on=tuple((text(d.get("title")), text(d.get("id"))) for d in objects(record.get("trained_on"))),
        versions=tuple(
            Version(text(v.get("label")), text(v.get("released")), text(v.get("digest")), text(v.get("changes")))
            for v in objects(record.get("versions"))
        ),
        contact=text(record.get("contact")),
        until=_time(record.get("valid_until")),
    )


def obligations_of(records: Sequence[Record]) -> tuple[str, ...]:
    """Return what using any of the records obliges to, each once, in order."""
    return tuple(dict.fromkeys(obligation for record in records for obligation in record.obligations))


def _masked(value: Json) -> str | None:
    return None if value is None else text(value)


def _facts(record: Object) -> Iterator[tuple[str, str]]:
    for field, label in _FACTS:
        if text(record.get(field)):
            yield label, text(record.get(field))
    size, sensitivity = number(record.get("cohort_size")), number(record.get("sensitivity"))
    if size is not None:
        yield "Cohort size", str(size)
    if sensitivity is not None and sensitivity < len(_SENSITIVITY):
        yield "Sensitivity", _SENSITIVITY[sensitivity]


def _evaluations(record: Object) -> tuple[Evaluation, ...] | None:
    if record.get("evaluations") is None:
        return None
    return tuple(
        Evaluation(
            metric=_metric(text(item.get("metric"))),
            value=text(item.get("value")),
            unit=text(item.get("unit")),
            split=text(item.get("split")),
            dataset=text(item.get("dataset")),
            dataset_id=text(item.get("dataset_id")),
            interval=_interval(item),
            version=text(item.get("version")),
        )
        for item in objects(record.get("evaluations"))
    )


def _metric(name: str) -> str:
    words = name.replace("_", " ")
    return words.upper() if words in _ABBREVIATIONS else words.capitalize()


def _interval(item: Object) -> str:
    low, high = text(item.get("interval_low")), text(item.get("interval_high"))
    return f"{low} to {high}" if low and high else ""


def _conditions(conditions: Object) -> Iterator[str]:
    if not conditions:
        return
    yield permission_words(text(conditions.get("permission")))
    if conditions.get("disease"):
        yield f"only for {text(conditions.get('disease'))}"
    for modifier in objects(conditions.get("modifiers")):
        values = " ".join(text(parameter.get("value")) for parameter in objects(modifier.get("parameters")))
        yield modifier_words(text(modifier.get("code"))) + (f" ({values})" if values else "")


def _agreements(record: Object) -> tuple[Agreement, ...]:
    known = tuple(
        Agreement(text(a.get("id")), text(a.get("title")), text(a.get("digest")), _time(a.get("valid_until")))
        for a in objects(record.get("agreements"))
    )
    return known or tuple(Agreement(agreement, "", "", "") for agreement in texts(record.get("agreement_ids")))


def _time(value: Json) -> str:
    at = number(value)
    return "" if at is None else time_words(at)
