"""What `concordat verify` says: who asked, who signed what under which policy, who is missing, what stays open."""

from __future__ import annotations

from typing import Any

import pytest

from concordat_client.verify_words import RECORDS_SHOWN_MAX, answer_lines, walk_lines
from concordat_trust.answer import VerifiedSavedAnswer, verify_saved_answer
from concordat_trust.attestation import AGE_MAX_S, CitedAgreement, PolicyRevisions
from concordat_trust.jose import LEEWAY_S
from concordat_trust.merge import Reported
from concordat_trust.reservations import reservations_of
from concordat_trust.saved_answer import SavedAnswer
from concordat_trust.saved_walk import verify_saved_walk
from tests.factories.answers import HOME, NORTH, RELAY, VITALIS, asset_id, demo_network, make_card, make_saved
from tests.federation.test_lineage_across_organizations import BUNDLE, TUNED, walk

NETWORK = demo_network()


def verified(saved: SavedAnswer) -> VerifiedSavedAnswer:
    return verify_saved_answer(saved.to_bytes(), bundle_at=lambda _: NETWORK.bundle)


def lines_of(saved: SavedAnswer, *, at: str | None = None) -> list[str]:
    return list(answer_lines(verified(saved), at=at))


@pytest.fixture(scope="module")
def text() -> str:
    return "\n".join(lines_of(make_saved()))


def test_the_network_is_named_with_its_fingerprint(text: str) -> None:
    assert "Health research demo (health-research-demo)" in text
    assert NETWORK.root_sha256 in text


def test_it_is_said_who_asked_for_whom_for_what_and_when(text: str) -> None:
    assert "asked     by alma-university for its person p-4711, 2027-01-15 08:00:00 UTC" in text
    assert "of whom it says: researcher, analyst, clearance 2 (controlled)" in text
    assert "purpose   Health, medical or biomedical research · not commercial" in text
    assert "question  search “clinical trial”" in text


def test_it_is_said_under_which_policy_and_bundle_revision_each_organization_answered(text: str) -> None:
    assert text.count("under baseline " + "cd" * 32 + ", no overlay") == 2
    assert text.count("knew the network as root 1, targets 1, snapshot 1") == 2
    assert "north-hospital       OK, 2 records, 2027-01-15 08:00:00 UTC by its own clock" in text


def test_every_proven_record_is_listed_and_every_missing_organization(text: str) -> None:
    for org, name in ((HOME, "diabetes"), (NORTH, "sepsis"), (NORTH, "heart failure")):
        assert f"  {asset_id(org, name)}   {org}, full" in text.splitlines()
    assert "2 of 3 organizations answered (NOT COMPLETE)" in text
    assert "  vitalis              did not answer in time (peer_timeout); this is reported, not proved" in text


def test_a_long_list_of_records_is_cut_and_says_so() -> None:
    found = verified(make_saved())
    told = found.explanation
    many = (told.records * RECORDS_SHOWN_MAX)[: RECORDS_SHOWN_MAX + 1]
    object.__setattr__(told, "records", many)
    lines = list(answer_lines(found, at=None))
    assert sum(line.endswith(", full") for line in lines) == RECORDS_SHOWN_MAX
    assert "  and 1 more; --json lists them all" in lines
    object.__setattr__(told, "records", many[:-1])
    assert not any("--json lists" in line for line in answer_lines(found, at=None))


def test_a_chosen_time_is_named_and_made_plain() -> None:
    assert any("verified offline at 2027-01-15" in line for line in lines_of(make_saved(), at="2027-01-15T08:00:10Z"))
    assert "\x1b" not in "".join(lines_of(make_saved(), at="\x1b[2J"))


def test_an_overlay_and_agreements_are_named() -> None:
    found = verified(make_saved())
    attested = found.explanation.attested[NORTH]
    object.__setattr__(attested, "policy", PolicyRevisions("base\x1b", "over"))
    object.__setattr__(attested, "agreements", (CitedAgreement("DUA-7", "ab" * 32),))
    text = "\n".join(answer_lines(found, at=None))
    assert ", overlay over" in text
    assert f"under agreement DUA-7, document {'ab' * 32}" in text
    assert "\x1b" not in text


# What cannot be excluded.


def reservations(saved: SavedAnswer) -> dict[str, tuple[str, ...]]:
    return {item.code: item.organizations for item in verified(saved).explanation.reservations}


def test_what_cannot_be_excluded_names_whom_it_is_about() -> None:
    assert reservations(make_saved()) == {
        "clock": (HOME, NORTH),
        "home_word": (HOME,),
        "own_data": (HOME, NORTH),
        "log_fork": (HOME, NORTH),
        "withheld": (VITALIS,),
        "question_read": (RELAY,),
        "stolen_key": (),
        "keyholders": (),
        "later": (),
    }


def test_when_everybody_answered_nobody_can_have_withheld() -> None:
    everybody = {org: [make_card(org)] for org in (HOME, NORTH, VITALIS)}
    found = reservations(make_saved(records=everybody, reported={}))
    assert "withheld" not in found
    assert found["own_data"] == (HOME, NORTH, VITALIS)


def test_when_nobody_answered_nothing_is_said_of_answers() -> None:
    reported = {org: Reported("TIMEOUT", "peer_timeout") for org in (HOME, NORTH, VITALIS)}
    found = reservations(make_saved(records={}, reported=reported))
    assert found["withheld"] == (HOME, NORTH, VITALIS)
    assert found["clock"] == (HOME,)  # the question has a date too
    assert not {"own_data", "log_fork"} & set(found)


def test_what_home_alone_says_and_a_question_without_coordinator_are_told_apart() -> None:
    entries = verified(make_saved()).merged.completeness.entries
    object.__setattr__(entries[2], "said_by", "home")
    found = {item.code: item.organizations for item in reservations_of(entries, home=HOME, coordinator=None)}
    assert found["not_asked"] == (VITALIS,)
    assert not {"withheld", "question_read"} & set(found)


def test_the_words_name_the_bounds_that_were_checked(text: str) -> None:
    assert f"at most {LEEWAY_S} s before and {AGE_MAX_S} s after its question" in text
    assert "(vitalis)" in next(line for line in text.splitlines() if "a withheld answer" in line)


def test_data_and_words_say_the_same() -> None:
    told: Any = verified(make_saved()).explanation.to_json()
    lines = lines_of(make_saved())
    for item in told["cannot_exclude"]:
        assert any(item["words"] in line and all(org in line for org in item["organizations"]) for line in lines)
    assert told["bundle"]["name"] == "Health research demo"


# A walk.


@pytest.fixture(scope="module")
def walk_text() -> str:
    saved = walk(TUNED, "up").saved()
    return "\n".join(walk_lines(verify_saved_walk(saved, bundle_at=lambda _: BUNDLE)))


def test_a_walk_says_who_asked_in_which_network_and_what_each_round_signed(walk_text: str) -> None:
    assert "This walk holds." in walk_text
    assert BUNDLE.root_sha256 in walk_text
    assert "rounds    3:" in walk_text
    assert [f"Round {number}:" in walk_text for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert walk_text.count("in its disclosure log") >= 3


def test_a_walk_says_each_reservation_once(walk_text: str) -> None:
    lines = walk_text.splitlines()
    said = lines[lines.index("What this cannot exclude:") + 1 :]
    assert len(said) == len(set(said)) == 8
    assert next(line for line in said if "untrue" in line).endswith("(alma-university, north-hospital, vitalis)")
