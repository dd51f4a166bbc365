"""What arrives is exactly what its organization attested, and every record is its own and well-formed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.answer import NodeAnswer, OpenResult
from concordat_trust.attestation import CitedAgreement, record_commitment
from concordat_trust.canonical import NumberNotCanonical, parse_json
from concordat_trust.encoding import b64u
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import tie_key
from concordat_trust.question import Part
from concordat_trust.sealed_part import SealedPart
from concordat_trust.sealing import SealingKey
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
    sealed_answer,
    sealed_part_of,
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
def test_only_exactly_what_was_attested_passes(results: list[OpenResult]) -> None:
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


# --- the sealed part --------------------------------------------------------------------------------------------------

WHOLE = make_attestation(NETWORK, CARDS, org=NORTH, valid_until=5_000)
SEALED = sealed_answer(NETWORK, WHOLE, GOOD.results, org=NORTH)
OPEN = open_with(SEALING_KEY)


def test_home_reads_a_sealed_answer_like_one_in_the_open() -> None:
    answer = verified(NETWORK, SEALED, open_sealed=OPEN)
    assert [item.record for item in answer.records] == CARDS
    stated = answer.attestation
    assert (stated.total, stated.facets, stated.candidates) == (WHOLE.total, WHOLE.facets, WHOLE.candidates)
    assert (stated.valid_until, answer.is_closed) == (5_000, False)


def test_a_sealed_answer_has_a_cursor_for_each_candidate_or_none() -> None:
    count = len(WHOLE.candidates)

    def sealed(cursors: list[str]) -> NodeAnswer:
        return sealed_answer(NETWORK, WHOLE, GOOD.results, org=NORTH, cursors=".".join(cursors))

    assert verified(NETWORK, sealed(["c" * 20] * count), open_sealed=OPEN).cursor is not None
    for cursors in (["c" * 20] * (count - 1), ["c" * 20] * (count + 1), ["c" * 20] * (count - 1) + ["no cursor"]):
        refused(sealed(cursors), "status_inconsistent", open_sealed=OPEN)


def test_a_relay_reads_nothing_that_follows_from_records() -> None:
    answer = verified(NETWORK, SEALED, is_relay=True)
    stated = answer.attestation
    assert (answer.records, stated.total, stated.facets, stated.candidates) == ((), None, {}, ())
    assert (stated.agreements, stated.valid_until, answer.cursor, answer.is_closed) == ((), None, None, True)
    at_home = verified(NETWORK, SEALED, open_sealed=OPEN)
    assert answer == replace(at_home.as_relay_saw(), receipt=None)


def test_a_saved_answer_keeps_the_sealed_part_open() -> None:
    text = sealed_part_of(WHOLE, GOOD.results).to_text()
    kept = replace(SEALED, sealed=None, opened=text)
    assert verified(NETWORK, kept) == verified(NETWORK, SEALED, open_sealed=OPEN)
    refused(replace(kept, opened=text.replace(b"sepsis", b"sepsys")), "sealed_part_mismatch")


def test_another_key_does_not_open_a_sealed_part() -> None:
    refused(SEALED, "seal_broken", open_sealed=open_with(SealingKey.from_seed(b"x" * 32)))


def test_a_sealed_part_that_was_withheld_is_found_by_the_relay_too() -> None:
    withheld = replace(SEALED, sealed=None)
    refused(withheld, "sealed_part_missing", open_sealed=OPEN)
    refused(withheld, "sealed_part_missing", is_relay=True)


def test_a_sealed_part_that_nobody_attests_is_refused() -> None:
    refused(replace(GOOD, sealed=SEALED.sealed), "sealed_part_unexpected", open_sealed=OPEN)
    refused(replace(GOOD, opened=b"{}"), "sealed_part_unexpected")


def test_the_sealed_part_of_another_answer_is_found() -> None:
    other = make_attestation(NETWORK, CARDS[:2], org=NORTH)
    exchanged = sealed_answer(NETWORK, other, GOOD.results[:2], org=NORTH)
    refused(replace(SEALED, sealed=exchanged.sealed), "sealed_part_mismatch", open_sealed=OPEN)


@pytest.mark.parametrize(
    "outside",
    [
        {"total": 4},
        {"total": 0},
        {"facets": {"kind": {"model": 4}}},
        {"candidates": WHOLE.candidates},
        {"agreements": (CitedAgreement("dua-1", "ef" * 32),)},
        {"valid_until": 5_000},
        {"cursor": "c" * 43},
        {"status": "SUPPRESSED"},
        {"status": "DENIED", "code": "purpose_not_admitted"},
    ],
    ids=str,
)
def test_an_attestation_that_tells_a_relay_of_sealed_records_is_refused_by_the_relay_itself(
    outside: dict[str, Any],
) -> None:
    leaking = sealed_answer(NETWORK, WHOLE, GOOD.results, org=NORTH, **outside)
    refused(leaking, "sealed_part_unexpected", is_relay=True)
    refused(leaking, "sealed_part_unexpected", open_sealed=OPEN)


def test_results_or_a_cursor_beside_a_sealed_part_are_refused() -> None:
    refused(replace(SEALED, results=GOOD.results), "sealed_part_unexpected", is_relay=True)
    refused(replace(SEALED, cursor="c" * 16), "sealed_part_unexpected", is_relay=True)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("record_missing", lambda part: replace(part, results=part.results[:-1])),
        ("order_mismatch", lambda part: replace(part, results=part.results[::-1])),
        ("status_inconsistent", lambda part: replace(part, total=9)),
        ("facets_inconsistent", lambda part: replace(part, facets={"kind": {"model": 1}, "task": {}})),
    ],
)
def test_what_is_inside_is_checked_as_if_it_were_outside(code: str, change: Callable[[SealedPart], SealedPart]) -> None:
    part = change(sealed_part_of(WHOLE, GOOD.results))
    whole = replace(WHOLE, total=part.total, facets=part.facets)
    refused(sealed_answer(NETWORK, whole, part.results, org=NORTH), code, open_sealed=OPEN)
