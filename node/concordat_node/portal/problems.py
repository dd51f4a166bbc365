"""What went wrong, as a page says it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from concordat_trust.errors import ConcordatError, all_error_classes

_COMMAND_LINE = "concordat login"


@dataclass(frozen=True, slots=True)
class Problem:
    """A sentence, what to try, and the code by which others can help."""

    message: str
    hint: str
    code: str


def problem_of(error: ConcordatError) -> Problem:
    return Problem(error.message, error.hint, error.code)


def signin_problem(code: str) -> Problem:
    """Return the problem of a code in an address; one that is none of ours is not repeated."""
    known = {leaf.code: leaf for leaf in all_error_classes()}.get(code)
    if known is None:
        return Problem("You could not be signed in.", "Try again.", "login_state_invalid")
    sentence = "You could not be signed in." if "{" in known.sentence else known.sentence
    hint = "Begin the sign-in again." if _COMMAND_LINE in known.hint else known.hint
    return Problem(sentence, hint, known.code)
