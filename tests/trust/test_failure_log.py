"""A log line about a failure names types, codes and places, and quotes nothing."""

from __future__ import annotations

from concordat_trust.canonical import JsonTooLarge
from concordat_trust.failure_log import CAUSES_MAX, without_texts


def _failed(*, is_chained: bool) -> BaseException:
    try:
        try:
            raise ValueError("CANARY of a record")
        except ValueError as error:
            raise JsonTooLarge(size=4_711, bytes_max=3) from (error if is_chained else None)
    except JsonTooLarge as error:
        return error


def test_types_codes_and_places_are_told_and_no_text() -> None:
    line = without_texts(_failed(is_chained=True))
    assert line.startswith(f"JsonTooLarge [json_too_large] at {__name__}:")
    assert f"; from ValueError at {__name__}:" in line
    assert "CANARY" not in line
    assert "4711" not in line
    assert "\n" not in line


def test_a_cause_that_was_set_aside_is_not_told() -> None:
    assert "ValueError" not in without_texts(_failed(is_chained=False))


def test_a_long_chain_of_causes_ends_at_the_limit() -> None:
    error = ValueError()
    for _ in range(CAUSES_MAX + 5):
        outer = ValueError()
        outer.__cause__, error = error, outer
    assert without_texts(error).count("ValueError") == CAUSES_MAX
