"""A saved answer proves itself years later, and any change in it is found, with the name of whose answer it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.answer import SavedAnswer, VerifiedSavedAnswer, verify_saved_answer
from concordat_trust.bundle import TrustedBundle
from concordat_trust.canonical import canonical_bytes, parse_json
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from concordat_trust.merge import Reported, merge
from concordat_trust.question import Part
from concordat_trust.saved_answer import SAVED_BYTES_MAX
from tests.factories.answers import (
    HOME,
    NORTH,
    RELAY,
    VITALIS,
    asset_id,
    demo_network,
    make_answer,
    make_card,
    make_delivery,
    make_question,
    make_saved,
    make_token,
    verified,
)
from tests.factories.network import NOW, make_network
from tests.factories.tokens import PROPERTY

NETWORK = demo_network()
QUESTION = make_question()
SAVED = make_saved()
DATA = SAVED.to_bytes()


def bundle_at(at: int) -> TrustedBundle:
    return NETWORK.bundle


def check(saved: SavedAnswer | bytes) -> VerifiedSavedAnswer:
    return verify_saved_answer(saved if isinstance(saved, bytes) else saved.to_bytes(), bundle_at=bundle_at)


def refused(saved: SavedAnswer | bytes, code: str, organization: str | None = None) -> ConcordatError:
    with pytest.raises(ConcordatError) as caught:
        check(saved)
    assert caught.value.code == code
    if organization is not None:
        assert caught.value.fields["organization"] == organization
    return caught.value


def edited(change: Callable[[Any], object]) -> bytes:
    """The good file with one thing changed in its JSON."""
    document: Any = parse_json(DATA, bytes_max=SAVED_BYTES_MAX)
    change(document)
    return canonical_bytes(document)


def test_a_good_saved_answer_is_verified_whole() -> None:
    found = check(SAVED)
    assert found.saved == SAVED
    assert [answer.org for answer in found.answers] == [HOME, NORTH]
    assert found.merged.to_json() == SAVED.result
    assert SavedAnswer.parse(DATA).to_bytes() == DATA


def test_every_signature_is_verified_with_the_bundle_of_its_own_time() -> None:
    asked: list[int] = []

    def recording(at: int) -> TrustedBundle:
        asked.append(at)
        return NETWORK.bundle

    verify_saved_answer(DATA, bundle_at=recording)
    assert asked == [NOW, NOW, NOW, NOW + 2]  # token, two answers, delivery


def test_the_explanation_says_who_asked_who_answered_and_who_is_missing() -> None:
    told: Any = check(SAVED).explanation.to_json()
    assert told["asked"]["organization"] == HOME
    assert (told["asked"]["pseudonym"], told["asked"]["role"], told["asked"]["clearance"]) == ("p-4711", "analyst", 2)
    assert told["asked"]["purpose"]["code"] == "HMB"
    assert told["asked"]["coordinator"] == RELAY
    assert told["bundle"]["root_sha256"] == NETWORK.root_sha256
    assert told["missing"] == [
        {
            "organization": VITALIS,
            "status": "TIMEOUT",
            "code": "peer_timeout",
            "proved": False,
            "said_by": "coordinator",
        }
    ]
    assert told["complete"] is False
    assert sorted(record["id"] for record in told["records"]) == sorted(
        [asset_id(HOME, "diabetes"), asset_id(NORTH, "sepsis"), asset_id(NORTH, "heart failure")]
    )
    by_name = {entry["organization"]: entry for entry in told["organizations"]}
    assert by_name[NORTH]["attested"]["records"] == 2
    assert by_name[NORTH]["attested"]["policy"] == {"baseline": "cd" * 32, "overlay": None}
    assert by_name[NORTH]["attested"]["bundle"]["root"] == 1
    assert by_name[VITALIS]["attested"] is None
    assert canonical_bytes(told)


@PROPERTY
@given(st.integers(0, len(DATA) - 1), st.integers(1, 127))
def test_one_changed_byte_anywhere_is_found(position: int, mask: int) -> None:
    data = bytearray(DATA)
    data[position] ^= mask
    try:
        found = check(bytes(data))
    except ConcordatError:
        return
    # The one thing nobody signs is when the file was written; white space between values says nothing.
    assert replace(found.saved, saved_at=SAVED.saved_at) == SAVED


@PROPERTY
@given(st.sampled_from(["alma-university", "north-hospital"]), st.data())
def test_one_changed_byte_of_a_record_is_found_at_its_organization(org: str, data: st.DataObject) -> None:
    record = SAVED.answers[OrgId(org)].results[0].record
    field = data.draw(st.sampled_from(["title", "summary", "description", "task", "license", "origin"]))
    text = str(record[field])
    position = data.draw(st.integers(0, len(text) - 1))
    changed = text[:position] + ("x" if text[position] != "x" else "y") + text[position + 1 :]
    broken = edited(lambda d: d["answers"][org]["results"][0]["record"].update({field: changed}))
    assert refused(broken, "record_not_attested", org).fields["position"] == 0


# --- form -------------------------------------------------------------------------------------------------------------

FORMS: dict[str, tuple[Callable[[Any], object], str]] = {
    "another version": (lambda d: d.update(answer_version=2), "answer"),
    "an unknown member": (lambda d: d.update(more=1), "answer"),
    "a member less": (lambda d: d.pop("token"), "answer"),
    "a root that is none": (lambda d: d.update(root_sha256="x"), "answer"),
    "a question that is none": (lambda d: d.update(question="{}"), "question"),
    "a question in another form": (lambda d: d.update(question=d["question"] + " "), "question"),
    "a part that is none": (lambda d: d["parts"].update(vitalis="x"), "parts.vitalis"),
    "a stranger's name": (lambda d: d["parts"].update({"Not An Org": "x"}), "answer"),
    "a result more": (lambda d: d["answers"]["north-hospital"].update(more=1), "answers.north-hospital"),
    "a salt less": (lambda d: d["answers"]["north-hospital"]["results"][0].pop("salt"), "answers.north-hospital"),
    "a report of a proof": (lambda d: d["reported"]["vitalis"].update(status="OK"), "reported.vitalis"),
    "a report of nothing known": (lambda d: d["reported"]["vitalis"].update(status="LATE"), "reported.vitalis"),
    "a report by nobody": (lambda d: d["reported"]["vitalis"].update(said_by="vitalis"), "reported.vitalis"),
    "a coordinator's finding": (lambda d: d["reported"]["vitalis"].update(status="STALE"), "reported.vitalis"),
    "a report with markup": (lambda d: d["reported"]["vitalis"].update(code="<b>"), "reported.vitalis"),
    "saved before it was asked": (lambda d: d.update(saved_at=NOW - 31), "saved_at"),
}


@pytest.mark.parametrize(("change", "where"), FORMS.values(), ids=FORMS.keys())
def test_a_file_of_another_form_is_refused_at_its_place(change: Callable[[Any], object], where: str) -> None:
    assert refused(edited(change), "saved_answer_malformed").fields["where"] == where


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"a":1,"a":1}', b'{"x":NaN}', b'{"x":0.5}', b"[" * 100])
def test_what_is_no_saved_answer_is_refused(data: bytes) -> None:
    refused(data, "saved_answer_malformed")


def test_a_report_about_a_stranger_is_refused() -> None:
    stranger = OrgId.parse("stranger")
    saved = replace(SAVED, reported={**SAVED.reported, stranger: Reported("TIMEOUT")})
    assert refused(saved, "saved_answer_malformed").fields["where"] == "reported.stranger"


# --- network, token ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"network": "another-network"}, {"root_sha256": "00" * 32}], ids=str)
def test_an_answer_of_another_network_is_refused(change: dict[str, Any]) -> None:
    refused(replace(SAVED, **change), "saved_answer_wrong_network")


def test_a_question_for_another_network_is_refused() -> None:
    question = replace(QUESTION, network="another-network")
    token = make_token(NETWORK, question, sorted(SAVED.parts))
    refused(replace(SAVED, question=question, token=token), "saved_answer_wrong_network")


def test_a_bundle_with_another_root_is_another_network() -> None:
    other = make_network(at=NOW - 1)
    assert other.root_sha256 != NETWORK.root_sha256
    with pytest.raises(ConcordatError) as caught:
        verify_saved_answer(DATA, bundle_at=lambda at: other.bundle)
    assert caught.value.code == "saved_answer_wrong_network"


def test_another_question_than_the_one_that_was_signed_is_found() -> None:
    refused(replace(SAVED, question=replace(QUESTION, text="clinical trials")), "token_question_mismatch")


def test_another_part_than_the_one_that_was_signed_is_found() -> None:
    parts = {**SAVED.parts, NORTH: Part((asset_id(NORTH, "sepsis"),))}
    refused(replace(SAVED, parts=parts), "token_part_mismatch")


def test_a_part_more_than_was_signed_is_found() -> None:
    refused(replace(SAVED, parts={**SAVED.parts, OrgId.parse("stranger"): Part()}), "token_audience")


def test_a_token_with_claims_its_home_may_not_make_is_refused() -> None:
    claims = replace(check(SAVED).token.claims, role="director")
    refused(
        replace(SAVED, token=make_token(NETWORK, QUESTION, sorted(SAVED.parts), claims=claims)),
        "token_claim_not_allowed",
    )


def test_a_token_signed_by_another_organization_is_refused() -> None:
    key = NETWORK.keys[NORTH]["query_token"]
    refused(replace(SAVED, token=make_token(NETWORK, QUESTION, sorted(SAVED.parts), key=key)), "token_key_unknown")


# --- answers ----------------------------------------------------------------------------------------------------------


def with_answer(org: OrgId, **changes: Any) -> SavedAnswer:
    return replace(SAVED, answers={**SAVED.answers, org: replace(SAVED.answers[org], **changes)})


def test_a_withheld_record_is_found_at_its_organization() -> None:
    refused(with_answer(NORTH, results=SAVED.answers[NORTH].results[:1]), "record_missing", NORTH)


def test_exchanged_places_of_records_are_found_at_their_organization() -> None:
    refused(with_answer(NORTH, results=SAVED.answers[NORTH].results[::-1]), "order_mismatch", NORTH)


def test_a_record_of_one_organization_in_anothers_answer_is_found() -> None:
    results = (*SAVED.answers[NORTH].results, *SAVED.answers[HOME].results)
    refused(with_answer(NORTH, results=results), "record_not_attested", NORTH)


def test_exchanged_answers_are_found() -> None:
    swapped = {HOME: SAVED.answers[NORTH], NORTH: SAVED.answers[HOME]}
    refused(replace(SAVED, answers=swapped), "attestation_wrong_organization", HOME)


def test_an_answer_to_an_older_token_of_the_same_question_is_found() -> None:
    cards = [make_card(NORTH, "sepsis"), make_card(NORTH, "heart failure")]
    older = make_answer(NETWORK, cards, org=NORTH, token_id="A" * 22)
    refused(with_answer(NORTH, attestation=older.attestation), "attestation_wrong_token", NORTH)


def test_an_answer_dated_into_another_time_is_found_before_its_bundle_is_looked_up() -> None:
    cards = [make_card(NORTH, "sepsis"), make_card(NORTH, "heart failure")]
    backdated = make_answer(NETWORK, cards, org=NORTH, issued_at=NOW - 86_400)
    saved = with_answer(NORTH, attestation=backdated.attestation)
    assert NOW - 86_400 not in _times_asked(saved)
    refused(saved, "attestation_time", NORTH)


def _times_asked(saved: SavedAnswer) -> list[int]:
    asked: list[int] = []

    def recording(at: int) -> TrustedBundle:
        asked.append(at)
        return NETWORK.bundle

    with pytest.raises(ConcordatError):
        verify_saved_answer(saved.to_bytes(), bundle_at=recording)
    return asked


def test_an_attestation_that_is_none_is_found_at_its_organization() -> None:
    refused(with_answer(NORTH, attestation="<html>"), "attestation_malformed", NORTH)


def test_an_answer_of_somebody_who_was_not_asked_is_refused() -> None:
    stranger = OrgId.parse("stranger")
    refused(replace(SAVED, answers={**SAVED.answers, stranger: SAVED.answers[NORTH]}), "answer_not_in_roster", stranger)


def test_an_organization_that_answered_and_did_not_is_refused() -> None:
    reported = {**SAVED.reported, NORTH: Reported("TIMEOUT")}
    refused(replace(SAVED, reported=reported), "answer_not_in_roster", NORTH)


# --- delivery ---------------------------------------------------------------------------------------------------------


def rebuilt(saved: SavedAnswer) -> SavedAnswer:
    """The same file with the result that its answers and reports give: the work of a careful forger."""
    bundle = NETWORK.bundle
    answers = [
        verified(
            NETWORK, replace(make_answer(NETWORK, [], org=org), attestation=kept.attestation, results=kept.results)
        )
        for org, kept in saved.answers.items()
    ]
    result = merge(saved.question, answers, saved.reported, bundle.organizations, bundle.statistics).to_json()
    return replace(saved, result=result)


def test_an_answer_that_was_removed_after_delivery_is_found() -> None:
    without = rebuilt(replace(SAVED, answers={HOME: SAVED.answers[HOME]}))
    refused(without, "delivery_mismatch", NORTH)


def test_an_answer_that_was_turned_into_a_failure_is_found() -> None:
    reported = {**SAVED.reported, NORTH: Reported("TIMEOUT")}
    refused(rebuilt(replace(SAVED, answers={HOME: SAVED.answers[HOME]}, reported=reported)), "delivery_mismatch", NORTH)


def test_an_answer_that_was_exchanged_after_delivery_is_found() -> None:
    other = make_saved(records={HOME: [make_card(HOME, "diabetes")], NORTH: [make_card(NORTH, "other")]})
    saved = rebuilt(replace(SAVED, answers={**SAVED.answers, NORTH: other.answers[NORTH]}))
    refused(saved, "delivery_mismatch", NORTH)


@pytest.mark.parametrize(
    "report",
    [
        Reported("UNREACHABLE", "peer_timeout"),
        Reported("TIMEOUT", "another_code"),
        Reported("INVALID", "record_missing"),
        Reported.at_home("INVALID", "record_missing"),  # home cannot have found anything in an answer that never came
        Reported.at_home("TIMEOUT", "peer_timeout"),  # what the coordinator signed for is its word and not home's
    ],
    ids=str,
)
def test_a_report_that_was_changed_after_delivery_is_found(report: Reported) -> None:
    refused(rebuilt(replace(SAVED, reported={VITALIS: report})), "delivery_mismatch", VITALIS)


def test_home_may_refuse_what_the_coordinator_delivered() -> None:
    reported = {**SAVED.reported, NORTH: Reported.at_home("INVALID", "record_missing")}
    found = check(rebuilt(replace(SAVED, answers={HOME: SAVED.answers[HOME]}, reported=reported)))
    missing = [(entry.status, entry.said_by) for entry in found.merged.completeness.missing]
    assert missing == [("INVALID", "home"), ("TIMEOUT", "coordinator")]


def test_what_home_found_cannot_be_passed_off_as_the_coordinators_word() -> None:
    reported = {**SAVED.reported, NORTH: Reported("INVALID", "record_missing")}
    refused(rebuilt(replace(SAVED, answers={HOME: SAVED.answers[HOME]}, reported=reported)), "delivery_mismatch", NORTH)


def test_without_a_delivery_there_is_no_word_of_a_coordinator() -> None:
    refused(rebuilt(replace(SAVED, answers={}, delivery=None)), "delivery_missing")
    presenter = NETWORK.keys[HOME]["request"].key_id
    own = make_token(NETWORK, QUESTION, sorted(SAVED.parts), presenter=presenter)
    refused(rebuilt(replace(SAVED, token=own, delivery=None)), "delivery_missing")
    at_home = {org: Reported.at_home("UNREACHABLE", "coordinator_unreachable") for org in (HOME, NORTH, VITALIS)}
    refused(rebuilt(replace(SAVED, answers={}, delivery=None, reported=at_home)), "delivery_missing")


def test_a_delivery_cannot_be_left_out() -> None:
    refused(replace(SAVED, delivery=None), "delivery_missing")


def test_a_home_that_asked_directly_needs_no_delivery() -> None:
    presenter = NETWORK.keys[HOME]["request"].key_id
    token = make_token(NETWORK, QUESTION, sorted(SAVED.parts), presenter=presenter)
    reported = {VITALIS: Reported.at_home("UNREACHABLE", "coordinator_unreachable")}
    found = check(rebuilt(replace(SAVED, token=token, delivery=None, reported=reported)))
    assert found.explanation.coordinator is None


def test_a_delivery_by_another_coordinator_than_the_one_asked_is_refused() -> None:
    presenter = NETWORK.keys[VITALIS]["request"].key_id
    token = make_token(NETWORK, QUESTION, sorted(SAVED.parts), presenter=presenter)
    refused(replace(SAVED, token=token), "delivery_wrong_coordinator")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"home": NORTH}, "delivery_wrong_audience"),
        ({"token_id": "A" * 22}, "delivery_wrong_token"),
        ({"question_hash": "A" * 43}, "delivery_wrong_question"),
        ({"answers": ()}, "delivery_organizations"),
        ({"issued_at": NOW + 301}, "delivery_time"),
        ({"issued_at": NOW - 31}, "delivery_time"),
    ],
    ids=str,
)
def test_a_delivery_of_something_else_is_refused(changes: dict[str, Any], code: str) -> None:
    answers = [replace(make_answer(NETWORK, [], org=o), attestation=k.attestation) for o, k in SAVED.answers.items()]
    refused(replace(SAVED, delivery=make_delivery(NETWORK, QUESTION, answers, SAVED.reported, **changes)), code)


def test_a_delivery_that_is_none_is_refused() -> None:
    refused(replace(SAVED, delivery="<html>"), "delivery_malformed")


# --- result -----------------------------------------------------------------------------------------------------------


def test_a_changed_result_is_found_where_it_was_changed() -> None:
    broken = edited(lambda d: d["result"]["hits"][1]["record"].update(title="Better"))
    assert refused(broken, "merge_mismatch").fields["where"] == "result.hits[1].record.title"


def test_a_hit_that_was_left_out_of_the_result_is_found() -> None:
    assert refused(edited(lambda d: d["result"]["hits"].pop()), "merge_mismatch").fields["where"] == "result.hits[2]"


def test_a_result_that_calls_itself_complete_is_found() -> None:
    broken = edited(lambda d: d["result"]["completeness"].update(complete=True))
    assert refused(broken, "merge_mismatch").fields["where"] == "result.completeness.complete"


def test_an_organization_left_out_of_the_result_is_found() -> None:
    broken = edited(lambda d: d["result"]["completeness"]["entries"].pop())
    assert refused(broken, "merge_mismatch").fields["where"] == "result.completeness.entries[2]"


def test_the_roster_comes_from_the_bundle_and_not_from_the_file() -> None:
    two = make_saved(records={HOME: [make_card(HOME)], NORTH: []}, reported={})
    missing = check(two).merged.completeness.missing
    assert [(entry.organization, entry.status, entry.code) for entry in missing] == [
        (VITALIS, "SKIPPED", "not_reported")
    ]
