"""What a verified answer does not exclude, as a closed list: said with every verification, in words and as data.

A signature proves who said something, not that it is so. Each reservation has a stable code, the sentence that a reader
sees, and the organizations that it is about; one that cannot apply to an answer is left out. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from concordat_trust.attestation import AGE_MAX_S
from concordat_trust.canonical import JsonObject
from concordat_trust.ids import OrgId
from concordat_trust.jose import LEEWAY_S
from concordat_trust.merge import Entry


@dataclass(frozen=True, slots=True)
class Reservation:
    """One thing that could still be untrue; `organizations` are those it is about, sorted."""

    code: str
    words: str
    organizations: tuple[OrgId, ...]

    def to_json(self) -> JsonObject:
        return {"code": self.code, "organizations": list(self.organizations), "words": self.words}


def reservations_of(entries: Sequence[Entry], *, home: OrgId, coordinator: OrgId | None) -> tuple[Reservation, ...]:
    """Return what cannot be excluded of an answer with these verified `entries`, always in the same order."""
    signed = _named(entries, "organization")
    found = [
        Reservation("clock", _CLOCK, (*signed, home)),
        Reservation("home_word", _HOME_WORD, (home,)),
        Reservation("own_data", _OWN_DATA, signed),
        Reservation("log_fork", _LOG_FORK, signed),
        Reservation("withheld", _WITHHELD, _named(entries, "coordinator")),
        Reservation("not_asked", _NOT_ASKED, _named(entries, "home")),
        Reservation("question_read", _QUESTION_READ, () if coordinator is None else (coordinator,)),
    ]
    about = tuple(Reservation(item.code, item.words, _sorted(item.organizations)) for item in found)
    everywhere = (Reservation("stolen_key", _STOLEN_KEY, ()), Reservation("keyholders", _KEYHOLDERS, ()))
    return (*(item for item in about if item.organizations), *everywhere, Reservation("later", _LATER, ()))


def _named(entries: Sequence[Entry], speaker: str) -> tuple[OrgId, ...]:
    return tuple(entry.organization for entry in entries if entry.said_by == speaker)


def _sorted(organizations: Sequence[OrgId]) -> tuple[OrgId, ...]:
    return tuple(sorted(set(organizations)))


_CLOCK = (
    f"a wrong clock: each dates its own signature; only that an answer is dated at most {LEEWAY_S} s before and "
    f"{AGE_MAX_S} s after its question was checked"
)
_HOME_WORD = "an invented person: pseudonym, affiliation and role are its own word, within what the keyholders allow it"
_OWN_DATA = "untrue or incomplete data: it is proved that this organization says so, not that it is so"
_LOG_FORK = "two logs: the answer is in a log that was signed; compare checkpoints to see that others have the same log"
_WITHHELD = "a withheld answer: that it did not answer is only reported, and nobody signed for its silence"
_NOT_ASKED = "an answer that was given and not kept: what became of it is the word of the one who saved this file"
_QUESTION_READ = "a curious coordinator: it read the question, and every record that was not sealed"
_STOLEN_KEY = "a stolen key: signatures are judged by the network as it was then, also when the theft was noticed later"
_KEYHOLDERS = "a quorum of keyholders that deceives, or a root fingerprint from somebody who does: all rests on these"
_LATER = "what came later: records, permissions and members may have changed since"
