"""Random registries, views and questions for the index's property tests, and a plain-Python oracle beside them.

The oracle reads whole records and the view, and nothing of the index: it is the definition that every engine must meet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import strategies as st

from concordat_node.registry.records import AssetRecord, EvaluationRecord, PolicyAttributes
from concordat_node.registry.rules import ImportedAsset
from concordat_node.search.index import ClassView, IndexHit, IndexQuery, IndexResult, View
from concordat_trust.filters import (
    COMPARISONS,
    And,
    Compare,
    Equals,
    Filter,
    In,
    MetricIs,
    Not,
    Or,
    TrainedOn,
    evaluate,
)
from concordat_trust.ids import AssetId, AssetKind, tie_key
from concordat_trust.question import Sort
from concordat_trust.ranking import evaluation_key, impacts, matches_text, order_key, query_terms, score
from concordat_trust.text import RecordTexts, matches_trained_on, text_level
from concordat_trust.vocabulary import FACET_FIELDS, SPLITS, TEXT_FIELDS, Level
from tests.factories.registry import STATISTICS, asset_id, make_asset, make_policy

KINDS: tuple[AssetKind, ...] = ("model", "dataset")
WORDS = ("clinic", "trial", "trials", "heart", "renal", "the", "data", "2026", "blood")
NAMES = tuple(f"n{number}" for number in range(7))
POLICIES: tuple[PolicyAttributes, ...] = tuple(
    make_policy(kind, sensitivity=sensitivity) for kind in KINDS for sensitivity in (0, 1, 2)
)

VALUES = ("0.1", "0.5", "0.90", "0.9", "0.95", "1")
METRICS = ("accuracy", "auc")
DAYS = ("2024-01-31", "2025-06-01", "2026-05-04")
INDEXED_FIELDS = (*TEXT_FIELDS, "task", "modality", "created", "cohort_size", "evaluations", "trained_on")

seeds = st.integers(min_value=0, max_value=2**32 - 1)
"""A world comes from a seed: thousands of records cost too much when every word of them is drawn by hypothesis."""


def _words(random: Random, most: int, least: int = 0) -> tuple[str, ...]:
    return tuple(random.sample(WORDS, random.randint(least, most)))


def _evaluation(random: Random) -> EvaluationRecord:
    return EvaluationRecord(random.choice(METRICS), random.choice(VALUES), random.choice(SPLITS))


def _dataset_ids(random: Random) -> list[AssetId]:
    return [asset_id(name, "dataset") for name in random.sample(NAMES, random.randint(0, 5))]


def random_asset(random: Random) -> ImportedAsset:
    policy = random.choice(POLICIES)
    return make_asset(
        random.choice(NAMES),
        kind=policy.kind,
        policy=policy,
        title=" ".join(_words(random, 3, least=1)),
        summary=" ".join(_words(random, 3)),
        description=" ".join(_words(random, 4)),
        keywords=_words(random, 2),
        task=random.choice(("", "x", "y")),
        modality=random.choice(("", "x", "y")),
        created=random.choice(DAYS),
        cohort_size=random.choice((None, 5, 50)),
        evaluations=tuple(_evaluation(random) for _ in range(random.randint(0, 3))),
        trained_on=tuple(_dataset_ids(random)) if policy.kind == "model" else (),
    )


@dataclass(frozen=True)
class Deleted:
    """A step of a history: this asset goes."""

    id: AssetId


Step = ImportedAsset | Deleted


def random_history(random: Random) -> list[Step]:
    """Return 0 to 20 steps; some records are replaced, some deleted, some come again."""
    return [_step(random) for _ in range(random.randint(0, 20))]


def _step(random: Random) -> Step:
    if random.random() < 0.15:
        return Deleted(asset_id(random.choice(NAMES), random.choice(KINDS)))
    return random_asset(random)


def random_view(random: Random) -> View:
    """Some classes, at any level: those below SUMMARY and those that are left out must not exist for the index."""
    view: dict[str, ClassView] = {}
    for policy in POLICIES:
        level = random.choice((None, Level.NONE, Level.EXISTS, Level.SUMMARY, *[Level.FULL] * 5))
        if level is not None:
            hidden = frozenset(name for name in INDEXED_FIELDS if random.random() < 0.2)
            view[policy.class_id] = ClassView(policy.class_id, level, hidden)
    return view


def after(history: Iterable[Step]) -> dict[AssetId, ImportedAsset]:
    """Return the registry's content after a history."""
    held: dict[AssetId, ImportedAsset] = {}
    for step in history:
        if isinstance(step, Deleted):
            held.pop(step.id, None)
        else:
            held[step.record.id] = step
    return held


comparisons = st.sampled_from(("gt", "ge", "lt", "le"))
metrics = st.sampled_from(METRICS)
leaves: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Equals, st.sampled_from(("kind",)), st.sampled_from(KINDS)),
    st.builds(Equals, st.sampled_from(("task", "modality", "license")), st.sampled_from(("x", "y"))),
    st.builds(Equals, st.just("keyword"), st.sampled_from(WORDS)),
    st.builds(In, st.sampled_from(("task", "keyword")), st.just(("x", "trial", "heart"))),
    st.builds(Compare, st.just("created"), comparisons, st.sampled_from(DAYS)),
    st.builds(Compare, st.just("cohort_size"), comparisons, st.sampled_from(("5", "20"))),
    st.builds(MetricIs, metrics, st.sampled_from(COMPARISONS), st.sampled_from(VALUES)),
    # Twice as likely as the others, because it takes a model, a data set and an edge between them to say anything.
    *[st.builds(TrainedOn, st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(" ".join))] * 2,
)
filters: st.SearchStrategy[Filter] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=1, max_size=2).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=2).map(tuple)),
    ),
    max_leaves=4,
)
orders = st.sampled_from(("asc", "desc"))
sorts = st.one_of(
    st.just(Sort()),
    st.builds(Sort, st.just("created"), st.none(), orders),
    st.builds(Sort, st.just("metric"), metrics, orders),
)
queries = st.builds(
    IndexQuery,
    terms=st.lists(st.sampled_from(WORDS), max_size=3).map(lambda words: query_terms(" ".join(words), STATISTICS)),
    filter=st.one_of(st.none(), filters, filters, filters),
    sort=sorts,
    facets=st.lists(st.sampled_from(FACET_FIELDS), unique=True).map(tuple),
    limit=st.integers(min_value=1, max_value=6),
)


class DisclosedRecord:
    """A `FieldReader` over a whole record and the names of its hidden fields."""

    def __init__(
        self, record: AssetRecord, hidden: frozenset[str], visible_datasets: Mapping[AssetId, _Disclosed]
    ) -> None:
        self._record = record
        self._hidden = hidden
        self._datasets = visible_datasets

    def exact(self, field: str) -> tuple[str, ...] | None:
        if field == "keyword":
            return None if "keywords" in self._hidden else self._record.keywords
        if field in self._hidden:
            return None
        value = str(getattr(self._record, field))
        return (value,) if value else ()

    def ordered(self, field: str) -> str | Decimal | None:
        if field in self._hidden:
            return None
        if field == "created":
            return self._record.created
        return None if self._record.cohort_size is None else Decimal(self._record.cohort_size)

    def evaluations(self) -> tuple[tuple[str, Decimal, str], ...] | None:
        if "evaluations" in self._hidden:
            return None
        return tuple((item.metric, Decimal(item.value), item.split) for item in self._record.evaluations)

    def trained_on(self, text: str) -> bool | None:
        if "trained_on" in self._hidden:
            return None
        seen = [self._datasets[item] for item in self._record.trained_on if item in self._datasets]
        return any(matches_trained_on(text, _texts(r), text_level(hidden), STATISTICS) for r, hidden in seen)


_Disclosed = tuple[AssetRecord, frozenset[str]]


def _texts(record: AssetRecord) -> RecordTexts:
    return RecordTexts(record.title, record.summary, record.keywords, record.description)


def visible_records(held: Mapping[AssetId, ImportedAsset], view: View) -> dict[AssetId, _Disclosed]:
    """Return the records that may be listed, each with its hidden fields."""
    found = {key: (item.record, view.get(item.record.class_id)) for key, item in held.items()}
    return {
        key: (record, seen.hidden)
        for key, (record, seen) in found.items()
        if seen is not None and seen.level >= Level.SUMMARY
    }


def oracle(held: Mapping[AssetId, ImportedAsset], view: View, query: IndexQuery) -> IndexResult:
    """Return what every index must answer."""
    visible = visible_records(held, view)
    matches: list[tuple[int | None, AssetRecord, frozenset[str]]] = []
    for record, hidden in visible.values():
        reader = DisclosedRecord(record, hidden, visible)
        postings = impacts(_texts(record), text_level(hidden), STATISTICS)
        if not matches_text(query.terms, postings):
            continue
        if query.filter is not None and evaluate(query.filter, reader) is not True:
            continue
        matches.append((_sort_key(query, record, hidden, postings), record, hidden))
    matches.sort(key=lambda match: _place(query, match))
    follow = matches if query.after is None else [match for match in matches if _place(query, match) > _after(query)]
    return IndexResult(
        hits=tuple(IndexHit(record.id, key) for key, record, _ in follow[: query.limit]),
        total=len(matches),
        facets={field: _facet(field, [(record, hidden) for _, record, hidden in matches]) for field in query.facets},
        matched=frozenset(record.class_id for _, record, _ in matches),
    )


def _place(query: IndexQuery, match: tuple[int | None, AssetRecord, frozenset[str]]) -> tuple[bool, int, str, str]:
    return order_key(query.sort, match[0], match[1].tie, str(match[1].id))


def _after(query: IndexQuery) -> tuple[bool, int, str, str]:
    assert query.after is not None
    key, asset_id = query.after
    return order_key(query.sort, key, tie_key(str(asset_id)), str(asset_id))


def _sort_key(query: IndexQuery, record: AssetRecord, hidden: frozenset[str], held: Mapping[str, int]) -> int | None:
    if query.sort.by == "relevance":
        return score(query.terms, held, STATISTICS)
    if query.sort.by == "created":
        return None if "created" in hidden else int(record.created.replace("-", ""))
    triples = [] if "evaluations" in hidden else [(e.metric, e.value, e.split) for e in record.evaluations]
    return evaluation_key(query.sort.metric, triples)


def _facet(field: str, matches: Iterable[_Disclosed]) -> dict[str, int]:
    counts = Counter(str(getattr(record, field)) for record, hidden in matches if field not in hidden)
    return {value: count for value, count in counts.items() if value}


def indistinguishable_pair(random: Random) -> tuple[list[Step], list[Step], View]:
    """Return two histories and a view in which they end alike, as far as the view can see.

    They differ in the hidden fields of visible records, in edges to invisible data sets, in every record outside the
    view, in the order of writing, and in what was written and deleted again on the way.
    """
    view = random_view(random)
    shared = [item for item in after(random_history(random)).values() if _is_listed(item, view)]
    return _one_of_a_pair(random, shared, view), _one_of_a_pair(random, shared, view), view


def _one_of_a_pair(random: Random, shared: Sequence[ImportedAsset], view: View) -> list[Step]:
    shown = {item.record.id for item in shared}
    others = random_history(random)
    passing = [step for step in others if _id(step) in shown]
    staying = [step for step in others if _id(step) not in shown]
    # An asset of a visible class that is not shared must be gone in the end.
    intruders = [step for step in staying if isinstance(step, ImportedAsset) and _is_listed(step, view)]
    gone: list[Step] = [Deleted(_id(step)) for step in intruders]
    final: list[Step] = [_with_other_secrets(random, item, view, shown) for item in shared]
    random.shuffle(final)
    at = random.randint(0, len(final))
    return [*passing, *final[:at], *staying, *gone, *final[at:]]


def _id(step: Step) -> AssetId:
    return step.id if isinstance(step, Deleted) else step.record.id


def _is_listed(item: ImportedAsset, view: View) -> bool:
    seen = view.get(item.record.class_id)
    return seen is not None and seen.level >= Level.SUMMARY


def _with_other_secrets(random: Random, item: ImportedAsset, view: View, shown: set[AssetId]) -> ImportedAsset:
    """Return the same asset to this view: hidden fields drawn again, and other edges to data sets it cannot see."""
    other = random_asset(random).record
    hidden = view[item.record.class_id].hidden
    changes: dict[str, Any] = {name: getattr(other, name) for name in hidden - {"trained_on"}}
    if item.record.kind == "model":
        invisible = [key for key in _dataset_ids(random) if key not in shown]
        kept = [] if "trained_on" in hidden else [key for key in item.record.trained_on if key in shown]
        changes["trained_on"] = tuple(dict.fromkeys([*invisible, *kept]))
    return replace(item, record=replace(item.record, **changes))
