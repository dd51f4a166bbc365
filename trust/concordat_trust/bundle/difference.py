"""What changed between two verified states of one network, in plain words: `concordat trust diff`.

What a keyholder reads before signing is told by `life.difference`, from what is about to be signed.

Only what somebody decided is told: members, keys, caps, thresholds, policy, suspensions and how long signatures hold.
Versions that an online signer counts up are not a change. Keys are named by the first characters of their thumbprint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from concordat_trust.bundle.errors import BundleBootstrapMismatch
from concordat_trust.bundle.life.state import role_keys, root_of, targets_of
from concordat_trust.bundle.policy import MayAssert
from concordat_trust.bundle.trusted import Member, TrustedBundle
from concordat_trust.canonical import JsonObject
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.times import time_words
from concordat_trust.visa_issuer import PublishedIssuer

Topic = Literal["members", "keys", "caps", "thresholds", "policy", "suspensions", "expiry"]
KEY_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `subject` is a member, a role, or the network."""

    topic: Topic
    subject: str
    text: str

    def to_json(self) -> JsonObject:
        return {"topic": self.topic, "subject": self.subject, "text": self.text}


def differences(old: TrustedBundle, new: TrustedBundle) -> tuple[Change, ...]:
    """Return the changes from `old` to `new`. Raises: BundleBootstrapMismatch when they are not of one network."""
    if old.root_sha256 != new.root_sha256:
        raise BundleBootstrapMismatch(expected=old.root_sha256)
    return (*_members(old, new), *_thresholds(old, new), *_policy(old, new), *_expiry(old, new))


def _members(old: TrustedBundle, new: TrustedBundle) -> Iterator[Change]:
    for org in sorted({*old.members, *new.members}):
        before, after = old.members.get(org), new.members.get(org)
        if before is None and after is not None:
            yield Change("members", org, f"joins as {_described(after)}")
            yield from _caps(org, None, after.may_assert)
            yield from _keys(org, {}, _listed(new, org))
            yield from _visas(org, None, after.visa_issuer)
        elif before is not None and after is None:
            yield Change("members", org, f"is removed; it was {_described(before)}")
        elif before is not None and after is not None:
            yield from _member(old, new, before, after)


def _member(old: TrustedBundle, new: TrustedBundle, before: Member, after: Member) -> Iterator[Change]:
    org = after.id
    if _described(before) != _described(after):
        yield Change("members", org, f"was {_described(before)} and is now {_described(after)}")
    if before.suspended != after.suspended:
        yield Change("suspensions", org, "is suspended" if after.suspended else "is reinstated")
    was, now = old.unusable.get(org), new.unusable.get(org)
    if now is not None and (was is None or was.code != now.code):
        yield Change("members", org, f"cannot be asked any more: {now.message}")
    if was is not None and now is None:
        yield Change("members", org, "can be asked again")
    yield from _caps(org, before.may_assert, after.may_assert)
    yield from _keys(org, _listed(old, org), _listed(new, org))
    yield from _visas(org, before.visa_issuer, after.visa_issuer)


def _visas(org: OrgId, before: PublishedIssuer | None, after: PublishedIssuer | None) -> Iterator[Change]:
    if before is not None and after is None:
        yield Change("keys", org, f"no longer signs visas as {before.issuer}")
    elif after is not None and after != before:
        about = ", ".join(sorted(after.subject_issuers)) or "itself"
        named = ", ".join(sorted(after.keys))
        yield Change("keys", org, f"signs visas as {after.issuer}, about persons of {about}, with the keys {named}")


def _described(member: Member) -> str:
    where = f" at {member.endpoint}" if member.endpoint else ""
    return f"{member.legal_name}, {member.kind} ({member.organization_type}, {member.country}){where}"


def _caps(org: OrgId, before: MayAssert | None, after: MayAssert) -> Iterator[Change]:
    for name in ("affiliations", "roles", "acr_values"):
        was: frozenset[str] = frozenset() if before is None else getattr(before, name)
        now: frozenset[str] = getattr(after, name)
        called = name.replace("_", " ")
        if now - was:
            yield Change("caps", org, f"may now also assert the {called} {', '.join(sorted(now - was))}")
        if was - now:
            yield Change("caps", org, f"may no longer assert the {called} {', '.join(sorted(was - now))}")
    level = None if before is None else before.clearance_max
    if level != after.clearance_max:
        since = "" if level is None else f" (was {int(level)})"
        yield Change("caps", org, f"may assert clearance up to {int(after.clearance_max)}{since}")


def _listed(bundle: TrustedBundle, org: OrgId) -> Mapping[str, frozenset[KeyId]]:
    """Return use → key ids of a member, with the entity keys that the keyholders gave to its role."""
    keys: dict[str, frozenset[KeyId]] = {use: frozenset(listed) for use, listed in bundle.members[org].keys.items()}
    return keys | {"entity": role_keys(targets_of(bundle))[org]}


def _keys(
    org: OrgId, before: Mapping[str, frozenset[KeyId]], after: Mapping[str, frozenset[KeyId]]
) -> Iterator[Change]:
    for use in sorted({*before, *after}):
        was, now = before.get(use, frozenset()), after.get(use, frozenset())
        if now - was:
            yield Change("keys", org, f"has the new {use} key {_shown(now - was)}")
        if was - now:
            yield Change("keys", org, f"no longer has the {use} key {_shown(was - now)}")


def _thresholds(old: TrustedBundle, new: TrustedBundle) -> Iterator[Change]:
    before, after = root_of(old), root_of(new)
    for name in ("root", "targets", "snapshot", "timestamp"):
        was, now = before.roles[name], after.roles[name]
        if was.threshold != now.threshold:
            text = f"needs {now.threshold} of {len(now.keyids)} keys (was {was.threshold} of {len(was.keyids)})"
            yield Change("thresholds", name, text)
        yield from _keys(OrgId(name), {"signing": frozenset(was.keyids)}, {"signing": frozenset(now.keyids)})


def _policy(old: TrustedBundle, new: TrustedBundle) -> Iterator[Change]:
    before, after = old.network, new.network
    if before.name != after.name:
        yield Change("policy", "network", f"is now called {after.name} (was {before.name})")
    if before.minimum_cell != after.minimum_cell:
        text = f"the smallest number shown is {after.minimum_cell} (was {before.minimum_cell})"
        yield Change("policy", "network", text)
    if before.bundle_age_max_s != after.bundle_age_max_s:
        text = f"controlled classes close after {after.bundle_age_max_s} s (was {before.bundle_age_max_s} s)"
        yield Change("policy", "network", text)
    for text, codes in (
        ("admits the purposes", set(after.purposes) - set(before.purposes)),
        ("no longer admits the purposes", set(before.purposes) - set(after.purposes)),
    ):
        if codes:
            yield Change("policy", "network", f"{text} {', '.join(sorted(codes))}")
    if old.statistics.revision != new.statistics.revision:
        yield Change("policy", "network", f"uses the term statistics {_shown(frozenset({new.statistics.revision}))}")


def _expiry(old: TrustedBundle, new: TrustedBundle) -> Iterator[Change]:
    signed = (("root", root_of(old), root_of(new)), ("targets", targets_of(old), targets_of(new)))
    for name, before, after in signed:
        was, now = int(before.expires.timestamp()), int(after.expires.timestamp())
        if was != now:
            yield Change("expiry", name, f"holds until {time_words(now)} (was {time_words(was)})")


def _shown(keys: frozenset[KeyId]) -> str:
    return ", ".join(f"{key[:KEY_SHOWN]}…" for key in sorted(keys))
