"""How an error reads: moments as dates, one full stop, and no sentence that depends on them."""

from __future__ import annotations

import pytest

from concordat_trust.errors import OperatorError
from concordat_trust.times import time_words


class Sample(OperatorError):
    code = "sample_of_a_sentence"
    sentence = "{what} ended at {ended_at}; it is {now}: {problem}."
    hint = "None."


def test_moments_are_shown_as_dates_and_kept_as_numbers() -> None:
    error = Sample(what=7, ended_at=0, now=1_800_000_000, problem="late")
    assert error.message == "7 ended at 1970-01-01 00:00:00 UTC; it is 2027-01-15 08:00:00 UTC: late."
    assert error.fields["now"] == 1_800_000_000


def test_two_classes_of_one_name_in_two_modules_cannot_share_a_code() -> None:
    def elsewhere(module: str) -> None:
        same = {"code": Sample.code, "sentence": Sample.sentence, "hint": Sample.hint}
        type("Sample", (OperatorError,), {"__module__": module, "__qualname__": "Sample", **same})

    with pytest.raises(RuntimeError, match="share the code 'sample_of_a_sentence'"):
        elsewhere("another.module")
    elsewhere("__main__")


@pytest.mark.parametrize("problem", ["a whole sentence", "a whole sentence."])
def test_a_field_that_ends_with_a_full_stop_does_not_double_it(problem: str) -> None:
    assert Sample(problem=problem).message.endswith("it is ?: a whole sentence.")


@pytest.mark.parametrize("value", [True, None, "soon", 10**30])
def test_what_is_no_moment_stays_as_it_is(value: str | int | None) -> None:
    assert f"ended at {value};" in Sample(ended_at=value).message


@pytest.mark.parametrize(("at", "words"), [(0, "1970-01-01 00:00:00 UTC"), (-(10**20), "-100000000000000000000")])
def test_a_moment_in_words(at: int, words: str) -> None:
    assert time_words(at) == words
