"""Exit codes of the command line (DESIGN section 12), and which error ends in which.

Nothing here imports more than the error families, so that a failing command does not pay for one that works.
"""

from __future__ import annotations

from enum import IntEnum

from concordat_trust.errors import ConcordatError, OperatorError, PeerFailure, RefusedDocument


class Exit(IntEnum):
    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    PARTIAL = 3
    NOT_SIGNED_IN = 4
    REFUSED_BY_POLICY = 5
    TRUST_FAILED = 6
    FINDING = 7
    UNREACHABLE = 8


def exit_of(error: ConcordatError) -> Exit:
    """Return the exit code of an error: its own (`exit`), or its family's."""
    own = getattr(error, "exit", None)
    if isinstance(own, Exit):
        return own
    if isinstance(error, RefusedDocument):
        return Exit.TRUST_FAILED
    if isinstance(error, PeerFailure):
        return Exit.UNREACHABLE
    return Exit.UNEXPECTED if isinstance(error, OperatorError) else Exit.USAGE
