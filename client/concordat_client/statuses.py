"""What became of each organization, in words a person can act on: proved, reported, or found at home."""

from __future__ import annotations

from collections.abc import Mapping

from concordat_client.plain_text import plain
from concordat_trust.canonical import Json
from concordat_trust.policy_words import SCOPE_WORDS

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
_REPORTED = "; this is reported, not proved"
_FOUND = "; found by your home node"


def records_words(count: int) -> str:
    """Return "no record", "1 record", "2 records"."""
    return {0: "no record", 1: "1 record"}.get(count, f"{count} records")


def status_words(entry: Mapping[str, Json]) -> str:
    """Return one organization's line, without its name."""
    status, code, total = str(entry.get("status")), entry.get("code"), entry.get("total")
    proved = entry.get("proved") is True
    said = _PROVED.get(status) if proved else _NOT_PROVED.get(status)
    shown = said or f"has the status {plain(status, length_max=40)}"
    if status == "OK" and isinstance(total, int):
        shown += f": {records_words(total)}"
    if code is not None:
        words = SCOPE_WORDS.get(str(code))
        shown += f": {words}" if proved and words is not None else ""
        shown += f" ({plain(code, length_max=70)})"
    if proved:
        return shown
    return shown + (_FOUND if entry.get("said_by") == "home" else _REPORTED)


def notice_words(entry: Mapping[str, Json]) -> str | None:
    """Return what the organization's policy says about withheld things, or None when it says nothing."""
    notice = entry.get("notice")
    if not isinstance(notice, dict) or notice.get("mode") in (None, "none"):
        return None
    code, contact = notice.get("code"), notice.get("contact")
    asked = f"; ask {plain(contact, length_max=200)}" if contact else ""
    return f"says, whatever is asked: {plain(code or 'it may withhold records', length_max=70)}{asked}"
