"""What can go wrong in the hands of a person: not signed in, no home node, a file that cannot be used.

A refusal of the home node keeps the home node's own code, so that people can look it up; its texts are neutralised,
because they come from elsewhere.
"""

from __future__ import annotations

from typing import ClassVar

from concordat_client.exits import Exit
from concordat_trust.errors import OperatorError, PeerFailure, RefusedDocument, RequesterError


class SignedOut(RequesterError):
    code = "signed_out"
    sentence = "You are not signed in at a home node."
    hint = "Sign in first: concordat login --home https://YOUR-HOME-NODE"
    exit: ClassVar[Exit] = Exit.NOT_SIGNED_IN


class SessionFileUnusable(OperatorError):
    code = "session_file_unusable"
    sentence = "The session file {path} {problem}."
    hint = "Remove it and sign in again: concordat login"
    exit: ClassVar[Exit] = Exit.NOT_SIGNED_IN


class ConfigUnwritable(OperatorError):
    code = "config_unwritable"
    sentence = "{path} cannot be written: {problem}."
    hint = "Make room and check the permissions, or set XDG_CONFIG_HOME to another folder."


class HomeAddressInvalid(RequesterError):
    code = "home_address_invalid"
    sentence = "{address!r} is not the address of a home node."
    hint = "Give scheme, host and port; http is accepted on this machine only: https://home.example.org"


class HomeUnreachable(PeerFailure):
    code = "home_unreachable"
    sentence = "The home node {address} does not answer."
    hint = "Check the address and your network, or ask the operator of your home node."


class HomeAnswerInvalid(PeerFailure):
    code = "home_answer_invalid"
    sentence = "{address} answers with something that is not a home node's answer."
    hint = "Check the address; something else may be in front of the home node."


class HomeRefused(RequesterError):
    """A refusal of the home node; `status`, `remote_code`, `message` and `remote_hint` are the home node's."""

    code = "home_refused"
    sentence = "{message}"
    hint = "Look the code up in the documentation."

    @property
    def remote_code(self) -> str:
        return str(self.fields.get("remote_code") or self.code)

    @property
    def exit(self) -> Exit:
        status = self.fields.get("status")
        if self.remote_code in ("organization_suspended", "answer_suspended"):
            return Exit.TRUST_FAILED
        return _EXIT_OF_STATUS.get(status if isinstance(status, int) else 0, _exit_of_class(status))

    def to_json(self) -> dict[str, str]:
        hint = str(self.fields.get("remote_hint") or self.hint)
        return {"code": self.remote_code, "message": self.message, "hint": hint}


class LoginTimedOut(RequesterError):
    code = "login_timed_out"
    sentence = "Nobody signed in within {timeout_s} s."
    hint = "Run concordat login again and sign in in the browser window that it opens."
    exit: ClassVar[Exit] = Exit.NOT_SIGNED_IN


class LoginFailed(RequesterError):
    """The sign-in ended at the home node, told with the home node's own code."""

    code = "login_failed"
    sentence = "The sign-in was refused ({reason})."
    hint = "The documentation lists the reasons; try again, or ask the operator of your home node."
    exit: ClassVar[Exit] = Exit.NOT_SIGNED_IN


class AnswerFileUnusable(RequesterError):
    code = "answer_file_unusable"
    sentence = "{path} cannot be used: {problem}."
    hint = "Name a file that concordat search --save wrote, or a place where one can be written."


class LogFileUnusable(RequesterError):
    code = "log_file_unusable"
    sentence = "{path} cannot be used: {problem}."
    hint = "Name a file with a checkpoint, a receipt or a consistency proof."


class PagesNotSaved(RequesterError):
    code = "pages_not_saved"
    sentence = "A saved answer is one page, and several were asked for."
    hint = "Leave out --pages, or --save."


class RootNotPinned(RefusedDocument):
    code = "root_not_pinned"
    sentence = "This client has no root fingerprint of the network {network!r}."
    hint = (
        "Give --root-sha256 as a keyholder told it to you, once with --pin; a fingerprint is never taken from a bundle."
    )


class PinMismatch(RefusedDocument):
    code = "pin_mismatch"
    sentence = "Another root fingerprint is pinned for the network {network!r}."
    hint = "Ask a keyholder which one is right before you change anything."


_EXIT_OF_STATUS = {401: Exit.NOT_SIGNED_IN, 403: Exit.REFUSED_BY_POLICY, 429: Exit.UNREACHABLE}


def _exit_of_class(status: object) -> Exit:
    return Exit.UNREACHABLE if isinstance(status, int) and status >= 500 else Exit.USAGE
