"""What pages say of organizations and records: a failure is no zero, a mask is no empty text, no word is lost."""

from __future__ import annotations

import pytest

from concordat_node.portal.organizations import chip_of, chips_of, running_summary, summary_of
from concordat_node.portal.records import HEADLINE_MAX, record_of
from concordat_node.portal.search_view import finished_view
from concordat_trust.canonical import JsonObject
from tests.factories.answers import NORTH, make_card, make_evaluation

NAMES = {"north-hospital": "North Hospital", "vitalis": "Vitalis AG"}


def entry(status: str = "OK", *, total: int | None = 2, said_by: str = "organization", **changes: object) -> JsonObject:
    good: JsonObject = {
        "organization": "north-hospital",
        "status": status,
        "total": total,
        "proved": said_by == "organization",
        "said_by": said_by,
        "code": None,
        "notice": None,
    }
    return {**good, **changes}  # type: ignore[dict-item]  # a test's own changes


@pytest.mark.parametrize(
    ("given", "tone", "words", "proof"),
    [
        (entry(), "found", "2 records", "proved"),
        (entry(total=1), "found", "1 record", "proved"),
        (entry(total=0), "none", "no record for you", "proved"),
        (entry("SUPPRESSED", total=None), "found", "answered; how many match is too few to be said", "proved"),
        (entry("TIMEOUT", total=None, said_by="coordinator"), "problem", "did not answer in time", "reported"),
        (
            entry("INVALID", total=None, said_by="home"),
            "problem",
            "sent something that failed a check; nothing of it is used",
            "found at home",
        ),
        (
            entry("DENIED", total=None, code="purpose_not_admitted"),
            "closed",
            "it answers nothing for this purpose",
            "proved",
        ),
        (
            entry("NEWER_STATUS", total=None, said_by="coordinator"),
            "problem",
            "has the status NEWER_STATUS",
            "reported",
        ),
    ],
)
def test_a_chip_says_what_became_of_an_organization_and_who_says_so(
    given: JsonObject, tone: str, words: str, proof: str
) -> None:
    chip = chip_of(given, "North Hospital")
    assert (chip.tone, chip.words, chip.proof) == (tone, words, proof)


def test_a_standing_notice_is_a_sentence_with_whom_to_ask() -> None:
    notice: JsonObject = {"mode": "standing", "code": "holds_controlled_records", "contact": "the committee"}
    chip = chip_of(entry(notice=notice), "North Hospital")
    assert (chip.notice, chip.contact) == ("this organization also holds controlled records", "the committee")
    assert chip_of(entry(notice={"mode": "none", "code": None, "contact": None}), "x").notice == ""


def test_every_organization_of_the_roster_has_a_chip() -> None:
    assert [(chip.organization, chip.tone) for chip in chips_of([entry()], NAMES)] == [
        ("north-hospital", "found"),
        ("vitalis", "waiting"),
    ]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"total": 0, "completeness": {"asked": 3, "answered": 3, "complete": True}}, "No records match. All 3"),
        ({"total": 1, "completeness": {"asked": 3, "answered": 3, "complete": True}}, "1 record matches. All 3"),
        (
            {"total": None, "total_at_least": 1, "completeness": {"asked": 3, "answered": 1, "complete": False}},
            "At least 1 record matches. 1 of 3 organizations answered; 2 organizations are missing.",
        ),
        (
            {"total": None, "total_at_least": 0, "completeness": {"asked": 2, "answered": 1, "complete": False}},
            "At least 0 records match. 1 of 2 organizations answered; 1 organization is missing.",
        ),
    ],
)
def test_the_sentence_above_the_records_never_turns_a_failure_into_a_zero(result: JsonObject, words: str) -> None:
    assert summary_of(result).startswith(words)


def test_while_answers_come_those_that_failed_are_not_counted_as_answers() -> None:
    failed = entry("TIMEOUT", total=None, said_by="coordinator")
    assert running_summary([failed], 3).startswith("0 of 3 organizations have answered so far; 2 are still being asked")
    assert running_summary([entry(), failed], 2).startswith("1 of 2 organizations answered.")


def test_what_is_masked_is_not_empty() -> None:
    record = record_of(make_card(NORTH, "x", title=None, summary="", evaluations=None), NAMES)
    assert (record.title, record.summary, record.evaluations) == (None, "", None)


def test_a_list_shows_what_was_measured_on_unseen_data() -> None:
    train, test = make_evaluation(value="0.99", split="train"), make_evaluation(value="0.9")
    assert [e.value for e in record_of(make_card(evaluations=[train, test]), NAMES).headline] == ["0.9"]
    assert [e.value for e in record_of(make_card(evaluations=[train]), NAMES).headline] == ["0.99"]
    assert len(record_of(make_card(evaluations=[test] * (HEADLINE_MAX + 1)), NAMES).headline) == HEADLINE_MAX


def test_a_facet_value_that_no_sentence_can_say_is_shown_without_a_button() -> None:
    facets: JsonObject = {"task": {'a "quoted" one': 2, "plain": 1}}
    view = finished_view({"facets": facets}, NAMES)
    assert [(cell.value, cell.condition) for cell in view.facets[0].cells] == [
        ('a "quoted" one', ""),
        ("plain", 'task:"plain"'),
    ]


def test_a_facet_with_one_value_narrows_nothing_and_is_not_shown() -> None:
    assert finished_view({"facets": {"task": {"plain": 4}}}, NAMES).facets == ()
