"""Random registries, views and questions for the index's property tests, and a plain-Python oracle beside them.

The oracle reads whole records and the view, and nothing of the index: it is the definition that every engine must meet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from concordat_node.registry.records import AssetRecord, EvaluationRecord, PolicyAttributes
from concordat_node.registry.rules import ImportedAsset
from concordat_node.search.index import ClassView, IndexHit, IndexQuery, IndexResult, View
from concordat_trust.filters import And, Compare, Equals, Filter, In, MetricIs, Not, Or, TrainedOn, evaluate
from concordat_trust.ids import AssetId, AssetKind
from concordat_trust.question import Sort
from concordat_trust.ranking import evaluation_key, impacts, matches_text, order_key, query_terms, score
from concordat_trust.text import RecordTexts, matches_trained_on, text_level
from concordat_trust.vocabulary import FACET_FIELDS, SPLITS, TEXT_FIELDS, Level
from hypothesis import strategies as st

from tests.factories.registry import STATISTICS, asset_id, make_asset, make_policy

KINDS: tuple[AssetKind, ...] = ("model", "dataset")
WORDS = ("clinic", "trial", "trials", "heart", "renal", "the", "data", "2026", "blood")
NAMES = tuple(f"n{number}" for number in range(7))
POLICIES: tuple[PolicyAttributes, ...] = tuple(
    make_policy(kind, sensitivity=sensitivity) for kind in KINDS for sensitivity in (0, 1, 2)
)

texts = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
titles = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
values = st.sampled_from(("0.1", "0.5", "0.90", "0.9", "0.95", "1"))
metrics = st.sampled_from(("accuracy", "auc"))
codes = st.sampled_from(("", "x", "y"))
days = st.sampled_from(("2024-01-31", "2025-06-01", "2026-05-04"))
evaluations = st.builds(EvaluationRecord, metric=metrics, value=values, split=st.sampled_from(SPLITS))
dataset_ids = st.lists(st.sampled_from([asset_id(name, "dataset") for name in NAMES]), max_size=3, unique=True).map(
    tuple
)


@st.composite
def assets(draw: st.DrawFn) -> ImportedAsset:
    policy = draw(st.sampled_from(POLICIES))
    return make_asset(
        draw(st.sampled_from(NAMES)),
        kind=policy.kind,
        policy=policy,
        title=draw(titles),
        summary=draw(texts),
        description=draw(texts),
        keywords=draw(st.lists(st.sampled_from(WORDS), max_size=2, unique=True).map(tuple)),
        task=draw(codes),
        modality=draw(codes),
        created=draw(days),
        cohort_size=draw(st.sampled_from((None, 5, 50))),
        evaluations=tuple(draw(st.lists(evaluations, max_size=3))),
        trained_on=draw(dataset_ids) if policy.kind == "model" else (),
    )


@dataclass(frozen=True)
class Deleted:
    """A step of a history: this asset goes."""

    id: AssetId


Step = ImportedAsset | Deleted
deletions = st.builds(Deleted, st.builds(asset_id, st.sampled_from(NAMES), st.sampled_from(KINDS)))
histories = st.lists(st.one_of(assets(), assets(), assets(), deletions), max_size=12)


def after(history: Iterable[Step]) -> dict[AssetId, ImportedAsset]:
    """Return the registry's content after a history."""
    held: dict[AssetId, ImportedAsset] = {}
    for step in history:
        if isinstance(step, Deleted):
            held.pop(step.id, None)
        else:
            held[step.record.id] = step
    return held


INDEXED_FIELDS = (*TEXT_FIELDS, "task", "modality", "created", "cohort_size", "evaluations", "trained_on")
hidden_sets = st.frozensets(st.sampled_from(INDEXED_FIELDS), max_size=5)


@st.composite
def views(draw: st.DrawFn) -> View:
    """Some classes, at any level: those below SUMMARY and those that are left out must not exist for the index."""
    view: dict[str, ClassView] = {}
    for policy in POLICIES:
        level = draw(st.sampled_from((None, Level.NONE, Level.EXISTS, Level.SUMMARY, Level.FULL, Level.FULL)))
        if level is not None:
            view[policy.class_id] = ClassView(policy.class_id, level, draw(hidden_sets))
    return view


comparisons = st.sampled_from(("gt", "ge", "lt", "le"))
leaves: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Equals, st.sampled_from(("kind",)), st.sampled_from(KINDS)),
    st.builds(Equals, st.sampled_from(("task", "modality", "license")), st.sampled_from(("x", "y"))),
    st.builds(Equals, st.just("keyword"), st.sampled_from(WORDS)),
    st.builds(In, st.sampled_from(("task", "keyword")), st.just(("x", "trial", "heart"))),
    st.builds(Compare, st.just("created"), comparisons, days),
    st.builds(Compare, st.just("cohort_size"), comparisons, st.sampled_from(("5", "20"))),
    st.builds(MetricIs, metrics, st.sampled_from(("gt", "ge", "lt", "le", "eq")), values),
    st.builds(TrainedOn, st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(" ".join)),
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
    terms=texts.map(lambda text: query_terms(text, STATISTICS)),
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
    matches.sort(key=lambda match: order_key(query.sort, match[0], match[1].tie, str(match[1].id)))
    return IndexResult(
        hits=tuple(IndexHit(record.id, key) for key, record, _ in matches[: query.limit]),
        total=len(matches),
        facets={field: _facet(field, [(record, hidden) for _, record, hidden in matches]) for field in query.facets},
    )


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


@st.composite
def indistinguishable_pairs(draw: st.DrawFn) -> tuple[list[Step], list[Step], View]:
    """Return two histories and a view in which they end alike, as far as the view can see.

    They differ in the hidden fields of visible records, in edges to invisible data sets, in every record outside the
    view, in the order of writing, and in what was written and deleted again on the way.
    """
    view = draw(views())
    shared = [item for item in after(draw(histories)).values() if _is_listed(item, view)]
    shown = {item.record.id for item in shared}
    histories_of_both: list[list[Step]] = []
    for _ in range(2):
        others: list[Step] = [
            step for step in draw(histories) if not (isinstance(step, ImportedAsset) and _is_listed(step, view))
        ]
        # What is visible is written last of all with its id, so that nothing of the noise replaces it.
        noise = [step for step in others if _id(step) not in shown]
        passing = [step for step in others if _id(step) in shown]
        final: list[Step] = [_with_other_secrets(draw, item, view, shown) for item in draw(st.permutations(shared))]
        histories_of_both.append([*passing, *draw(st.permutations([*noise, *final]))])
    return histories_of_both[0], histories_of_both[1], view


def _id(step: Step) -> AssetId:
    return step.id if isinstance(step, Deleted) else step.record.id


def _is_listed(item: ImportedAsset, view: View) -> bool:
    seen = view.get(item.record.class_id)
    return seen is not None and seen.level >= Level.SUMMARY


def _with_other_secrets(draw: st.DrawFn, item: ImportedAsset, view: View, shown: set[AssetId]) -> ImportedAsset:
    """Return the same asset to this view: hidden fields drawn again, and other edges to data sets it cannot see."""
    other = draw(assets()).record
    hidden = view[item.record.class_id].hidden
    changes: dict[str, Any] = {
        name: getattr(other, name) for name in hidden if hasattr(other, name) and name != "trained_on"
    }
    if item.record.kind == "model":
        invisible = [key for key in draw(dataset_ids) if key not in shown]
        kept = [] if "trained_on" in hidden else [key for key in item.record.trained_on if key in shown]
        changes["trained_on"] = tuple(dict.fromkeys([*invisible, *kept]))
    return replace(item, record=replace(item.record, **changes))
