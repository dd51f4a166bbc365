"""Two node states that one requester cannot tell apart, and every question of this node that might tell them apart.

A *world* is what a node imports. Of a pair of worlds, the visible records are the same, with the same visible fields;
everything else is drawn separately for each: hidden records, hidden classes, hidden fields of listed records, links to
hidden data sets, agreements and approvals of others, the order of writing, and what was visible or hidden before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from concordat_node.registry.records import (
    Agreement,
    Approval,
    EvaluationRecord,
    Modifier,
    PolicyAttributes,
    VersionRecord,
)
from concordat_node.registry.rules import Imported, ImportedAsset
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.filters import And, Compare, Equals, Filter, MetricIs, Not, TrainedOn
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.question import Purpose, Sort
from concordat_trust.vocabulary import FACET_FIELDS
from tests.factories.network import NOW, TestNetwork
from tests.factories.node import (
    Asking,
    asking,
    asset_id,
    attributes_of,
    make_asset,
    make_assets_question,
    make_question,
)

DAY_S = 86_400
WORDS = ("clinical", "trial", "sepsis", "imaging", "tumour", "response", "kidney", "ward")
Classes = tuple[dict[str, object], ...]
OTHERS = OrgId.parse("vitalis")

FULL_CLASSES: Classes = (
    {"sensitivity": 0},
    {"sensitivity": 1, "relay_may_read": False},
    {"sensitivity": 2, "agreements": ("dua-held",), "relay_may_read": False},
    {"sensitivity": 0, "agreements": ("dua-held", "dua-others")},
)
SUMMARY_CLASSES: Classes = (
    {"sensitivity": 1, "agreements": ("dua-others",), "discoverable": "summary"},
    {"sensitivity": 2, "agreements": ("dua-others",), "discoverable": "summary", "summary_metrics": True},
)
HIDDEN_CLASSES: Classes = (
    {"sensitivity": 3},
    {"sensitivity": 2, "agreements": ("dua-others",)},
    {"sensitivity": 0, "status": "draft"},
    {"sensitivity": 0, "embargo_until": "2090-01-01"},
    {"sensitivity": 1, "permission": "DUO:0000011", "discoverable": "summary"},
    {"sensitivity": 2, "agreements": ("dua-held",), "approvals": ("irb-others",)},
    {"sensitivity": 2, "agreements": ()},
)
CROWD_GRANTS, CROWD_SUBJECTS, CROWD_DRAFTS = 20, 200, 60
HIDDEN_AT_SUMMARY = ("description", "cohort_size", "contact", "versions")


@dataclass(frozen=True)
class Pair:
    """Two import histories; a later line for the same id replaces the earlier."""

    one: tuple[Imported, ...]
    other: tuple[Imported, ...]
    visible: tuple[AssetId, ...]
    hidden: tuple[AssetId, ...]


def _agreement(name: str, *, pseudonym: str | None, organization: OrgId, valid_days: int) -> Agreement:
    return Agreement(
        id=name,
        title=f"Agreement {name}",
        parties=(OrgId.parse("north-hospital"), organization),
        members=((organization, pseudonym),),
        purposes=("GRU", "HMB"),
        valid_from=NOW - 10 * DAY_S,
        valid_until=NOW + valid_days * DAY_S,
        status="active",
        document_digest="ab" * 32,
        contact="contracts office",
    )


def _approval(random: Random) -> Approval:
    return Approval(
        id="irb-others",
        board="Board",
        protocol="P-1",
        holders=((OTHERS, f"p-{random.randint(1, 9)}"),),
        purposes=("GRU",),
        approved_at=NOW - 9 * DAY_S,
        expires_at=NOW + random.randint(1, 90) * DAY_S,
        status="active",
        document_digest="cd" * 32,
    )


def _text(random: Random, least: int = 1) -> str:
    return " ".join(random.choices(WORDS, k=random.randint(least, 5)))


def _versions(random: Random) -> tuple[VersionRecord, ...]:
    labels = random.sample(("0.8", "0.9", "1.0"), k=random.randint(0, 3))
    return tuple(VersionRecord(label, f"2026-0{random.randint(1, 9)}-01", "", _text(random, 0)) for label in labels)


def _with_withdrawn(random: Random, item: ImportedAsset) -> ImportedAsset:
    """Return the asset with withdrawn versions and what was measured on them: it is the same to everybody."""
    record = item.record
    labels = random.sample(("2.0", "3.0"), k=random.randint(0, 2))
    withdrawn = [VersionRecord(label, "2026-10-01", "", _text(random), "withdrawn") for label in labels]
    versions = [*record.versions, *withdrawn]
    random.shuffle(versions)
    evaluations = list(record.evaluations)
    for label in labels if record.kind == "model" else ():
        measured = replace(EvaluationRecord("accuracy", f"0.{random.randint(10, 99)}", "test"), version=label)
        evaluations.insert(random.randint(0, len(evaluations)), measured)
    return ImportedAsset(replace(record, versions=tuple(versions), evaluations=tuple(evaluations)), item.policy)


def _evaluations(random: Random, datasets: Sequence[AssetId]) -> tuple[EvaluationRecord, ...]:
    return tuple(
        EvaluationRecord(
            metric=random.choice(("accuracy", "auroc")),
            value=f"0.{random.randint(10, 99)}",
            unit=None,
            dataset="a data set",
            dataset_id=random.choice([None, *datasets]),
            split=random.choice(("train", "test")),
            interval_low=None,
            interval_high=None,
        )
        for _ in range(random.randint(0, 2))
    )


def _asset(random: Random, name: str, attributes: PolicyAttributes, datasets: Sequence[AssetId]) -> ImportedAsset:
    is_model = attributes.kind == "model"
    return make_asset(
        name,
        attributes,
        kind=attributes.kind,
        title=_text(random),
        summary=_text(random, 0),
        description=_text(random, 0),
        keywords=tuple(sorted(set(random.choices(WORDS, k=2)))),
        task=random.choice(("classification", "regression", "")),
        created=f"2026-0{random.randint(1, 9)}-01",
        cohort_size=random.choice([None, random.randint(1, 900)]),
        evaluations=_evaluations(random, datasets) if is_model else (),
        trained_on=tuple(random.sample(list(datasets), k=min(len(datasets), 2))) if is_model else (),
        version="",
        versions=_versions(random),
    )


def _class(random: Random, pool: Classes, kind: str) -> PolicyAttributes:
    chosen = random.choice(pool)
    return attributes_of("model" if kind == "model" else "dataset", **chosen)


def make_pair(seed: int) -> Pair:
    """Return the pair of this seed."""
    random = Random(seed)
    datasets = [f"visible-data-{i}" for i in range(random.randint(1, 3))]
    models = [f"visible-model-{i}" for i in range(random.randint(1, 6))]
    data_ids = [asset_id(name, "dataset") for name in datasets]
    listed = FULL_CLASSES + SUMMARY_CLASSES
    shared = [_asset(random, name, _class(random, listed, "dataset"), ()) for name in datasets]
    shared += [_asset(random, name, _class(random, listed, "model"), data_ids) for name in models]
    sides = [_side(random, shared, data_ids) for _ in range(2)]
    hidden = sorted({item.record.id for side in sides for item in side if isinstance(item, ImportedAsset)})
    visible = tuple(item.record.id for item in shared)
    return Pair(tuple(sides[0]), tuple(sides[1]), visible, tuple(i for i in hidden if i not in visible))


def with_crowd(pair: Pair) -> Pair:
    """Return the pair with much on one side that decides nothing for the requester: grants of strangers, and drafts.

    A hidden class, which is sent, names every one of these grants.
    """
    crowd = tuple((OTHERS, f"p-{place}") for place in range(CROWD_SUBJECTS))
    names = tuple(f"crowd-{number}" for number in range(CROWD_GRANTS))
    held = _agreement("", pseudonym=None, organization=OTHERS, valid_days=9)
    agreements = [replace(held, id=name, members=crowd) for name in names]
    approvals = [replace(_approval(Random(0)), id=name, holders=crowd) for name in names]
    named = attributes_of(agreements=names, approvals=names, sensitivity=2)
    drafts = [
        attributes_of(
            status="draft",
            permission=f"DUO:00001{number:02}",
            modifiers=tuple(
                Modifier(f"DUO:00002{code:02}", tuple(("x" * 80, f"{value:080}") for value in range(6)))
                for code in range(10)
            ),
        )
        for number in range(CROWD_DRAFTS)
    ]
    hidden = [make_asset(f"crowd-{number}", item) for number, item in enumerate((named, *drafts))]
    ids = tuple(item.record.id for item in hidden)
    return replace(pair, other=(*pair.other, *agreements, *approvals, *hidden), hidden=(*pair.hidden, *ids))


def _side(random: Random, shared: Sequence[ImportedAsset], data_ids: Sequence[AssetId]) -> list[Imported]:
    concealed = [asset_id(f"hidden-data-{i}", "dataset") for i in range(3)]
    secrets: list[Imported] = [
        _asset(random, f"hidden-data-{i}", _class(random, HIDDEN_CLASSES, "dataset"), ())
        for i in random.sample(range(3), k=random.randint(0, 3))
    ]
    secrets += [
        _asset(random, f"hidden-model-{i}", _class(random, HIDDEN_CLASSES, "model"), [*data_ids, *concealed])
        for i in random.sample(range(30), k=random.choice((0, 1, 25)))
    ]
    others = _agreement("dua-others", pseudonym=None, organization=OTHERS, valid_days=random.randint(1, 400))
    secrets += [others, *([_approval(random)] if random.random() < 0.5 else [])]
    final: list[Imported] = [
        *secrets,
        *(_with_withdrawn(random, _with_other_secrets(random, item, concealed)) for item in shared),
    ]
    held = _agreement("dua-held", pseudonym="p-4711", organization=OrgId.parse("alma-university"), valid_days=50)
    random.shuffle(final)
    # What was visible once, or hidden once, leaves nothing behind.
    before: list[Imported] = [
        _asset(random, _name_of(item), _class(random, FULL_CLASSES + HIDDEN_CLASSES, item.policy.kind), data_ids)
        for item in final
        if isinstance(item, ImportedAsset) and random.random() < 0.4
    ]
    return [held, *before, *final]


def _name_of(item: ImportedAsset) -> str:
    names = (f"{prefix}-{i}" for prefix in _PREFIXES for i in range(30))
    return next(name for name in names if asset_id(name, item.policy.kind) == item.record.id)


_PREFIXES = ("visible-data", "visible-model", "hidden-data", "hidden-model")


def _with_other_secrets(random: Random, item: ImportedAsset, concealed: Sequence[AssetId]) -> ImportedAsset:
    """Return the same asset to the requester: hidden fields drawn again, and other links to what is hidden."""
    record = item.record
    if item.policy.discoverable == "summary":
        record = replace(
            record,
            description=_text(random, 0),
            cohort_size=random.choice([None, random.randint(1, 900)]),
            contact=_text(random),
            version=record.current_version,
            # What is current is shown by `version`, also where there is nothing.
            versions=_versions(random) if record.versions else (),
            evaluations=tuple(replace(item, version=random.choice(("", "0.9"))) for item in record.evaluations),
        )
        if not item.policy.summary_metrics:
            record = replace(record, evaluations=_evaluations(random, concealed) if record.kind == "model" else ())
            return ImportedAsset(replace(record, trained_on=_some(random, concealed, record.kind)), item.policy)
    links = list(record.trained_on)
    for hidden in _some(random, concealed, record.kind):
        # Among the visible links, whose own order is visible and stays.
        links.insert(random.randint(0, len(links)), hidden)
    return ImportedAsset(replace(record, trained_on=tuple(links)), item.policy)


def _some(random: Random, ids: Sequence[AssetId], kind: str) -> tuple[AssetId, ...]:
    return tuple(random.sample(list(ids), k=random.randint(0, len(ids)))) if kind == "model" else ()


FILTERS: tuple[Filter | None, ...] = (
    None,
    Equals("kind", "model"),
    MetricIs("accuracy", "gt", "0.5"),
    Not(MetricIs("accuracy", "gt", "0.5")),
    Compare("cohort_size", "gt", "100"),
    Not(Compare("cohort_size", "gt", "100")),
    Compare("created", "ge", "2026-05-01"),
    TrainedOn("clinical trial data"),
    Not(TrainedOn("sepsis")),
    And((Equals("kind", "model"), TrainedOn("trial"), MetricIs("auroc", "le", "0.8"))),
)
SORTS = (Sort(), Sort("created", None, "asc"), Sort("metric", "accuracy", "desc"))


def doors(network: TestNetwork, pair: Pair) -> Iterator[tuple[str, Asking]]:
    """Yield every kind of request this node answers, each with its own token."""
    number = 0
    for text, filters in (("", FILTERS), ("clinical trial", FILTERS[:4]), ("sepsis imaging tumour", FILTERS[:1])):
        for node in filters:
            for sort in SORTS if node is None else SORTS[:1]:
                question = make_question(network, text=text, filter=node, sort=sort, facets=FACET_FIELDS)
                number += 1
                yield f"search {text!r} {node} {sort}", asking(network, question, token_id=f"token-{number:018d}")
    nowhere = asset_id("nowhere")
    groups = [pair.visible, pair.hidden[:20], (nowhere,), (*pair.visible[:3], *pair.hidden[:3], nowhere)]
    for ids in groups:
        question = make_assets_question(network)
        number += 1
        yield (
            f"assets {len(ids)}",
            asking(network, question, ids=[str(i) for i in ids], token_id=f"token-{number:018d}"),
        )
    yield from _refusals(network, number)


def _refusals(network: TestNetwork, number: int) -> Iterator[tuple[str, Asking]]:
    good = make_question(network)
    unknown: JsonObject = {**good.to_json(), "facets": ["contact"]}
    denied = make_question(network, purpose=Purpose("CC"))
    yield (
        "unsupported field",
        replace(asking(network, good, token_id=f"token-{number + 1:018d}"), question=canonical_bytes(unknown)),
    )
    yield "denied purpose", asking(network, denied, token_id=f"token-{number + 2:018d}")
    yield "replayed token", asking(network, good, token_id=f"token-{number:018d}")
    yield "malformed", replace(asking(network, good, token_id=f"token-{number + 3:018d}"), question=b"{")
