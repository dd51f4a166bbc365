"""What statuses, conditions and purposes mean, in words a person can act on, the same in every interface.

A status is proved, reported, or found at home. A code that no table knows (a newer node, another network's policy) is
shown as it is: nothing is hidden because this reader has no word for it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from concordat_trust.canonical import Json
from concordat_trust.plain_text import plain
from concordat_trust.policy_words import SCOPE_WORDS
from concordat_trust.vocabulary import DUO_MODIFIERS, DUO_PERMISSIONS, PURPOSE_WORDS

_PROVED = {
    "OK": "answered",
    "SUPPRESSED": "answered; how many match is too few to be said",
    "DENIED": "refuses the question, and signs that it does",
    "UNSUPPORTED": "does not know a condition of the question, and signs that it does not",
}
_NOT_PROVED = {
    "TIMEOUT": "did not answer in time",
    "UNREACHABLE": "could not be reached",
    "OVERLOADED": "had too much to do",
    "SKIPPED": "was not asked",
    "REFUSED": "refused the question before answering",
    "INVALID": "sent something that failed a check; nothing of it is used",
    "UNTRUSTED": "may not speak in this network; nothing of it is used",
    "STALE": "answered by too old a view of the network; nothing of it is used",
}
_NOTICES = {"holds_controlled_records": "this organization also holds controlled records"}
_REPORTED = "; this is reported, not proved"
_FOUND = "; found by your home node"


def records_words(count: int) -> str:
    """Return "no record", "1 record", "2 records"."""
    return {0: "no record", 1: "1 record"}.get(count, f"{count} records")


def status_words(entry: Mapping[str, Json]) -> str:
    """Return one organization's line, without its name."""
    status, code, total = str(entry.get("status")), entry.get("code"), entry.get("total")
    proved = entry.get("proved") is True
    shown = answer_words(entry)
    if status == "OK" and isinstance(total, int):
        shown += f": {records_words(total)}"
    if code is not None:
        words = SCOPE_WORDS.get(str(code))
        shown += f": {words}" if proved and words is not None else ""
        shown += f" ({plain(code, length_max=70)})"
    if proved:
        return shown
    return shown + (_FOUND if entry.get("said_by") == "home" else _REPORTED)


def answer_words(entry: Mapping[str, Json]) -> str:
    """Return what became of an organization: its status alone, without count and code."""
    status = str(entry.get("status"))
    words = _PROVED.get(status) if entry.get("proved") is True else _NOT_PROVED.get(status)
    return words or f"has the status {plain(status, length_max=40)}"


def notice_words(entry: Mapping[str, Json]) -> str | None:
    """Return what the organization's policy says about withheld things, or None when it says nothing."""
    notice = entry.get("notice")
    if not isinstance(notice, dict) or notice.get("mode") in (None, "none"):
        return None
    said, contact = standing_notice(entry) or "", notice.get("contact")
    asked = f"; ask {plain(contact, length_max=200)}" if contact else ""
    return f"says, whatever is asked: {said}{asked}"


def standing_notice(entry: Mapping[str, Json]) -> str | None:
    """Return the standing notice in words, without whom to ask; None when there is none."""
    notice = entry.get("notice")
    if not isinstance(notice, dict) or notice.get("mode") in (None, "none"):
        return None
    code = str(notice.get("code") or "")
    return _NOTICES.get(code) or (plain(code, length_max=70) if code else "it may withhold records")


def purpose_words(purpose: Mapping[str, Json]) -> str:
    """Return a purpose as one phrase, its modifiers included."""
    words = purpose_label(str(purpose.get("code")))
    for name in ("disease", "method", "project"):
        if purpose.get(name):
            words += f" · {name} {plain(purpose[name], length_max=120)}"
    return words + (" · commercial" if purpose.get("commercial") is True else " · not commercial")


def purpose_label(code: str) -> str:
    """Return a purpose code in words, as the name of a choice."""
    words = next((words for known, words in PURPOSE_WORDS.items() if known == code), None)
    return plain(code, length_max=20) if words is None else words[:1].upper() + words[1:]


def permission_words(code: str) -> str:
    """Return a DUO permission in words, with its code."""
    return _duo(code, DUO_PERMISSIONS)


def modifier_words(code: str) -> str:
    """Return a DUO modifier in words, with its code."""
    return _duo(code, DUO_MODIFIERS)


def _duo(code: str, table: Mapping[str, tuple[str, str]]) -> str:
    return f"{table[code][1]} [{code}]" if code in table else plain(code, length_max=60)
