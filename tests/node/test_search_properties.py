"""The index equals its definition, and nothing a view hides can be seen in an answer or in the work for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concordat_node.registry.engine import Database
from concordat_node.registry.rules import ImportedAsset
from concordat_node.registry.writing import delete_assets, write_batch
from concordat_node.search.index import ClassView, IndexQuery, View
from concordat_node.search.index_writer import PostingWriter, rebuild_index
from concordat_node.search.posting_index import SqlPostingIndex
from concordat_trust.filters import And, MetricIs, TrainedOn
from concordat_trust.ranking import query_terms
from concordat_trust.vocabulary import FACET_FIELDS, Level
from tests.factories.registry import NOW, STATISTICS, Databases, asset_id, make_asset, make_policy
from tests.factories.search_worlds import (
    KINDS,
    NAMES,
    Deleted,
    Step,
    after,
    indistinguishable_pair,
    oracle,
    queries,
    random_history,
    random_view,
    seeds,
    visible_records,
)

WRITER = PostingWriter(STATISTICS)
examples = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    held = Databases(tmp_path_factory.mktemp("search"))
    yield held
    held.close()


def live_through(database: Database, history: Iterable[Step]) -> SqlPostingIndex:
    """Apply a history: neighbouring imports as one batch, every deletion by itself."""
    for is_deletion, group in groupby(history, key=lambda step: isinstance(step, Deleted)):
        steps = list(group)
        with database.writing() as connection:
            if is_deletion:
                delete_assets(connection, [step.id for step in steps if isinstance(step, Deleted)], WRITER)
            else:
                write_batch(connection, [step for step in steps if isinstance(step, ImportedAsset)], WRITER, now=NOW)
    return SqlPostingIndex(database)


@examples
@given(seed=seeds, asked=st.lists(queries, min_size=2, max_size=6))
def test_the_index_equals_a_brute_force_search_of_the_visible_records(
    databases: Databases, seed: int, asked: list[IndexQuery]
) -> None:
    random = Random(seed)
    history, view = random_history(random), random_view(random)
    index = live_through(databases.emptied("one"), history)
    for query in asked:
        assert index.search(query, view, STATISTICS) == oracle(after(history), view, query)
    every_id = [asset_id(name, kind) for name in NAMES for kind in KINDS]
    listed = visible_records(after(history), view)
    assert index.visible_assets(every_id, view) == tuple(item for item in every_id if item in listed)


@settings(examples, max_examples=40)
@given(seed=seeds, asked=st.lists(queries, min_size=2, max_size=6))
def test_hidden_records_fields_and_histories_change_neither_answer_nor_work(
    databases: Databases, seed: int, asked: list[IndexQuery]
) -> None:
    one, other, view = indistinguishable_pair(Random(seed))
    first, second = live_through(databases.emptied("one"), one), live_through(databases.emptied("other"), other)
    every_id = [asset_id(name, kind) for name in NAMES for kind in KINDS]
    for query in asked:
        answer, again = first.search(query, view, STATISTICS), second.search(query, view, STATISTICS)
        assert answer == again
        assert list(map(str, answer.facets.items())) == list(map(str, again.facets.items()))
        assert answer.work == again.work
    assert first.visible_assets(every_id, view) == second.visible_assets(every_id, view)


@settings(examples, max_examples=15)
@given(seed=seeds, query=queries)
def test_a_rebuilt_index_answers_as_the_one_that_grew(databases: Databases, seed: int, query: IndexQuery) -> None:
    random = Random(seed)
    database = databases.emptied("one")
    index = live_through(database, random_history(random))
    view = random_view(random)
    before = index.search(query, view, STATISTICS)
    rebuild_index(database, STATISTICS)
    again = index.search(query, view, STATISTICS)
    assert (again, again.work) == (before, before.work)


def a_model(number: int, sensitivity: int) -> ImportedAsset:
    policy = make_policy("model", sensitivity=sensitivity)
    trained_on = (asset_id(f"set-{sensitivity}"),)
    return make_asset(f"m{number}", kind="model", policy=policy, title="trial heart", trained_on=trained_on)


def steps_of(database: Database, view: View) -> int:
    """Return how many virtual machine instructions SQLite runs for a question that uses every table."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    query = IndexQuery(
        terms=query_terms("heart trial", STATISTICS),
        filter=And((TrainedOn("trial"), MetricIs("accuracy", "gt", "0.5"))),
        facets=FACET_FIELDS,
    )
    with database.reading() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(count, 1)
    index = SqlPostingIndex(database)
    index.search(query, view, STATISTICS)
    index.visible_assets([asset_id("m1", "model"), asset_id("m900", "model")], view)
    return steps[0]


def test_the_database_itself_passes_over_no_hidden_row(databases: Databases) -> None:
    visible = [make_policy("model"), make_policy("dataset")]
    view = {policy.class_id: ClassView(policy.class_id, Level.FULL) for policy in visible}
    shown = [a_model(number, 0) for number in range(10)]
    datasets = [make_asset(f"set-{s}", policy=make_policy(sensitivity=s), title="trial") for s in (0, 2)]
    steps: dict[int, int] = {}
    for hidden in (1, 300):
        database = databases.new()
        with database.writing() as connection:
            others = [a_model(900 + number, 2) for number in range(hidden)]
            write_batch(connection, [*shown, *datasets, *others], WRITER, now=NOW)
        steps[hidden] = steps_of(database, view)
    assert steps[300] == steps[1]
