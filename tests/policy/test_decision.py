"""Reading decision documents: every deviation from a literal, valid one denies or makes the policy unavailable."""

from __future__ import annotations

from typing import Any

import pytest

from concordat_node.policy.decision import (
    CANARY_ID,
    INVALID_DECISION,
    LIST_MAX,
    MISSING_DECISION,
    parse_decision,
    parse_decisions,
    parse_page,
    parse_scope,
)
from concordat_node.policy.engine import Mask, Missing, Notice, PolicyUnavailable, Scope, denied
from concordat_trust.vocabulary import Level

NOW = 1_800_000_000


def document(**changes: Any) -> dict[str, Any]:
    """Return a good decision document; a change to Ellipsis removes the field."""
    fields = {
        "verdict": "permit",
        "level": "FULL",
        "masks": {},
        "obligations": [{"code": "cite", "text": "Cite it."}],
        "reasons": [{"code": "agreement_covers", "public": True}],
        "missing": [],
        "agreement_ids": ["dua-1"],
        "relay_may_read": False,
        "valid_until": NOW + 1,
    } | changes
    return {name: value for name, value in fields.items() if value is not ...}


def denial(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "verdict": "deny",
        "level": "NONE",
        "obligations": [],
        "agreement_ids": [],
        "valid_until": None,
    }
    return document(**(fields | changes))


INVALID = denied(INVALID_DECISION)


def test_a_valid_document_is_the_decision() -> None:
    decision = parse_decision(document(masks={"contact": {"op": "hide"}}), NOW)
    assert (decision.verdict, decision.level) == ("permit", Level.FULL)
    assert decision.masks == {"contact": Mask("hide")}
    assert decision.hidden == {"contact"}
    assert decision.agreement_ids == ("dua-1",)
    assert decision.valid_until == NOW + 1


@pytest.mark.parametrize("wrong", [{}, None, "permit", 1, True, [], [document()], {"result": document()}])
def test_anything_but_a_decision_object_denies(wrong: object) -> None:
    assert parse_decision(wrong, NOW) == INVALID


@pytest.mark.parametrize("name", sorted(document()))
def test_every_field_is_needed(name: str) -> None:
    assert parse_decision(document(**{name: ...}), NOW) == INVALID


@pytest.mark.parametrize("name", sorted(document()))
@pytest.mark.parametrize("wrong", ["", "x", 7, -1, 1.5, {"x": 1}, ["x", 1], [{}], "true", 0])
def test_a_field_of_another_type_denies(name: str, wrong: object) -> None:
    assert parse_decision(document(**{name: wrong}), NOW) == INVALID


@pytest.mark.parametrize("name", sorted(set(document()) - {"valid_until"}))
def test_no_field_but_valid_until_may_be_null(name: str) -> None:
    assert parse_decision(document(**{name: None}), NOW) == INVALID


def test_a_field_that_nobody_knows_denies() -> None:
    assert parse_decision(document(extra=1), NOW) == INVALID


PAIRS = {
    ("deny", "NONE"),
    ("deny", "EXISTS"),
    ("review", "EXISTS"),
    ("review", "SUMMARY"),
    ("permit", "SUMMARY"),
    ("permit", "FULL"),
}


@pytest.mark.parametrize("verdict", ["permit", "review", "deny", "allow", "PERMIT"])
@pytest.mark.parametrize("level", ["NONE", "EXISTS", "SUMMARY", "FULL", "full", "ALL"])
def test_only_pairs_of_the_ladder_count(verdict: str, level: str) -> None:
    decision = parse_decision(document(verdict=verdict, level=level), NOW)
    if (verdict, level) in PAIRS:
        assert (decision.verdict, decision.level) == (verdict, Level[level])
    else:
        assert decision == INVALID


@pytest.mark.parametrize("mask", [{"op": "bucket", "edges": [1]}, {"op": "sparkle"}, {"op": "suppress_below", "k": 10}])
def test_a_mask_operation_that_is_not_carried_out_hides(mask: object) -> None:
    assert parse_decision(document(masks={"cohort_size": mask}), NOW).masks == {"cohort_size": Mask("hide")}


@pytest.mark.parametrize(
    "masks", [{"descripton": {"op": "hide"}}, {"contact": "hide"}, {"contact": {}}, {"id": {"op": "hide"}}]
)
def test_a_mask_that_cannot_be_applied_denies(masks: object) -> None:
    assert parse_decision(document(masks=masks), NOW) == INVALID


@pytest.mark.parametrize("valid_until", [NOW, NOW - 1, 0, True, 2**53])
def test_a_decision_that_has_ended_or_never_does_denies(valid_until: object) -> None:
    assert parse_decision(document(valid_until=valid_until), NOW) == INVALID


def test_a_permit_with_something_missing_denies() -> None:
    missing = [{"code": "approval_missing", "who_can_grant": "ethics_board"}]
    assert parse_decision(document(missing=missing), NOW) == INVALID
    review = parse_decision(document(verdict="review", level="SUMMARY", missing=missing), NOW)
    assert review.missing == (Missing("approval_missing", "ethics_board"),)


@pytest.mark.parametrize(
    "item",
    [{"code": "x"}, {"code": "x", "who_can_grant": "anybody"}, {"code": "x", "who_can_grant": "ethics_board", "y": 1}],
)
def test_a_missing_condition_names_who_can_grant_it(item: object) -> None:
    assert parse_decision(document(verdict="review", level="SUMMARY", missing=[item]), NOW) == INVALID


def test_lists_have_a_maximum() -> None:
    item = {"code": "x", "public": False}
    assert parse_decision(document(reasons=[item] * LIST_MAX), NOW) != INVALID
    assert parse_decision(document(reasons=[item] * (LIST_MAX + 1)), NOW) == INVALID


def test_a_class_without_a_decision_is_denied_alone() -> None:
    decisions = parse_decisions({CANARY_ID: denial(), "a": document()}, ["a", "b"], NOW)
    assert decisions["a"].verdict == "permit"
    assert decisions["b"] == denied(MISSING_DECISION)


def test_a_class_that_was_not_asked_for_is_not_answered() -> None:
    assert set(parse_decisions({CANARY_ID: denial(), "a": document()}, [], NOW)) == set()


@pytest.mark.parametrize("wrong", [{}, None, "x", 1, True, [], [denial()], {"a": document()}])
def test_decisions_without_the_canary_are_unavailable(wrong: object) -> None:
    with pytest.raises(PolicyUnavailable):
        parse_decisions(wrong, ["a"], NOW)


@pytest.mark.parametrize("canary", [document(), {}, None, denial(level="EXISTS"), denial(extra=1)])
def test_a_canary_that_is_not_literally_denied_makes_everything_unavailable(canary: object) -> None:
    with pytest.raises(PolicyUnavailable) as caught:
        parse_decisions({CANARY_ID: canary, "a": document()}, ["a"], NOW)
    assert caught.value.fields["cause"] == "canary"


@pytest.mark.parametrize(
    "wrong", [{}, None, "x", [], [denial()], [document(), document(), denial()], [denial(), document()]]
)
def test_a_page_of_another_length_or_without_the_canary_is_unavailable(wrong: object) -> None:
    with pytest.raises(PolicyUnavailable):
        parse_page(wrong, 1, NOW)


def test_a_page_denies_what_is_not_decided_and_keeps_the_order() -> None:
    page = parse_page([document(), {}, denial(), denial()], 3, NOW)
    assert [decision.verdict for decision in page] == ["permit", "deny", "deny"]
    assert page[1] == INVALID


def test_a_scope() -> None:
    none = {"mode": "none", "code": None, "contact": None}
    assert parse_scope({"admitted": True, "code": None, "notice": none}) == Scope(True, None, Notice())
    assert parse_scope({"admitted": False, "code": "x", "notice": none}) == Scope(False, "x", Notice())


@pytest.mark.parametrize(
    "change",
    [
        {"admitted": 1},
        {"admitted": True, "code": "x"},
        {"admitted": False, "code": None},
        {"admitted": False, "code": ""},
        {"extra": 1},
        {"notice": None},
        {"notice": {"mode": "named", "code": None, "contact": None}},
        {"notice": {"mode": "none", "code": "x", "contact": None}},
        {"notice": {"mode": "none", "code": None, "contact": "x"}},
        {"notice": {"mode": "standing", "code": None}},
    ],
)
def test_a_scope_that_is_not_valid_is_unavailable(change: dict[str, Any]) -> None:
    good = {"admitted": True, "code": None, "notice": {"mode": "none", "code": None, "contact": None}}
    with pytest.raises(PolicyUnavailable):
        parse_scope(good | change)


@pytest.mark.parametrize("wrong", [{}, None, "x", 1, True, []])
def test_no_scope_is_unavailable(wrong: object) -> None:
    with pytest.raises(PolicyUnavailable):
        parse_scope(wrong)
