"""What in a network runs out, when, and who has to sign before that. Pure.

The online key signs timestamp and snapshot again by itself (`countdown` tells how long they hold). Everything else is
signed by people, and people are warned: `WARN_BEFORE_S` before it happens, and when it has happened. A key has no date
of its own; it counts for as long as the statement that lists it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from concordat_trust import jose
from concordat_trust.bundle.countdown import duration_words
from concordat_trust.bundle.files import TARGETS
from concordat_trust.bundle.life.state import root_of, targets_of
from concordat_trust.bundle.members import statement_path
from concordat_trust.bundle.metadata import DAY_S, ROLE_BYTES_MAX, parse_metadata
from concordat_trust.bundle.policy import listed_suspensions
from concordat_trust.bundle.statement import STATEMENT_BYTES_MAX
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.bundle.tuf_api import Root, Targets
from concordat_trust.bundle.verify import SUSPENDED, SUSPENDED_PATH
from concordat_trust.canonical import JsonObject
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.times import time_words

Kind = Literal["root", "targets", "suspended", "role", "statement"]
WARN_BEFORE_S: Final[Mapping[Kind, int]] = {
    "root": 60 * DAY_S,
    "targets": 10 * DAY_S,
    "suspended": 10 * DAY_S,
    "role": 21 * DAY_S,
    "statement": 21 * DAY_S,
}
KEYHOLDERS_RENEW: Final = "a keyholder proposes `concordat trust renew`, and the others approve it"
_SAYS: Final[Mapping[Kind, str]] = {
    "root": "the root",
    "targets": "the list of members",
    "suspended": "the list of suspensions",
    "role": "the role of {member}",
    "statement": "the statement of {member}, with its keys",
}


@dataclass(frozen=True, slots=True)
class Deadline:
    """One thing that runs out; `member` is whose role or statement it is."""

    kind: Kind
    expires_at: int
    member: OrgId | None = None

    def is_due(self, now: int) -> bool:
        """Tell whether it is time to warn; that stays so after the deadline."""
        return self.expires_at - now <= WARN_BEFORE_S[self.kind]

    @property
    def remedy(self) -> str:
        """Who does what, in one sentence."""
        if self.member is None:
            return KEYHOLDERS_RENEW
        return f"{self.member} signs again with `concordat trust rotate {self.member} --renew`"

    def words(self, now: int) -> str:
        """Return what runs out and when."""
        what = _SAYS[self.kind].format(member=self.member)
        if self.expires_at <= now:
            return f"{what} ran out {duration_words(now - self.expires_at)} ago, at {time_words(self.expires_at)}"
        return f"{what} runs out in {duration_words(self.expires_at - now)}, at {time_words(self.expires_at)}"

    def to_json(self, now: int) -> JsonObject:
        return {"kind": self.kind, "member": self.member, "expires_at": self.expires_at, "is_due": self.is_due(now)}


def deadlines(bundle: TrustedBundle) -> tuple[Deadline, ...]:
    """Return everything that people have to sign again, the nearest first."""
    return tuple(sorted(_deadlines(bundle), key=lambda d: (d.expires_at, d.kind, d.member or "")))


def due(bundle: TrustedBundle, now: int, *, members: Collection[OrgId] | None = None) -> tuple[Deadline, ...]:
    """Return what somebody has to be warned of; of the members' only those of `members`, if given."""
    found = (d for d in deadlines(bundle) if d.is_due(now))
    return tuple(d for d in found if members is None or d.member is None or d.member in members)


def deadline_words(bundle: TrustedBundle | None, organization: OrgId, now: int) -> str:
    """Return one line for each warning that concerns `organization`, for its health page."""
    warned = () if bundle is None else due(bundle, now, members=(organization,))
    return "".join(f"warning: {deadline.words(now)}\n" for deadline in warned)


def _deadlines(bundle: TrustedBundle) -> Iterator[Deadline]:
    yield Deadline("root", _ends(root_of(bundle)))
    yield Deadline("targets", _ends(targets_of(bundle)))
    yield Deadline("suspended", _ends(_role(bundle, SUSPENDED)))
    for member in bundle.members:
        yield Deadline("role", _ends(_role(bundle, member)), member)
        expires_at = _statement_ends(bundle, member)
        if expires_at is not None:
            yield Deadline("statement", expires_at, member)


def _role(bundle: TrustedBundle, name: str) -> Targets:
    return parse_metadata(bundle.files[f"{name}.json"], Targets, role=name, bytes_max=ROLE_BYTES_MAX).signed


def _ends(signed: Root | Targets) -> int:
    return int(signed.expires.timestamp())


def _statement_ends(bundle: TrustedBundle, member: OrgId) -> int | None:
    # Only of a statement that was verified: what an unusable one says of its own end is nobody's deadline.
    data = bundle.files.get(TARGETS + statement_path(member))
    if data is None or member in bundle.unusable:
        return None
    try:
        expires_at = jose.unverified_claims(data.decode("ascii"), bytes_max=STATEMENT_BYTES_MAX).get("exp")
    except (RefusedDocument, UnicodeDecodeError):
        return None
    return expires_at if isinstance(expires_at, int) else None


def suspension_reasons(bundle: TrustedBundle) -> Mapping[OrgId, str]:
    """Return for each suspended organization what the keyholder wrote; "" where the list has no reason (any more)."""
    listed = listed_suspensions(bundle.files[TARGETS + SUSPENDED_PATH])
    return {org: listed[org][1] or "" if org in listed else "" for org in bundle.memory.suspended}
