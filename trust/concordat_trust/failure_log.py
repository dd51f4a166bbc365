"""What a log may say of a failure: types, codes and places in our code, never a text.

The text of an exception can carry a question, an id or a record (a database error quotes its parameters, a ValueError
what it could not read). Types, codes and line numbers are enough to find a bug, and carry none of it.
"""

from __future__ import annotations

from traceback import walk_tb

from concordat_trust.errors import ConcordatError

CAUSES_MAX = 8
PLACES_MAX = 12


def without_texts(error: BaseException) -> str:
    """Return one line: `NodeFailed [node_failed] at MODULE:LINE > …; from ValueError at …`, outermost error first."""
    told: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(told) < CAUSES_MAX:
        told.append(_described(cause))
        cause = cause.__cause__ if cause.__cause__ is not None or cause.__suppress_context__ else cause.__context__
    return "; from ".join(told)


def _described(error: BaseException) -> str:
    code = f" [{error.code}]" if isinstance(error, ConcordatError) else ""
    places = [f"{frame.f_globals.get('__name__', '?')}:{line}" for frame, line in walk_tb(error.__traceback__)]
    at = f" at {' > '.join(places[-PLACES_MAX:])}" if places else ""
    return f"{type(error).__name__}{code}{at}"
