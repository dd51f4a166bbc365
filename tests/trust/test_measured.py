"""A list tells first what decided: of conditions, of an order, of both; everything else stays as its owner has it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.canonical import Json, JsonObject
from concordat_trust.measured import deciding_first
from tests.factories.answers import make_card, make_evaluation

OLD, NEW, AREA = (
    make_evaluation("accuracy", "0.8988"),
    make_evaluation("accuracy", "0.9474"),
    make_evaluation("auroc", "0.99"),
)
LEARNT = make_evaluation("accuracy", "0.999", "train")
ABOVE: JsonObject = {"op": "metric", "metric": "accuracy", "cmp": "gt", "value": "0.9"}


def told(evaluations: list[JsonObject], **question: Json) -> list[JsonObject]:
    shown: Any = deciding_first(
        make_card(evaluations=evaluations), {"filter": None, "sort": {"by": "relevance"}, **question}
    )
    return list(shown["evaluations"])


def by(metric: str, order: str = "desc") -> JsonObject:
    return {"by": "metric", "metric": metric, "order": order}


def test_the_measurement_that_meets_the_condition_comes_first() -> None:
    assert told([OLD, AREA, NEW], filter=ABOVE) == [NEW, OLD, AREA]
    assert (
        told([OLD, AREA, NEW], filter={"op": "and", "args": [{"op": "eq", "field": "task", "value": "x"}, ABOVE]})[0]
        == NEW
    )
    assert told([OLD, NEW], filter={"op": "or", "args": [ABOVE, {**ABOVE, "metric": "auroc"}]}) == [NEW, OLD]


def test_what_was_measured_in_training_decides_nothing() -> None:
    assert told([LEARNT, OLD, NEW], filter=ABOVE) == [NEW, LEARNT, OLD]
    assert told([LEARNT, OLD, NEW], sort=by("accuracy")) == [NEW, LEARNT, OLD]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_measurement_that_a_record_is_ordered_by_comes_first(order: str) -> None:
    assert told([OLD, NEW, AREA], sort=by("accuracy", order)) == [NEW, OLD, AREA]
    assert told([OLD, NEW, AREA], sort=by("auroc", order)) == [AREA, OLD, NEW]


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"filter": {"op": "not", "arg": ABOVE}},
        {"filter": {**ABOVE, "metric": "f1"}},
        {"filter": {"op": "newer than this version"}},
        {"filter": 5, "sort": 5},
    ],
)
def test_where_no_measurement_decided_the_owner_orders(question: dict[str, Any]) -> None:
    assert told([OLD, AREA, NEW], **question) == [OLD, AREA, NEW]


@pytest.mark.parametrize("evaluations", [None, [], "x", [5, {"metric": "accuracy"}, {**NEW, "value": "high"}]])
def test_what_is_masked_or_no_measurement_stays_as_it_is(evaluations: Json) -> None:
    card = make_card(evaluations=evaluations)
    assert deciding_first(card, {"filter": ABOVE, "sort": by("accuracy")}) == card


@given(st.lists(st.sampled_from([OLD, NEW, AREA, LEARNT]), max_size=8), st.sampled_from([None, ABOVE]))
def test_nothing_is_lost_added_or_turned_around(evaluations: list[JsonObject], condition: Json) -> None:
    shown = told(evaluations, filter=condition)
    is_first = [item == NEW for item in shown]
    assert sorted(map(str, shown)) == sorted(map(str, evaluations))
    assert condition is None or is_first == sorted(is_first, reverse=True)
    assert [item for item in shown if item != NEW] == [item for item in evaluations if item != NEW]
