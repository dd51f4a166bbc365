"""A node's answer is believed only as far as it recomputes: what it signed, and for whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.answer import (
    OpenResult,
    result_from_wire,
)
from concordat_trust.attestation import (
    AGE_MAX_S,
    AttestedView,
    verify_attestation,
)
from concordat_trust.canonical import JsonObject
from concordat_trust.encoding import sha256_b64u
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId, tie_key
from concordat_trust.jose import LEEWAY_S
from concordat_trust.node_answer import COUNT_MAX
from concordat_trust.question import Part
from concordat_trust.records import RecordMalformed
from tests.factories.answers import (
    HOME,
    NORTH,
    PART,
    VITALIS,
    asset_id,
    in_order,
    make_answer,
    make_attestation,
    make_card,
    make_question,
    salt_of,
    signed_answer,
    verified,
)
from tests.factories.network import NOW
from tests.factories.tokens import PROPERTY, flipped, fresh_id
from tests.trust.answer_cases import CARDS, GOOD, NETWORK, QUESTION, attested, refused


def test_a_good_answer_is_taken_whole() -> None:
    answer = verified(NETWORK, GOOD)
    assert [item.record for item in answer.records] == CARDS
    assert [item.tie for item in answer.records] == [tie_key(str(card["id"])) for card in CARDS]
    assert all(isinstance(item.sort_key, int) and item.sort_key > 0 for item in answer.records)
    assert (answer.org, answer.is_closed, answer.outside) == (NORTH, False, None)


def test_an_answer_without_records_is_an_answer() -> None:
    assert verified(NETWORK, make_answer(NETWORK, [], org=NORTH)).records == ()


# --- 1 signature ------------------------------------------------------------------------------------------------------


@PROPERTY
@given(st.integers(0, 10_000), st.integers(1, 127))
def test_no_changed_byte_of_an_attestation_is_believed(position: int, mask: int) -> None:
    answer = replace(GOOD, attestation=flipped(GOOD.attestation, position, mask))
    with pytest.raises(ConcordatError) as caught:
        verified(NETWORK, answer)
    assert caught.value.fields["organization"] == NORTH
    assert caught.value.code.startswith("attestation_")


def test_an_attestation_signed_with_another_organizations_key_is_refused() -> None:
    statement = make_attestation(NETWORK, CARDS, org=NORTH)
    refused(replace(signed_answer(NETWORK, statement, GOOD.results, org=VITALIS), org=NORTH), "attestation_key_unknown")


def test_an_attestation_of_a_stranger_is_refused() -> None:
    refused(attested(organization=OrgId.parse("stranger")), "attestation_issuer_unknown")


def test_html_in_place_of_an_attestation_is_refused() -> None:
    refused(replace(GOOD, attestation="<html><body>Sign in</body></html>"), "attestation_malformed")


# --- 2 binding --------------------------------------------------------------------------------------------------------


def test_another_organizations_attestation_is_refused() -> None:
    theirs = make_answer(NETWORK, [make_card(VITALIS)], org=VITALIS)
    refused(replace(theirs, org=NORTH), "attestation_wrong_organization")


def test_an_answer_in_another_organizations_place_is_refused() -> None:
    refused(GOOD, "attestation_wrong_organization", org=VITALIS)


def test_an_answer_relabelled_on_the_way_is_refused() -> None:
    refused(replace(GOOD, org=VITALIS), "attestation_wrong_organization", org=NORTH)


def test_an_answer_for_another_home_is_refused() -> None:
    refused(attested(home=VITALIS), "attestation_wrong_audience")


def test_an_answer_to_another_token_is_refused() -> None:
    refused(attested(token_id=fresh_id("another")), "attestation_wrong_token")


def test_an_answer_to_another_question_is_refused() -> None:
    refused(GOOD, "attestation_wrong_question", question=make_question(text="clinical trials"))


def test_an_answer_to_another_purpose_is_refused() -> None:
    other = replace(QUESTION, purpose=replace(QUESTION.purpose, commercial=True))
    refused(GOOD, "attestation_wrong_question", question=other)


def test_an_answer_to_another_part_is_refused() -> None:
    refused(GOOD, "attestation_wrong_part", part=Part((asset_id(NORTH, "sepsis"),)))


# --- 3 time, 4 view ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("issued_at", [NOW - LEEWAY_S - 1, NOW + AGE_MAX_S + 1])
def test_an_answer_given_outside_the_time_of_its_token_is_refused(issued_at: int) -> None:
    refused(attested(issued_at=issued_at), "attestation_time")


@pytest.mark.parametrize("issued_at", [NOW - LEEWAY_S, NOW + AGE_MAX_S])
def test_an_answer_at_the_limit_of_its_time_is_taken(issued_at: int) -> None:
    verified(NETWORK, attested(issued_at=issued_at))


def test_two_states_of_the_network_under_one_number_are_found() -> None:
    other = replace(AttestedView.of(NETWORK.bundle.view), snapshot_sha256="00" * 32)
    refused(attested(bundle=other), "attestation_split_view")


def test_a_node_that_is_one_snapshot_behind_or_ahead_is_believed() -> None:
    view = replace(AttestedView.of(NETWORK.bundle.view), snapshot=2, snapshot_sha256="00" * 32)
    verified(NETWORK, attested(bundle=view))


# --- 5 statement ------------------------------------------------------------------------------------------------------

REFUSAL: dict[str, Any] = {"total": None, "facets": {}, "candidates": ()}


@pytest.mark.parametrize(
    "changes",
    [
        {"total": None},
        {"total": len(CARDS) + 1},
        {"total": len(CARDS) - 1},
        {"total": 0},
        {"total": COUNT_MAX + 1},
        {"code": "policy_unavailable"},
        {"facets": {"license": {"CC-BY-4.0": 4}}},
        {"status": "SUPPRESSED"},
        {"status": "DENIED", "code": "purpose_not_admitted"},
        {"status": "DENIED", "code": "purpose_not_admitted", "total": None},
        {"status": "DENIED", **REFUSAL},
        {"status": "DENIED", "code": "purpose_not_admitted", **REFUSAL, "total": 0},
        {"status": "DENIED", "code": "purpose_not_admitted", **REFUSAL, "facets": {"kind": {}}},
        {"status": "UNSUPPORTED", **REFUSAL},
        {"status": "UNSUPPORTED", "code": "field_unsupported", "total": None, "facets": {}},
    ],
    ids=str,
)
def test_a_statement_that_contradicts_its_status_is_refused(changes: dict[str, Any]) -> None:
    refused(attested(**changes), "status_inconsistent")


@pytest.mark.parametrize("status", ["DENIED", "UNSUPPORTED"])
def test_a_refusal_with_a_code_and_nothing_else_is_an_answer(status: str) -> None:
    answer = verified(NETWORK, attested(status=status, code="policy_unavailable", **REFUSAL))
    assert (answer.attestation.status, answer.records) == (status, ())


def test_a_suppressed_answer_shows_records_and_no_total() -> None:
    assert len(verified(NETWORK, attested(status="SUPPRESSED", total=None)).records) == len(CARDS)


def test_more_matches_than_candidates_are_exactly_the_first_page() -> None:
    cards = [make_card(NORTH, f"name {number}") for number in range(23)]
    answer = make_answer(NETWORK, cards, org=NORTH)
    assert len(verified(NETWORK, answer).records) == 20
    statement = verify_attestation(answer.attestation, bundle=NETWORK.bundle)
    fewer = replace(statement, candidates=statement.candidates[:19])
    refused(signed_answer(NETWORK, fewer, answer.results[:19], org=NORTH), "status_inconsistent")


def test_a_node_that_gives_more_candidates_than_asked_is_refused() -> None:
    cards = in_order(NETWORK, QUESTION, [make_card(NORTH, f"name {number}") for number in range(21)])
    wide = make_question(page_size=21)
    statement = replace(
        make_attestation(NETWORK, cards, org=NORTH, question=wide), question_hash=QUESTION.hash(), facets={}
    )
    results = [OpenResult(salt_of(card), card) for card in cards]
    refused(signed_answer(NETWORK, statement, results, org=NORTH), "status_inconsistent")


def test_a_suppressed_answer_has_no_more_candidates_either() -> None:
    cards = in_order(NETWORK, QUESTION, [make_card(NORTH, f"name {number}") for number in range(21)])
    wide = make_question(page_size=21)
    statement = make_attestation(NETWORK, cards, org=NORTH, question=wide, status="SUPPRESSED", total=None)
    results = [OpenResult(salt_of(card), card) for card in cards]
    answer = signed_answer(NETWORK, replace(statement, question_hash=QUESTION.hash()), results, org=NORTH)
    refused(answer, "status_inconsistent")


@pytest.mark.parametrize(("total", "is_taken"), [(COUNT_MAX, True), (COUNT_MAX + 1, False)])
def test_a_total_has_a_limit(total: int, is_taken: bool) -> None:
    cards = [make_card(NORTH, f"name {number}") for number in range(20)]
    answer = make_answer(NETWORK, cards, org=NORTH, total=total)
    if is_taken:
        verified(NETWORK, answer)
    else:
        refused(answer, "status_inconsistent")


# --- 6 statistics -----------------------------------------------------------------------------------------------------


def test_scores_of_other_statistics_are_refused() -> None:
    refused(attested(stats_revision="0" * 64), "stats_revision_mismatch")


def test_a_question_of_other_statistics_cannot_be_checked() -> None:
    other = make_question(stats_revision="0" * 64)
    answer = attested(question_hash=other.hash(), stats_revision="0" * 64)
    refused(answer, "stats_revision_mismatch", question=other)


def test_a_node_that_lacks_the_statistics_may_say_so() -> None:
    statistics = {"status": "UNSUPPORTED", "code": "statistics_unknown", "stats_revision": "0" * 64}
    verified(NETWORK, attested(**statistics, **REFUSAL))


# --- the wire's results -----------------------------------------------------------------------------------------------


def test_a_result_of_the_wire_is_a_record_with_its_salt() -> None:
    card = make_card()
    wire: JsonObject = {"salt": "s", "card": card, "asset": None}
    assert result_from_wire(wire, "card") == OpenResult("s", card)
    assert result_from_wire({"salt": "s", "asset": card}, "asset") == OpenResult("s", card)


@pytest.mark.parametrize(
    "wire",
    [
        {},
        {"salt": "s", "card": None, "asset": {}},
        {"salt": "s", "card": {}, "asset": {}},
        {"salt": None, "card": {}},
        {"salt": "s"},
        {"salt": "s", "card": "text"},
    ],
    ids=str,
)
def test_a_result_of_the_wire_that_is_anything_else_is_refused(wire: JsonObject) -> None:
    with pytest.raises(RecordMalformed):
        result_from_wire(wire, "card")


def test_home_may_be_the_answering_organization_too() -> None:
    own = make_answer(NETWORK, [make_card(HOME)], org=HOME)
    assert verified(NETWORK, own, part=PART).org == HOME


@pytest.mark.parametrize(("attested_cursor", "brought"), [(None, "c" * 40), ("c" * 40, None), ("c" * 40, "d" * 40)])
def test_a_cursor_that_was_exchanged_on_the_way_is_found(attested_cursor: str | None, brought: str | None) -> None:
    answer = attested(cursor=None if attested_cursor is None else sha256_b64u(attested_cursor.encode()))
    refused(replace(answer, cursor=brought), "cursor_not_attested")


def test_a_cursor_without_candidates_is_refused() -> None:
    answer = attested(cursor=sha256_b64u(b"c" * 40), candidates=(), total=0, facets={})
    refused(replace(answer, cursor="c" * 40, results=()), "status_inconsistent")


@pytest.mark.parametrize("cursor", ["c" * 15, "not base64url, but long enough", "c" * 8_193, "c" * 20 + "." + "c" * 20])
def test_a_cursor_with_which_nobody_could_be_asked_is_refused(cursor: str) -> None:
    answer = attested(cursor=sha256_b64u(cursor.encode()))
    refused(replace(answer, cursor=cursor), "status_inconsistent")
