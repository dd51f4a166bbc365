"""What arrives is exactly what its organization attested, and every record is its own and well-formed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.answer import (
    OpenResult,
    Result,
    SealedResult,
)
from concordat_trust.attestation import (
    Attestation,
    record_commitment,
    verify_attestation,
)
from concordat_trust.canonical import NumberNotCanonical, parse_json
from concordat_trust.encoding import b64u
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import tie_key
from concordat_trust.question import Part
from concordat_trust.sealing import SealContext, SealingKey, seal_record
from tests.factories.answers import (
    NORTH,
    SEALING_KEY,
    VITALIS,
    asset_id,
    in_order,
    make_answer,
    make_asset,
    make_assets_question,
    make_attestation,
    make_card,
    open_with,
    salt_of,
    signed_answer,
    verified,
)
from tests.factories.tokens import PROPERTY, fresh_id
from tests.trust.answer_cases import CARDS, GOOD, NETWORK, attesting, refused, with_results

# --- 7 results --------------------------------------------------------------------------------------------------------


def test_a_withheld_record_is_found() -> None:
    error = refused(with_results(GOOD.results[:-1]), "record_missing")
    assert (error.fields["attested"], error.fields["found"]) == (4, 3)


def test_all_records_withheld_are_found() -> None:
    refused(with_results([]), "record_missing")


def test_an_invented_record_is_found() -> None:
    invented = make_card(NORTH, "invented")
    error = refused(with_results([*GOOD.results, OpenResult(salt_of(invented), invented)]), "record_not_attested")
    assert error.fields["position"] == 4


def test_an_exchanged_record_is_found() -> None:
    other = make_card(NORTH, "invented")
    exchanged = [GOOD.results[0], OpenResult(salt_of(other), other), *GOOD.results[2:]]
    assert refused(with_results(exchanged), "record_not_attested").fields["position"] == 1


@pytest.mark.parametrize("field", [name for name in CARDS[0] if name not in ("id", "kind", "organization")])
def test_an_altered_field_is_found(field: str) -> None:
    altered: Any = OpenResult(salt_of(CARDS[2]), CARDS[2] | {field: "altered"})
    error = refused(with_results([*GOOD.results[:2], altered, GOOD.results[3]]), "record_not_attested")
    assert error.fields["position"] == 2


def test_an_altered_salt_is_found() -> None:
    altered = OpenResult(b64u(b"0" * 16), CARDS[0])
    refused(with_results([altered, *GOOD.results[1:]]), "record_not_attested")


@pytest.mark.parametrize("salt", ["", "AAAA", "=" * 22, "A" * 23])
def test_a_salt_of_another_form_is_refused(salt: str) -> None:
    refused(with_results([OpenResult(salt, CARDS[0]), *GOOD.results[1:]]), "record_malformed")


def test_a_record_given_twice_is_found() -> None:
    refused(with_results([GOOD.results[0], *GOOD.results[:3]]), "record_duplicate")


@PROPERTY
@given(st.permutations(range(4)))
def test_a_permutation_on_the_way_is_found(positions: list[int]) -> None:
    answer = with_results([GOOD.results[position] for position in positions])
    if positions == sorted(positions):
        verified(NETWORK, answer)
    else:
        refused(answer, "order_mismatch")


@PROPERTY
@given(st.lists(st.sampled_from(GOOD.results), max_size=6))
def test_only_exactly_what_was_attested_passes(results: list[Result]) -> None:
    answer = with_results(results)
    if tuple(results) == GOOD.results:
        verified(NETWORK, answer)
        return
    with pytest.raises(ConcordatError) as caught:
        verified(NETWORK, answer)
    assert caught.value.code in ("record_missing", "record_duplicate", "order_mismatch", "record_not_attested")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.94])
def test_a_number_that_is_no_integer_is_refused(value: float) -> None:
    card: Any = CARDS[0] | {"valid_until": value}
    refused(with_results([OpenResult(salt_of(card), card), *GOOD.results[1:]]), "record_malformed")


def test_nan_cannot_even_be_read() -> None:
    with pytest.raises(NumberNotCanonical):
        parse_json(json.dumps({"score": float("nan")}).encode(), bytes_max=100)


# --- 8 records --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"title": 5}, {"level": "EXISTS"}, {"keywords": "x"}, {"organization": "vitalis"}, {"id": "x"}, {"id": None}],
    ids=str,
)
def test_an_attested_record_of_another_form_is_refused(change: dict[str, Any]) -> None:
    error = refused(attesting([CARDS[0] | change]), "record_malformed")
    assert error.fields["position"] == 0


def test_an_attested_record_without_a_field_is_refused() -> None:
    refused(attesting([{name: value for name, value in CARDS[0].items() if name != "title"}]), "record_malformed")


def test_another_organizations_record_is_refused_although_attested() -> None:
    refused(attesting([make_card(VITALIS, "sepsis")]), "record_foreign")


def test_one_record_under_two_salts_counts_once() -> None:
    card, salts = CARDS[0], (fresh_id("one salt"), fresh_id("another salt"))
    good = make_attestation(NETWORK, [card], org=NORTH)
    (candidate,) = good.candidates
    twice = tuple(replace(candidate, commitment=record_commitment(card, salt)) for salt in salts)
    statement = replace(good, candidates=twice, total=2, facets={})
    answer = signed_answer(NETWORK, statement, [OpenResult(salt, card) for salt in salts], org=NORTH)
    refused(answer, "record_duplicate")


def test_a_record_that_says_more_than_we_know_is_taken() -> None:
    card = CARDS[0] | {"from_a_newer_node": "kept and hashed"}
    assert verified(NETWORK, make_answer(NETWORK, [card], org=NORTH)).records[0].record == card


ASSETS = make_assets_question()
ASSET_CARDS = in_order(NETWORK, ASSETS, [make_asset(NORTH, "sepsis"), make_asset(NORTH, "heart")])


def test_assets_are_answered_by_id_in_tie_order() -> None:
    part = Part((asset_id(NORTH, "sepsis"), asset_id(NORTH, "heart"), asset_id(NORTH, "hidden or unknown")))
    answer = make_answer(NETWORK, ASSET_CARDS, org=NORTH, question=ASSETS, part=part)
    ids = [item.record["id"] for item in verified(NETWORK, answer, question=ASSETS, part=part).records]
    assert ids == sorted(part.ids[:2], key=tie_key)


def test_all_assets_that_were_asked_for_are_answered_at_once() -> None:
    names = [f"name {number}" for number in range(25)]
    part = Part(tuple(asset_id(NORTH, name) for name in names))
    answer = make_answer(NETWORK, [make_asset(NORTH, name) for name in names], org=NORTH, question=ASSETS, part=part)
    assert len(verified(NETWORK, answer, question=ASSETS, part=part).records) == 25


def test_a_record_nobody_asked_for_is_refused() -> None:
    part = Part((asset_id(NORTH, "sepsis"), asset_id(NORTH, "lung")))
    answer = make_answer(NETWORK, ASSET_CARDS, org=NORTH, question=ASSETS, part=part)
    refused(answer, "record_not_asked", question=ASSETS, part=part)


def test_a_card_in_place_of_an_asset_is_refused() -> None:
    part = Part((asset_id(NORTH, "sepsis"),))
    answer = make_answer(NETWORK, [make_card(NORTH, "sepsis")], org=NORTH, question=ASSETS, part=part)
    refused(answer, "record_malformed", question=ASSETS, part=part)


# --- sealed results ---------------------------------------------------------------------------------------------------

CLOSED = frozenset(str(card["id"]) for card in CARDS[1:3])
SEALED = make_answer(NETWORK, CARDS, org=NORTH, sealed=CLOSED)


def test_home_opens_sealed_results_and_knows_which_they_were() -> None:
    answer = verified(NETWORK, SEALED, open_sealed=open_with(SEALING_KEY))
    assert [item.record for item in answer.records] == CARDS
    assert (answer.sealed_ids, answer.unread) == (CLOSED, 0)


def test_a_relay_reads_the_open_results_and_counts_the_others() -> None:
    answer = verified(NETWORK, SEALED)
    assert [item.record for item in answer.records] == [CARDS[0], CARDS[3]]
    assert answer.unread == 2
    assert answer == verified(NETWORK, SEALED, open_sealed=open_with(SEALING_KEY)).as_relay_saw()


def test_another_key_does_not_open_a_sealed_result() -> None:
    refused(SEALED, "seal_broken", open_sealed=open_with(SealingKey.from_seed(b"x" * 32)))


def test_a_sealed_result_moved_to_another_place_does_not_open() -> None:
    moved = replace(SEALED, results=(SEALED.results[0], SEALED.results[2], SEALED.results[1], SEALED.results[3]))
    refused(moved, "seal_broken", open_sealed=open_with(SEALING_KEY))


def test_a_relay_finds_open_results_that_were_moved() -> None:
    moved = replace(SEALED, results=(SEALED.results[3], *SEALED.results[1:3], SEALED.results[0]))
    refused(moved, "order_mismatch")


def test_a_relay_finds_a_sealed_result_too_many_and_one_too_few() -> None:
    more = replace(SEALED, results=(*SEALED.results, SEALED.results[1]))
    assert refused(more, "record_not_attested").fields["position"] == 4
    refused(replace(SEALED, results=SEALED.results[:3]), "record_missing")


def test_a_relay_finds_sealed_candidates_out_of_order() -> None:
    good = make_attestation(NETWORK, CARDS, org=NORTH)
    order = (0, 2, 1, 3)
    statement = replace(good, candidates=tuple(good.candidates[position] for position in order))
    results = tuple(SEALED.results[position] for position in order)
    refused(signed_answer(NETWORK, statement, results, org=NORTH), "order_mismatch")


def test_a_sealed_record_that_was_not_attested_is_found_at_home() -> None:
    statement: Attestation = verify_attestation(SEALED.attestation, bundle=NETWORK.bundle)
    place = SealContext(NORTH, statement.token_id, statement.question_hash, 1)
    other = make_card(NORTH, "invented")
    sealed = seal_record(other, salt=salt_of(other), to=SEALING_KEY.public, context=place)
    swapped = replace(SEALED, results=(SEALED.results[0], SealedResult(sealed), *SEALED.results[2:]))
    assert verified(NETWORK, swapped).unread == 2
    refused(swapped, "record_not_attested", open_sealed=open_with(SEALING_KEY))
