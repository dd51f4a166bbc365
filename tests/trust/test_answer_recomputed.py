"""Keys, match, order and counts are computed again from what the records disclose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from concordat_trust.answer import (
    NodeAnswer,
    OpenResult,
)
from concordat_trust.answer_errors import OrderMismatch
from concordat_trust.attestation import (
    Candidate,
    record_commitment,
)
from concordat_trust.canonical import JsonObject
from concordat_trust.filters import (
    And,
    Compare,
    Equals,
    Filter,
    In,
    MetricIs,
    Not,
    TrainedOn,
)
from concordat_trust.question import Question, Sort
from concordat_trust.result_checks import check_order
from tests.factories.answers import (
    NORTH,
    in_order,
    make_answer,
    make_attestation,
    make_card,
    make_evaluation,
    make_question,
    salt_of,
    signed_answer,
    verified,
)
from tests.trust.answer_cases import CARDS, GOOD, NETWORK, QUESTION, attested, refused

# --- 9 keys, 10 match, 11 order ---------------------------------------------------------------------------------------


def lying(change: Callable[[Candidate], Candidate], position: int = 0) -> NodeAnswer:
    good = make_attestation(NETWORK, CARDS, org=NORTH)
    candidates = list(good.candidates)
    candidates[position] = change(candidates[position])
    return attested(candidates=tuple(candidates))


@pytest.mark.parametrize("key", [2**53 - 1, 10**9, 0, -1, None])
def test_a_score_the_record_does_not_have_is_refused(key: int | None) -> None:
    assert refused(lying(lambda c: replace(c, sort_key=key), 1), "sort_key_mismatch").fields["position"] == 1


def test_a_key_for_a_metric_that_is_not_disclosed_is_refused() -> None:
    question = make_question(sort=Sort("metric", "accuracy"))
    hidden = make_card(NORTH, "hidden", evaluations=None)
    statement = make_attestation(NETWORK, [hidden], org=NORTH, question=question)
    claimed = replace(statement, candidates=(replace(statement.candidates[0], sort_key=990_000),))
    answer = signed_answer(NETWORK, claimed, [OpenResult(salt_of(hidden), hidden)], org=NORTH)
    refused(answer, "sort_key_mismatch", question=question)


def test_a_score_from_hidden_text_is_refused() -> None:
    whole = make_attestation(NETWORK, [CARDS[0]], org=NORTH)
    masked = CARDS[0] | {"description": None, "masked_fields": ["description"]}
    shown = tuple(replace(c, commitment=record_commitment(masked, salt_of(masked))) for c in whole.candidates)
    statement = replace(whole, candidates=shown)
    refused(signed_answer(NETWORK, statement, [OpenResult(salt_of(masked), masked)], org=NORTH), "sort_key_mismatch")


def test_a_tie_key_that_is_not_the_hash_of_the_id_is_refused() -> None:
    refused(lying(lambda c: replace(c, tie="0" * 16)), "tie_key_mismatch")


def test_a_node_that_orders_its_candidates_differently_is_refused() -> None:
    good = make_attestation(NETWORK, CARDS, org=NORTH)
    swapped = replace(good, candidates=(good.candidates[1], good.candidates[0], *good.candidates[2:]))
    results = [GOOD.results[1], GOOD.results[0], *GOOD.results[2:]]
    assert refused(signed_answer(NETWORK, swapped, results, org=NORTH), "order_mismatch").fields["position"] == 1


def test_equal_scores_out_of_tie_order_are_refused() -> None:
    question = make_question(text="")
    cards = in_order(NETWORK, question, CARDS)
    good = make_attestation(NETWORK, cards, org=NORTH, question=question)
    statement = replace(good, candidates=tuple(reversed(good.candidates)))
    results = [OpenResult(salt_of(card), card) for card in reversed(cards)]
    refused(signed_answer(NETWORK, statement, results, org=NORTH), "order_mismatch", question=question)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_metric_sort_is_checked_in_its_direction(order: Any) -> None:
    question = make_question(sort=Sort("metric", "accuracy", order))
    cards = [make_card(NORTH, f"m{n}", evaluations=[make_evaluation(value=f"0.{n}")]) for n in range(3)]
    cards.append(make_card(NORTH, "hidden", evaluations=None))
    verified(NETWORK, make_answer(NETWORK, cards, org=NORTH, question=question), question=question)
    other = make_question(sort=Sort("metric", "accuracy", "desc" if order == "asc" else "asc"))
    statement = make_attestation(NETWORK, cards, org=NORTH, question=other)
    results = [OpenResult(salt_of(card), card) for card in in_order(NETWORK, other, cards)]
    wrong = signed_answer(NETWORK, replace(statement, question_hash=question.hash()), results, org=NORTH)
    refused(wrong, "order_mismatch", question=question)


def test_the_id_decides_between_two_of_one_tie_key() -> None:
    good = make_attestation(NETWORK, CARDS[:2], org=NORTH)
    same = replace(good, candidates=tuple(replace(c, sort_key=1, tie="0" * 16) for c in good.candidates))
    rising = sorted(CARDS[:2], key=lambda card: str(card["id"]))
    opened = [OpenResult(salt_of(card), card) for card in rising]
    check_order(opened, same, QUESTION)
    with pytest.raises(OrderMismatch):
        check_order(opened[::-1], same, QUESTION)


def unmatched(question: Question, card: JsonObject) -> NodeAnswer:
    """A node's own, consistent answer with a record that the question does not match."""
    anything = replace(question, text="", filter=None)
    statement = make_attestation(NETWORK, [card], org=NORTH, question=anything)
    return signed_answer(
        NETWORK,
        replace(statement, question_hash=question.hash()),
        [OpenResult(salt_of(card), card)],
        org=NORTH,
    )


@pytest.mark.parametrize("sort", [Sort(), Sort("created")])
def test_a_record_without_any_word_of_the_question_is_refused(sort: Sort) -> None:
    question = make_question(text="zebra", sort=sort)
    refused(unmatched(question, CARDS[0]), "record_not_matching", question=question)


def test_a_record_matched_by_hidden_text_is_refused() -> None:
    question = make_question(text="onset")
    hidden = make_card(NORTH, "sepsis", title=None, masked_fields=["title"], summary="onset")
    refused(unmatched(question, hidden), "record_not_matching", question=question)


@pytest.mark.parametrize(
    "condition",
    [
        Equals("task", "regression"),
        In("keyword", ("heart", "lung")),
        Compare("created", "gt", "2026-03-01"),
        MetricIs("accuracy", "gt", "0.94"),
        And((TrainedOn("clinical trial"), Equals("kind", "dataset"))),
        Not(Equals("license", "CC-BY-4.0")),
    ],
    ids=str,
)
def test_a_record_that_certainly_breaks_the_filter_is_refused(condition: Filter) -> None:
    question = make_question(text="", filter=condition)
    refused(unmatched(question, make_card(NORTH, "sepsis")), "record_not_matching", question=question)


@pytest.mark.parametrize(
    "condition",
    [
        Equals("task", "classification"),
        In("keyword", ("heart", "sepsis")),
        Compare("created", "ge", "2026-03-01"),
        Compare("cohort_size", "gt", "1000000"),  # a card does not carry it: its owner decided
        MetricIs("accuracy", "ge", "0.94"),
        TrainedOn("clinical trial"),
        Not(TrainedOn("clinical trial")),
    ],
    ids=str,
)
def test_a_record_that_fits_or_cannot_be_judged_is_taken(condition: Filter) -> None:
    question = make_question(text="", filter=condition)
    verified(NETWORK, unmatched(question, make_card(NORTH, "sepsis")), question=question)


def test_a_masked_field_cannot_be_judged() -> None:
    question = make_question(text="", filter=Equals("task", "regression"))
    masked = make_card(NORTH, "sepsis", task=None, masked_fields=["task"])
    verified(NETWORK, unmatched(question, masked), question=question)


# --- 12 facets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facets",
    [
        {"kind": {"model": 3}, "task": {"classification": 4}},
        {"kind": {"model": 5}, "task": {"classification": 4}},
        {"kind": {"model": 4, "dataset": 1}, "task": {"classification": 4}},
        {"kind": {}, "task": {"classification": 4}},
        {"kind": {"model": 4}},
        {},
    ],
    ids=str,
)
def test_counts_other_than_those_of_the_records_are_refused(facets: Any) -> None:
    refused(attested(facets=facets), "facets_inconsistent")


def test_counts_of_more_than_the_first_page_are_bounded_by_records_and_total() -> None:
    cards = [make_card(NORTH, f"name {number}") for number in range(25)]
    verified(NETWORK, make_answer(NETWORK, cards, org=NORTH))
    below = {"kind": {"model": 19}, "task": {"classification": 25}}
    refused(make_answer(NETWORK, cards, org=NORTH, facets=below), "facets_inconsistent")
    above = {"kind": {"model": 26}, "task": {"classification": 25}}
    refused(make_answer(NETWORK, cards, org=NORTH, facets=above), "facets_inconsistent")


def test_absent_and_masked_values_are_counted_nowhere() -> None:
    cards = [make_card(NORTH, "a", task=""), make_card(NORTH, "b", task=None), make_card(NORTH, "c")]
    facets = {"kind": {"model": 3}, "task": {"classification": 1}}
    verified(NETWORK, make_answer(NETWORK, cards, org=NORTH, facets=facets))
    hidden_counted = {"kind": {"model": 3}, "task": {"classification": 2}}
    refused(make_answer(NETWORK, cards, org=NORTH, facets=hidden_counted), "facets_inconsistent")
