"""One line per entry of the log: when, who, what for, what became of it, under which policy."""

from __future__ import annotations

import pytest

from concordat_node.ledger.ledger import StoredEntry
from concordat_node.ledger.words import entry_line
from concordat_trust.canonical import Json, JsonObject

ENTRY: JsonObject = {
    "at": 1_800_000_000,
    "issuer": "alma-university",
    "pseudonym": "abc",
    "operation": "search",
    "status": "OK",
    "code": None,
    "purpose": {"code": "HMB"},
    "policy": {"baseline": "0123456789abcdef", "overlay": None},
    "released": [{}, {}],
}


def line(**changes: Json) -> str:
    return entry_line(StoredEntry(position=3, entry={**ENTRY, **changes}, leaf="", salt=""))


def test_a_line_has_the_time_the_purpose_the_number_of_records_and_the_policy() -> None:
    shown = "3  2027-01-15 08:00:00 UTC  alma-university/abc  search for HMB  OK  2 records  policy 0123456789ab"
    assert line() == shown


@pytest.mark.parametrize(("count", "words"), [(0, "  no record  "), (1, "  1 record  "), (3, "  3 records  ")])
def test_records_are_counted_in_words(count: int, words: str) -> None:
    assert words in line(released=[{}] * count)


def test_an_answer_to_a_question_that_was_not_read_says_so() -> None:
    shown = line(operation=None, purpose=None, status="DENIED", code="policy_unavailable", released=[])
    assert "  unread question for no purpose  DENIED policy_unavailable  no record  " in shown
