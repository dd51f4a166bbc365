"""What a change changes, in plain words: what a keyholder reads before signing. Pure.

The words come from the documents that will be signed, compared with those in force, and not from the proposal. What is
not named stays as it is, and the last lines say what that is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from concordat_trust.bundle.life.application import Application
from concordat_trust.bundle.life.change import Prepared
from concordat_trust.bundle.life.founding import Founding
from concordat_trust.bundle.life.self_test import Check
from concordat_trust.bundle.life.state import keyholder_name, role_keys, root_of, targets_of
from concordat_trust.bundle.policy import MayAssert, MemberPolicy, NetworkPolicy, parse_network
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.bundle.tuf_api import Root, Signed, Targets
from concordat_trust.bundle.verify import SUSPENDED
from concordat_trust.times import time_words
from concordat_trust.vocabulary import Clearance

NOTHING: Final = "Nothing changes but the dates."


def differences(bundle: TrustedBundle, prepared: Prepared) -> tuple[str, ...]:
    """Return one sentence or entry per line."""
    before, after = bundle.network, parse_network(prepared.network)
    root = root_of(bundle)
    lines = [
        *_members(before, after, bundle),
        *_lifted(before, after, bundle),
        *_organization_keys(targets_of(bundle), prepared.targets),
        *_keyholders(root, prepared.root),
        *_rules(before, after),
    ]
    if prepared.application is not None:
        lines += _applied(prepared.application, is_alone=not bundle.organizations)
    return (*(lines or [NOTHING]), *_dates(bundle, prepared), *_staying(after, prepared))


def founding_words(founding: Founding) -> tuple[str, ...]:
    """Return what a founding says, for the keyholders to read before they sign."""
    policy = founding.policy
    return (
        f"+ network {policy.id}: {policy.name}",
        f"    smallest number that is shown: {policy.minimum_cell}; controlled classes close when the bundle is older "
        f"than {policy.bundle_age_max_s} s",
        f"    purposes: {', '.join(policy.purposes)}",
        f"    {founding.threshold} of {len(founding.keyholders)} keyholders sign for it:",
        *(f"+ keyholder {part.name}, key {part.key_id} (compare it by voice)" for part in founding.keyholders),
        f"+ online signer {founding.online.name}, key {founding.online.key_id}; it signs freshness and nothing else",
        f"    term statistics {founding.statistics_sha256}",
        "No members yet: each one applies, and the keyholders approve it.",
    )


def _members(before: NetworkPolicy, after: NetworkPolicy, bundle: TrustedBundle) -> Iterator[str]:
    old, new = ({m.id: m for m in policy.members} for policy in (before, after))
    for org in sorted(new.keys() - old.keys()):
        yield f"+ {org} joins as {_kind(new[org])}"
        yield from _caps(new[org].may_assert)
    for org in sorted(old.keys() - new.keys()):
        yield f"- {org} is removed: {bundle.members[org].legal_name}; nobody asks it or answers it any more"
    for org in sorted(old.keys() & new.keys()):
        if old[org] != new[org]:
            yield f"~ {org} is now {_kind(new[org])} (before: {_kind(old[org])})"
            yield from _caps(new[org].may_assert)


def _kind(member: MemberPolicy) -> str:
    article = "an organization" if member.kind == "organization" else "a coordinator"
    return f"{article}, {member.organization_type}, in {member.country}"


def _caps(caps: MayAssert) -> Iterator[str]:
    told = {"affiliations": caps.affiliations, "roles": caps.roles}
    for name, values in told.items():
        yield f"    may say of its people: {name} {', '.join(sorted(values)) or 'none'}"
    yield f"    may say of its people: clearance up to {Clearance(caps.clearance_max).name.lower()}"
    yield f"    may say of their sign-in: acr {', '.join(sorted(caps.acr_values)) or 'nothing'}"


def _lifted(before: NetworkPolicy, after: NetworkPolicy, bundle: TrustedBundle) -> Iterator[str]:
    for org, version in sorted(after.reinstated.items()):
        if before.reinstated.get(org, 0) != version:
            standing = bundle.memory.suspended.get(org)
            yield f"~ the suspension {version} of {org} is lifted" + ("" if standing == version else " (none stands)")


def _organization_keys(before: Targets, after: Targets) -> Iterator[str]:
    old, new = role_keys(before), role_keys(after)
    for org in sorted(old.keys() & new.keys()):
        if old[org] != new[org] and org != SUSPENDED:
            yield f"~ the organization key of {org} is replaced"
            yield from (f"    - {key_id}" for key_id in sorted(old[org] - new[org]))
            yield from (f"    + {key_id} (compare it by voice)" for key_id in sorted(new[org] - old[org]))


def _keyholders(before: Root, after: Root) -> Iterator[str]:
    for role in ("root", "targets"):
        old, new = before.roles[role], after.roles[role]
        for key_id in sorted(set(old.keyids) - set(new.keyids)):
            yield f"- {keyholder_name(before, key_id)} signs {role} no more, key {key_id}"
        for key_id in sorted(set(new.keyids) - set(old.keyids)):
            yield f"+ {keyholder_name(after, key_id)} signs {role}, key {key_id} (compare it by voice)"
        if old.threshold != new.threshold:
            yield f"~ {role} needs {new.threshold} signatures (before: {old.threshold})"


def _rules(before: NetworkPolicy, after: NetworkPolicy) -> Iterator[str]:
    for name in ("id", "name", "minimum_cell", "purposes", "bundle_age_max_s"):
        if getattr(before, name) != getattr(after, name):
            yield f"~ {name.replace('_', ' ')}: {getattr(before, name)} becomes {getattr(after, name)}"


def _applied(application: Application, *, is_alone: bool) -> Iterator[str]:
    yield f"    legal name {application.statement.legal_name}, at {application.statement.endpoint}"
    yield f"    contact {application.contact or 'none given'}"
    yield f"    organization key {application.fingerprint} (compare it by voice)"
    for use, keys in sorted(application.statement.keys.items()):
        yield f"    key for {use.replace('_', ' ')}: {', '.join(keys)} (shown to be held)"
    issuer = application.statement.visa_issuer
    if issuer is not None:
        about = ", ".join(sorted(issuer.subject_issuers)) or "itself"
        yield f"    signs visas as {issuer.issuer}, about persons of {about}"
    if application.purpose == "join":
        yield f"    join self-test, on its own word: {_tested(application.self_test, is_alone=is_alone)}"


def _tested(checks: Sequence[Check], *, is_alone: bool) -> str:
    if not checks:
        return "none; there is no other organization to test with" if is_alone else "NONE WAS MADE"
    return "; ".join(f"{c.name} {'ok' if c.ok else 'FAILED'} with {c.party} ({c.found})" for c in checks)


def _dates(bundle: TrustedBundle, prepared: Prepared) -> Iterator[str]:
    in_force = {"root": root_of(bundle), "targets": targets_of(bundle)}
    for document in prepared.documents:
        _, _, name = document.name.removesuffix(".json").partition(".")
        was = f", before until {_ends(in_force[name])}" if name in in_force else ""
        yield f"  {name} version {document.signed.version}, valid until {_ends(document.signed)}{was}"


def _ends(signed: Signed) -> str:
    return time_words(int(signed.expires.timestamp()))


def _staying(after: NetworkPolicy, prepared: Prepared) -> Iterator[str]:
    role = prepared.root.roles["targets"]
    yield (
        f"Everything else stays: {len(after.members)} members, {role.threshold} of {len(role.keyids)} keyholders, "
        "the rules of the network, the term statistics."
    )
