"""A predicate over what may not be read is unknown, also under NOT; only true matches."""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.filters import (
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
    parse_filter,
    to_json,
)
from concordat_trust.vocabulary import EXACT_FIELDS


@dataclass
class Reader:
    held: dict[str, tuple[str, ...] | None] = field(default_factory=dict)
    numbers: dict[str, str | Decimal | None] = field(default_factory=dict)
    measured: tuple[tuple[str, Decimal, str], ...] | None = ()
    trained: bool | None = False

    def exact(self, field: str) -> tuple[str, ...] | None:
        return self.held.get(field, ())

    def ordered(self, field: str) -> str | Decimal | None:
        return self.numbers.get(field)

    def evaluations(self) -> tuple[tuple[str, Decimal, str], ...] | None:
        return self.measured

    def trained_on(self, text: str) -> bool | None:
        return self.trained


TRUE, FALSE, UNKNOWN = Equals("kind", "model"), Equals("kind", "dataset"), Equals("task", "x")
READER = Reader(held={"kind": ("model",), "task": None})
ACCURATE = MetricIs("accuracy", "gt", "0.9")


@pytest.mark.parametrize(
    ("node", "outcome"),
    [
        (And((TRUE, TRUE)), True),
        (And((TRUE, UNKNOWN)), None),
        (And((FALSE, UNKNOWN)), False),
        (Or((FALSE, UNKNOWN)), None),
        (Or((TRUE, UNKNOWN)), True),
        (Or((FALSE, FALSE)), False),
        (Not(UNKNOWN), None),
        (Not(TRUE), False),
        (Not(FALSE), True),
    ],
)
def test_kleene_truth_table(node: Filter, outcome: bool | None) -> None:
    assert evaluate(node, READER) is outcome


def test_a_hidden_metric_is_unknown_and_its_negation_too() -> None:
    hidden = Reader(measured=None)
    assert evaluate(ACCURATE, hidden) is None
    assert evaluate(Not(ACCURATE), hidden) is None


def test_accuracy_on_the_training_split_does_not_count() -> None:
    assert evaluate(ACCURATE, Reader(measured=(("accuracy", Decimal("0.99"), "train"),))) is False
    assert evaluate(ACCURATE, Reader(measured=(("accuracy", Decimal("0.99"), "test"),))) is True


def test_above_excludes_the_bound_itself() -> None:
    at_bound = Reader(measured=(("accuracy", Decimal("0.90"), "test"),))
    assert evaluate(ACCURATE, at_bound) is False
    assert evaluate(MetricIs("accuracy", "ge", "0.9"), at_bound) is True


def test_another_metric_does_not_stand_for_accuracy() -> None:
    assert evaluate(ACCURATE, Reader(measured=(("auroc", Decimal("0.99"), "test"),))) is False


def test_numbers_are_compared_as_numbers_and_days_as_days() -> None:
    reader = Reader(numbers={"cohort_size": Decimal(9), "created": "2026-02-01"})
    assert evaluate(Compare("cohort_size", "lt", "10"), reader) is True
    assert evaluate(Compare("created", "ge", "2026-01-31"), reader) is True
    assert evaluate(Compare("created", "le", "2026-01-31"), reader) is False


leaves: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Equals, st.sampled_from(EXACT_FIELDS), st.text(min_size=1, max_size=9)),
    st.builds(In, st.sampled_from(EXACT_FIELDS), st.lists(st.text(max_size=4), min_size=1, max_size=3).map(tuple)),
    st.builds(MetricIs, st.just("accuracy"), st.sampled_from(["gt", "ge", "lt", "le", "eq"]), st.just("0.5")),
    st.builds(TrainedOn, st.text(min_size=1, max_size=9)),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


def _depth(node: Filter) -> int:
    match node:
        case And(args) | Or(args):
            return 1 + max(_depth(arg) for arg in args)
        case Not(arg):
            return 1 + _depth(arg)
        case _:
            return 1


@given(trees.filter(lambda tree: _depth(tree) <= 6))
def test_a_filter_reads_back_from_its_json(tree: Filter) -> None:
    assert parse_filter(to_json(tree)) == tree


@given(trees)
def test_when_nothing_may_be_read_nothing_matches(tree: Filter) -> None:
    blind = Reader(held=dict.fromkeys(EXACT_FIELDS), measured=None, trained=None)
    assert evaluate(tree, blind) is None
