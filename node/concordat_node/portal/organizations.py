"""What became of each organization, and how complete an answer is, as a page shows it. Pure.

A failed organization is never an empty one: its chip has its own tone and words. What is proved, what a coordinator
reports and what home found are told apart on every chip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from concordat_node.portal.reading import Object, number, obj, objects, text
from concordat_trust.canonical import Json
from concordat_trust.policy_words import SCOPE_WORDS
from concordat_trust.times import time_words
from concordat_trust.words import answer_words, records_words, standing_notice

Tone = Literal["waiting", "found", "none", "closed", "problem"]
_ANSWERED = ("OK", "SUPPRESSED")
_PROOF = {
    "proved": "Signed by the organization itself; your home node has checked the signature.",
    "reported": "Said by the coordinator; nothing proves it.",
    "found at home": "Found by your own home node when it checked what came.",
}


@dataclass(frozen=True, slots=True)
class Chip:
    """One organization. `proof` is empty while it is waited for."""

    organization: str
    name: str
    tone: Tone
    words: str
    proof: str = ""
    proof_means: str = ""
    code: str = ""
    notice: str = ""
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Completeness:
    """The honest footer."""

    asked: int
    answered: int
    is_complete: bool
    missing: tuple[Chip, ...]
    findings: tuple[tuple[str, str], ...]
    coordinator: str
    merge: str
    snapshot: int | None
    signed_at: str
    asked_at: str


def chip_of(entry: Object, name: str) -> Chip:
    """Return the chip of an organization that is accounted for."""
    status, total, code = text(entry.get("status")), number(entry.get("total")), text(entry.get("code"))
    notice = obj(entry.get("notice"))
    unproved = "found at home" if entry.get("said_by") == "home" else "reported"
    proof = "proved" if entry.get("proved") is True else unproved
    return Chip(
        organization=text(entry.get("organization")),
        name=name,
        tone=_tone(entry, status, total),
        words=_words(entry, status, total, code),
        proof=proof,
        proof_means=_PROOF[proof],
        code=code,
        notice=standing_notice(entry) or "",
        contact=text(notice.get("contact")) if standing_notice(entry) else "",
    )


def waiting_chip(organization: str, name: str) -> Chip:
    """Return the chip of an organization that has not answered yet."""
    return Chip(organization, name, "waiting", "waiting for its answer")


def _tone(entry: Object, status: str, total: int | None) -> Tone:
    if entry.get("proved") is not True:
        return "problem"
    if status not in _ANSWERED:
        return "closed"
    return "found" if status == "SUPPRESSED" or total else "none"


def _words(entry: Object, status: str, total: int | None, code: str) -> str:
    if entry.get("proved") is True and status == "OK" and total is not None:
        return records_words(total) if total else "no record for you"
    return SCOPE_WORDS.get(code) or answer_words(entry)


def chips_of(entries: Sequence[Object], names: Mapping[str, str]) -> tuple[Chip, ...]:
    """Return a chip for every organization of the roster, in its order: those that answered, and those waited for."""
    given = {text(entry.get("organization")): entry for entry in entries}
    return tuple(
        chip_of(given[org], name) if org in given else waiting_chip(org, name) for org, name in sorted(names.items())
    )


def completeness_of(result: Object, names: Mapping[str, str]) -> Completeness:
    """Return how complete a finished result is, and who says so."""
    told = obj(result.get("completeness"))
    entries = objects(told.get("entries"))
    bundle = obj(result.get("bundle"))
    return Completeness(
        asked=number(told.get("asked")) or 0,
        answered=number(told.get("answered")) or 0,
        is_complete=told.get("complete") is True,
        missing=tuple(
            chip_of(entry, _name(entry, names)) for entry in entries if text(entry.get("status")) not in _ANSWERED
        ),
        findings=tuple((_name(item, names) or "the coordinator", text(item.get("code"))) for item in _findings(result)),
        coordinator=text(result.get("coordinator")),
        merge=text(result.get("merge")),
        snapshot=number(bundle.get("snapshot")),
        signed_at=_time(bundle.get("signed_at")),
        asked_at=_time(result.get("asked_at")),
    )


def summary_of(result: Object) -> str:
    """Return the one sentence above the results."""
    told = obj(result.get("completeness"))
    asked, answered = number(told.get("asked")) or 0, number(told.get("answered")) or 0
    total, at_least = number(result.get("total")), number(result.get("total_at_least")) or 0
    count = at_least if total is None else total
    records = "1 record matches" if count == 1 else f"{count or 'No'} records match"
    if total is None:
        records = f"At least {count} record{'' if count == 1 else 's'} match{'es' if count == 1 else ''}"
    if told.get("complete") is True:
        return f"{records}. All {asked} organizations answered."
    missing = asked - answered
    is_are = "organization is" if missing == 1 else "organizations are"
    return f"{records}. {answered} of {asked} organizations answered; {missing} {is_are} missing."


def running_summary(entries: Sequence[Object], asked: int) -> str:
    """Return the one sentence while answers are coming."""
    told, left = sum(text(entry.get("status")) in _ANSWERED for entry in entries), asked - len(entries)
    if left <= 0:
        return f"{told} of {asked} organizations answered. Putting the records in order …"
    still = "is still being asked" if left == 1 else "are still being asked"
    return f"{told} of {asked} organizations have answered so far; {left} {still}."


def _findings(result: Object) -> list[dict[str, Json]]:
    # A missing organization is told as missing; merge_mismatch has a line of its own.
    missing = {
        text(entry.get("organization"))
        for entry in objects(obj(result.get("completeness")).get("entries"))
        if text(entry.get("status")) not in _ANSWERED
    }
    return [
        item
        for item in objects(result.get("findings"))
        if item.get("code") != "merge_mismatch" and item.get("organization") not in missing
    ]


def _name(entry: Object, names: Mapping[str, str]) -> str:
    organization = text(entry.get("organization"))
    return names.get(organization, organization)


def _time(value: Json) -> str:
    at = number(value)
    return "" if at is None else time_words(at)
