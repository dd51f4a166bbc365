"""What a view may find: facts of the index that a reader can check one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from concordat_node.registry.engine import Database
from concordat_node.registry.errors import IndexStale
from concordat_node.registry.records import EvaluationRecord, PolicyAttributes
from concordat_node.registry.rules import ImportedAsset
from concordat_node.registry.writing import delete_assets, write_batch
from concordat_node.search.index import ClassView, IndexQuery, IndexResult, SearchIndex
from concordat_node.search.index_writer import PostingWriter, ensure_index
from concordat_node.search.posting_index import SqlPostingIndex
from concordat_trust.filters import And, Compare, Equals, Filter, MetricIs, Not, Or, TrainedOn
from concordat_trust.ids import AssetId
from concordat_trust.question import Sort
from concordat_trust.ranking import query_terms
from concordat_trust.vocabulary import Level
from tests.factories.registry import (
    NOW,
    STATISTICS,
    Databases,
    asset_id,
    make_asset,
    make_policy,
    make_statistics,
)

OPEN = make_policy("model")
SECRET = make_policy("model", sensitivity=3)
DATASET = make_policy("dataset")
SECRET_DATASET = make_policy("dataset", sensitivity=3)


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    held = Databases(tmp_path_factory.mktemp("index"))
    yield held
    held.close()


@pytest.fixture
def database(databases: Databases) -> Database:
    return databases.emptied("index")


def a_model(name: str, policy: PolicyAttributes = OPEN, **changes: Any) -> ImportedAsset:
    return make_asset(name, kind="model", policy=policy, **changes)


def put(database: Database, *items: ImportedAsset) -> None:
    with database.writing() as connection:
        write_batch(connection, items, PostingWriter(STATISTICS), now=NOW)


def see(*policies: PolicyAttributes, level: Level = Level.FULL, hidden: tuple[str, ...] = ()) -> dict[str, ClassView]:
    return {policy.class_id: ClassView(policy.class_id, level, frozenset(hidden)) for policy in policies}


def ask(database: Database, view: dict[str, ClassView], text: str = "", **query: Any) -> IndexResult:
    index: SearchIndex = SqlPostingIndex(database)
    return index.search(IndexQuery(terms=query_terms(text, STATISTICS), **query), view, STATISTICS)


def names(result: IndexResult) -> list[AssetId]:
    return [hit.id for hit in result.hits]


def model_id(name: str) -> AssetId:
    return asset_id(name, "model")


@pytest.mark.parametrize("level", [Level.NONE, Level.EXISTS])
def test_below_summary_nothing_is_listed_matched_or_counted(database: Database, level: Level) -> None:
    put(database, a_model("m", title="Stroke"))
    view = see(OPEN, level=level)
    for text in ("", "stroke"):
        result = ask(database, view, text, facets=("kind",))
        assert (result.hits, result.total, result.facets, result.work) == ((), 0, {"kind": {}}, 0)
    assert SqlPostingIndex(database).visible_assets([model_id("m")], view) == ()


def test_assets_by_id_come_in_the_order_asked_and_only_from_the_view(database: Database) -> None:
    put(database, a_model("a"), a_model("b"), a_model("c", SECRET))
    ids = [model_id("b"), model_id("c"), model_id("nobody"), model_id("a")]
    assert SqlPostingIndex(database).visible_assets(ids, see(OPEN)) == (model_id("b"), model_id("a"))


def test_a_word_of_a_hidden_text_finds_nothing(database: Database) -> None:
    put(database, a_model("m", title="Stroke", summary="renal", keywords=("cardiac",), description="hepatic"))
    found = {
        hidden: [
            word
            for word in ("stroke", "renal", "cardiac", "hepatic")
            if ask(database, see(OPEN, hidden=hidden), word).total
        ]
        for hidden in ((), ("description",), ("keywords",), ("summary",), ("title",))
    }
    assert found == {
        (): ["stroke", "renal", "cardiac", "hepatic"],
        ("description",): ["stroke", "renal", "cardiac"],
        ("keywords",): ["stroke"],
        ("summary",): ["stroke"],
        ("title",): [],
    }


def test_a_score_depends_on_the_disclosed_text_alone(database: Database) -> None:
    short, long = "", "word " * 300
    view = see(OPEN, hidden=("description",))
    keys = []
    for description in (short, long):
        put(database, a_model("m", title="Stroke", summary="risk of stroke", description=description))
        keys.append(ask(database, view, "stroke").hits[0].sort_key)
    assert keys[0] == keys[1]
    assert ask(database, see(OPEN), "stroke").hits[0].sort_key != keys[0]


def test_equal_scores_are_ordered_by_the_hash_of_the_id(database: Database) -> None:
    models = [a_model(f"m{number}", title="Stroke") for number in range(8)]
    put(database, *models)
    by_tie = sorted((item.record for item in models), key=lambda record: record.tie)
    assert names(ask(database, see(OPEN), "stroke", limit=5)) == [record.id for record in by_tie[:5]]


@pytest.mark.parametrize(("order", "expected"), [("desc", ["new", "old", "none"]), ("asc", ["old", "new", "none"])])
def test_what_has_no_sort_key_comes_last_either_way(database: Database, order: str, expected: list[str]) -> None:
    test = {"new": "0.9", "old": "0.8"}
    items = [a_model(name, evaluations=(EvaluationRecord("auc", value, "test"),)) for name, value in test.items()]
    put(database, *items, a_model("none", evaluations=(EvaluationRecord("auc", "0.99", "train"),)))
    result = ask(database, see(OPEN), sort=Sort("metric", "auc", "asc" if order == "asc" else "desc"))
    assert names(result) == [model_id(name) for name in expected]
    assert [hit.sort_key for hit in result.hits][2] is None


def test_a_hidden_sort_field_is_no_sort_key(database: Database) -> None:
    put(database, a_model("m", evaluations=(EvaluationRecord("auc", "0.9", "test"),)))
    view = see(OPEN, hidden=("created", "evaluations"))
    assert ask(database, view, sort=Sort("created")).hits[0].sort_key is None
    assert ask(database, view, sort=Sort("metric", "auc")).hits[0].sort_key is None
    assert ask(database, see(OPEN), sort=Sort("created")).hits[0].sort_key == 20260504


HIDDEN_PREDICATES: list[tuple[str, Filter]] = [
    ("task", Equals("task", "triage")),
    ("keywords", Equals("keyword", "heart")),
    ("created", Compare("created", "ge", "2020-01-01")),
    ("cohort_size", Compare("cohort_size", "gt", "10")),
    ("evaluations", MetricIs("auc", "gt", "0.5")),
    ("trained_on", TrainedOn("trial")),
]


@pytest.mark.parametrize(("field", "predicate"), HIDDEN_PREDICATES)
def test_a_predicate_on_a_hidden_field_is_unknown_also_under_not(
    database: Database, field: str, predicate: Filter
) -> None:
    evaluation = EvaluationRecord("auc", "0.9", "test")
    facts: dict[str, Any] = {"task": "triage", "keywords": ("heart",), "cohort_size": 40, "evaluations": (evaluation,)}
    put(database, make_asset("arm-a", policy=DATASET), a_model("m", trained_on=(asset_id("arm-a"),), **facts))
    hidden = see(OPEN, hidden=(field,)) | see(DATASET)
    is_model = Equals("kind", "model")
    for condition, shown, masked in ((predicate, 1, 0), (Not(predicate), 0, 0), (Or((predicate, is_model)), 1, 1)):
        query = And((condition, is_model))
        assert ask(database, see(OPEN, DATASET), filter=query).total == shown
        assert ask(database, hidden, filter=query).total == masked


def test_accuracy_on_the_training_split_counts_for_nothing(database: Database) -> None:
    put(database, a_model("m", evaluations=(EvaluationRecord("accuracy", "0.99", "train"),)))
    assert ask(database, see(OPEN), filter=MetricIs("accuracy", "gt", "0.9")).total == 0


def test_trained_on_sees_only_data_sets_that_the_requester_may_see(database: Database) -> None:
    put(database, make_asset("arm-a", policy=SECRET_DATASET), a_model("m", trained_on=(asset_id("arm-a"),)))
    wanted = TrainedOn("clinical trial data")
    assert ask(database, see(OPEN, SECRET_DATASET), filter=wanted).total == 1
    assert ask(database, see(OPEN), filter=wanted).total == 0
    assert ask(database, see(OPEN), filter=Not(wanted)).total == 1


@pytest.mark.parametrize("hidden", [("trained_on",), ()])
def test_an_edge_that_is_not_shown_takes_no_work(database: Database, hidden: tuple[str, ...]) -> None:
    put(database, make_asset("arm-a", policy=DATASET if hidden else SECRET_DATASET))
    view = see(OPEN, hidden=hidden) | see(DATASET)
    work = set()
    for edges in ((), (asset_id("arm-a"),)):
        put(database, a_model("m", trained_on=edges))
        work.add(ask(database, view, filter=TrainedOn("trial")).work)
    assert len(work) == 1


def test_trained_on_needs_every_word_and_no_generic_one(database: Database) -> None:
    put(database, make_asset("arm-a", policy=DATASET), a_model("m", trained_on=(asset_id("arm-a"),)))
    view = see(OPEN, DATASET)
    found = {
        text: ask(database, view, filter=TrainedOn(text)).total
        for text in ("trials", "trial data set", "trial of gout", "data", "the")
    }
    assert found == {"trials": 1, "trial data set": 1, "trial of gout": 0, "data": 0, "the": 0}


def test_trained_on_matches_a_data_set_that_came_after_the_model(database: Database) -> None:
    put(database, a_model("m", trained_on=(asset_id("arm-a"),)))
    put(database, make_asset("arm-a", policy=DATASET))
    assert ask(database, see(OPEN, DATASET), filter=TrainedOn("trial")).total == 1
    with database.writing() as connection:
        delete_assets(connection, [asset_id("arm-a")], PostingWriter(STATISTICS))
    assert ask(database, see(OPEN, DATASET), filter=TrainedOn("trial")).total == 0


def test_facets_count_all_visible_matches_and_no_masked_or_empty_value(database: Database) -> None:
    items = [a_model(f"m{number}", title="Stroke", task="triage" if number % 2 else "") for number in range(6)]
    put(
        database,
        *items,
        a_model("s", SECRET, title="Stroke", task="triage"),
        a_model("other", title="Gout", task="triage"),
    )
    shown = ask(database, see(OPEN, SECRET), "stroke", facets=("task", "kind"), limit=1)
    assert (shown.total, shown.facets) == (7, {"task": {"triage": 4}, "kind": {"model": 7}})
    view = see(OPEN) | see(SECRET, hidden=("task",))
    assert ask(database, view, "stroke", facets=("task",)).facets == {"task": {"triage": 3}}


def test_text_of_nothing_but_stop_words_asks_for_everything(database: Database) -> None:
    put(database, a_model("m"))
    assert query_terms("of the", STATISTICS) == ()
    assert [hit.sort_key for hit in ask(database, see(OPEN), "of the").hits] == [0]


def test_an_index_of_other_statistics_answers_nothing(database: Database) -> None:
    put(database, a_model("m"))
    other = make_statistics(unseen_weight=170)
    with pytest.raises(IndexStale):
        SqlPostingIndex(database).search(IndexQuery(), see(OPEN), other)
    assert ensure_index(database, other)
    assert not ensure_index(database, other)
    assert SqlPostingIndex(database).search(IndexQuery(), see(OPEN), other).total == 1


def test_a_view_of_more_classes_than_one_statement_carries_is_read_in_pieces(database: Database) -> None:
    policies = [make_policy("model", agreements=(f"dua-{number}",)) for number in range(501)]
    put(database, *(a_model(f"m{number}", policy, title="Stroke") for number, policy in enumerate(policies)))
    for text in ("", "stroke"):
        assert ask(database, see(*policies), text, facets=("kind",)).facets == {"kind": {"model": 501}}
