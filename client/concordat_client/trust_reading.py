"""`concordat trust verify|show|diff`: what a bundle says, and which of the numbered rules it holds. Changes nothing."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

from concordat_client.exits import Exit, exit_of
from concordat_client.trust_report import Report, fingerprint, read_time
from concordat_trust.bundle.countdown import countdown
from concordat_trust.bundle.deadlines import deadlines, due, suspension_reasons
from concordat_trust.bundle.difference import differences
from concordat_trust.bundle.errors import BundleFileUnreadable
from concordat_trust.bundle.metadata import confirmed_at
from concordat_trust.bundle.rules import Judgement, judge
from concordat_trust.bundle.split_view import PROOF_BYTES_MAX, verify_split_view
from concordat_trust.bundle.store import read_bundle
from concordat_trust.bundle.trusted import Member, TrustedBundle
from concordat_trust.bundle.verify import verify_bundle
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.times import time_words

_MARKS: Mapping[str, str] = {"held": "held", "broken": "BROKEN", "undecided": "-"}


def show(arguments: argparse.Namespace) -> Report:
    """Say who is in the network."""
    root_sha256 = fingerprint(arguments)
    return summary(verify_bundle(read_bundle(arguments.bundle), root_sha256=root_sha256, at=_at(arguments)))


def verify(arguments: argparse.Namespace) -> Report:
    """Say whether the bundle holds, rule by rule; a refused bundle ends with exit code 6."""
    root_sha256, at, files = fingerprint(arguments), _at(arguments), read_bundle(arguments.bundle)
    try:
        bundle = verify_bundle(files, root_sha256=root_sha256, at=at)
    except RefusedDocument as error:
        return _refused(error)
    told = judge(bundle)
    data: JsonObject = {"ok": True, **summary(bundle).data, "rules": [_rule_json(j) for j in told]}
    return Report(
        data,
        (
            f"The bundle of {bundle.network.id} holds at {time_words(bundle.verified_at)}.",
            f"Checked from the root fingerprint {bundle.root_sha256}: root chain, thresholds, versions, lifetimes,",
            f"every target's hash, {len(bundle.members)} members and their statements. Valid until "
            f"{time_words(bundle.expires_at)}.",
            *_rules(told),
            "What only a party that remembers older states can tell: a version that went back, a suspension dropped.",
            *_alarms(bundle),
        ),
    )


def _refused(error: RefusedDocument) -> Report:
    told = judge(error)
    data: JsonObject = {"ok": False, "error": dict(error.to_json()), "rules": [_rule_json(j) for j in told]}
    lines = (f"The bundle is refused: {error.code}: {error}", f"  {error.hint}", *_rules(told))
    return Report(data, lines, exit_of(error))


def _rules(told: tuple[Judgement, ...]) -> list[str]:
    lines = []
    for judgement in told:
        rule = judgement.rule
        lines.append(f"  {rule.number}  {_MARKS[judgement.state]:<6}  {rule.says}")
        lines += [f"         {rule.code}: {by}" for by in judgement.by]
    return lines


def _rule_json(judgement: Judgement) -> JsonObject:
    rule = judgement.rule
    return {
        "number": rule.number,
        "says": rule.says,
        "code": rule.code,
        "state": judgement.state,
        "by": [*judgement.by],
    }


def diff(arguments: argparse.Namespace) -> Report:
    """Say in plain words what changed from one state of a network to another.

    Each state is verified at the time when its online signer confirmed it, so that an old one can still be read.
    """
    old, new = (_as_confirmed(path, arguments) for path in (arguments.old, arguments.new))
    changes = differences(old, new)
    moments = f"from {time_words(old.signed_at)} to {time_words(new.signed_at)}"
    lines = [f"{new.network.name} ({new.network.id}), {moments}: {len(changes)} changes."]
    lines += [f"  {change.topic:<12} {change.subject:<24} {change.text}" for change in changes]
    told: list[Json] = [change.to_json() for change in changes]
    data: JsonObject = {
        "network": new.network.id,
        "old": {"signed_at": old.signed_at, "targets": old.view.targets, "root": old.view.root},
        "new": {"signed_at": new.signed_at, "targets": new.view.targets, "root": new.view.root},
        "changes": told,
    }
    if old.signed_at > new.signed_at:
        lines.append("  ! The first state is the newer one.")
    return Report(data, tuple(lines), Exit.DONE)


def verify_split(arguments: argparse.Namespace) -> Report:
    """Check a kept split view again: two signed objects that give one number to two states."""
    root_sha256 = fingerprint(arguments)
    try:
        with arguments.file.open("rb") as file:
            data = file.read(PROOF_BYTES_MAX + 1)
    except OSError as error:
        raise BundleFileUnreadable(path=str(arguments.file), problem=error.strerror) from error
    proved = verify_split_view(data, root_sha256=root_sha256)
    lines = (
        f"Proved: there are two states of {proved.network} under the number {proved.snapshot}.",
        f"  {proved.organization} signed at {time_words(proved.attested_at)} that it believes",
        f"    {proved.attested_sha256}",
        f"  the online key of this network signed (confirmed {time_words(proved.signed_at)})",
        f"    {proved.signed_sha256}",
        "Either the online key signed both, or the organization attested a state that there is not. Ask both.",
    )
    return Report({"ok": True, **proved.to_json()}, lines)


def _as_confirmed(path: Path, arguments: argparse.Namespace) -> TrustedBundle:
    root_sha256 = fingerprint(arguments)
    files = read_bundle(path)
    return verify_bundle(files, root_sha256=root_sha256, at=confirmed_at(files))


def _at(arguments: argparse.Namespace) -> int:
    return int(time.time()) if arguments.at is None else read_time(arguments.at)


def summary(bundle: TrustedBundle) -> Report:
    """Return who is in the network, until when this holds, and every alarm."""
    view, reasons, now = bundle.view, suspension_reasons(bundle), bundle.verified_at
    members: list[Json] = [
        {
            "id": member.id,
            "kind": member.kind,
            "legal_name": member.legal_name,
            "country": member.country,
            "organization_type": member.organization_type,
            "endpoint": member.endpoint or None,
            "suspended": member.suspended,
            "suspension": _suspension(bundle, member.id, reasons),
            "unusable": bundle.unusable[member.id].code if member.id in bundle.unusable else None,
            "may_assert": member.may_assert.to_json(),
        }
        for member in bundle.members.values()
    ]
    data: JsonObject = {
        "network": {"id": bundle.network.id, "name": bundle.network.name},
        "root_sha256": bundle.root_sha256,
        "view": {
            "root": view.root,
            "targets": view.targets,
            "snapshot": view.snapshot,
            "timestamp": view.timestamp,
            "snapshot_sha256": view.snapshot_sha256,
        },
        "verified_at": bundle.verified_at,
        "signed_at": bundle.signed_at,
        "expires_at": bundle.expires_at,
        "minimum_cell": bundle.network.minimum_cell,
        "purposes": [*bundle.network.purposes],
        "statistics_revision": bundle.statistics.revision,
        "members": members,
        "findings": [finding.code for finding in bundle.findings],
        "deadlines": [deadline.to_json(now) for deadline in deadlines(bundle)],
    }
    lines = [
        f"{bundle.network.name} ({bundle.network.id})",
        f"  root fingerprint {bundle.root_sha256}",
        f"  signed {time_words(bundle.signed_at)}, valid until {time_words(bundle.expires_at)}",
        f"  at {time_words(bundle.verified_at)}: {countdown(bundle, bundle.verified_at)}",
        f"  root {view.root}, targets {view.targets}, snapshot {view.snapshot}, timestamp {view.timestamp}",
        *(f"  {_member_line(member, reasons)}" for member in bundle.members.values()),
        *(f"  ! {deadline.words(now)}: {deadline.remedy}" for deadline in due(bundle, now)),
    ]
    return Report(data, (*lines, *_alarms(bundle)))


def _suspension(bundle: TrustedBundle, org: OrgId, reasons: Mapping[OrgId, str]) -> Json:
    if org not in reasons:
        return None
    return {"version": bundle.memory.suspended[org], "reason": reasons[org] or None}


def _member_line(member: Member, reasons: Mapping[OrgId, str]) -> str:
    state = member.endpoint or "UNUSABLE"
    if member.suspended:
        state = f"SUSPENDED: {reasons.get(member.id) or 'no reason is listed'}"
    return f"{member.kind:<12} {member.id:<24} {member.legal_name} ({member.country}), {state}"


def _alarms(bundle: TrustedBundle) -> tuple[str, ...]:
    unusable = (f"  ! {error.code}: {error}" for error in bundle.unusable.values())
    return (*unusable, *(f"  ! {finding.code}: {finding}" for finding in bundle.findings))
