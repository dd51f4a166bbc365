"""What is said of an organization: proved by itself, found at home, or only reported by a coordinator."""

from __future__ import annotations

import pytest

from concordat_trust.canonical import JsonObject
from concordat_trust.merge import REPORTERS
from concordat_trust.vocabulary import FOUND_AT_HOME, PROVED, REPORTED
from concordat_trust.words import status_words


def entry(status: str, said_by: str, code: str | None = None) -> JsonObject:
    proved = said_by == "organization"
    return {"status": status, "said_by": said_by, "proved": proved, "code": code, "total": None}


@pytest.mark.parametrize("status", REPORTED)
def test_whatever_a_coordinator_says_is_shown_as_reported(status: str) -> None:
    assert status_words(entry(status, "coordinator")).endswith("; this is reported, not proved")


@pytest.mark.parametrize("status", FOUND_AT_HOME)
def test_what_home_found_is_shown_as_found_at_home(status: str) -> None:
    words = status_words(entry(status, "home", "record_missing"))
    assert words.endswith("(record_missing); found by your home node")
    assert "reported" not in words


@pytest.mark.parametrize("status", PROVED)
def test_what_is_proved_needs_no_remark(status: str) -> None:
    assert ";" not in status_words(entry(status, "organization")).replace("answered; how many", "")


def test_an_entry_that_does_not_say_who_speaks_is_only_reported() -> None:
    for speaker in ({"said_by": None}, {"said_by": "organization"}):
        shown = status_words({**entry("INVALID", "home"), **speaker})
        assert shown.endswith("; this is reported, not proved")
    assert len({status_words(entry("INVALID", reporter)) for reporter in REPORTERS}) == len(REPORTERS)
