"""A network that lives: founded by keyholders apart, joined by invitation, with a clock that a test moves.

Each party's keys are its own; the only things that pass between parties are the bytes of files. Keys come from names,
so that two runs are the same.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from concordat_trust.bundle import TrustedBundle, verify_bundle
from concordat_trust.bundle.life.application import apply, apply_for_key
from concordat_trust.bundle.life.approval import Approval, parse_approval, sign_documents
from concordat_trust.bundle.life.change import Kind, prepare, propose
from concordat_trust.bundle.life.founding import Founding, prepare_founding
from concordat_trust.bundle.life.invitation import Invitation, invite
from concordat_trust.bundle.life.membership import State, standing
from concordat_trust.bundle.life.own_role import OwnKeys, rotate
from concordat_trust.bundle.life.parts import PublicPart, make_part, parse_part
from concordat_trust.bundle.life.publishing import (
    complete,
    complete_founding,
    complete_own_role,
    own_role,
    parse_own_role,
    require_network,
)
from concordat_trust.bundle.life.rehearsal import rehearse
from concordat_trust.bundle.life.self_test import CHECK_NAMES, Check
from concordat_trust.bundle.policy import MemberKind, MemberPolicy, NetworkPolicy
from concordat_trust.bundle.renewal import renew
from concordat_trust.bundle.statement import USES_OF
from concordat_trust.bundle.suspension import suspend
from concordat_trust.canonical import canonical_bytes
from concordat_trust.encoding import sha256_hex
from concordat_trust.ids import OrgId
from concordat_trust.jwk import Signer, SigningKey
from concordat_trust.vocabulary import PURPOSES
from tests.factories.network import CAPS, NOW, make_key, small_statistics

NETWORK = "pilot"
MIRROR = "https://trust.example/"


def part(name: str, key: SigningKey | None = None) -> PublicPart:
    """Return the public part of a keyholder as it travels: as bytes."""
    made = make_part(OrgId(name), "keyholder", make_key(name) if key is None else key)
    return parse_part(canonical_bytes(made.to_json()))


def founding(*, threshold: int = 2, names: Sequence[str] = ("one-one", "two-two", "three-three")) -> Founding:
    policy = NetworkPolicy(NETWORK, "A pilot", 10, PURPOSES, 600, (), {})
    online = make_part(OrgId("online"), "online", make_key("online"))
    parts = tuple(part(name) for name in names)
    return Founding(policy, threshold, parts, online, sha256_hex(small_statistics()), NOW)


def own_keys(member: str, kind: MemberKind = "organization", generation: int = 1) -> OwnKeys:
    uses = {use: make_key(f"{member}/{use}/{generation}") for use in USES_OF[kind]}
    return OwnKeys(make_key(f"{member}/entity/{generation}"), uses)


def passed(party: str = "north-hospital") -> tuple[Check, ...]:
    return tuple(Check(OrgId(party), name, True, "as it should be") for name in CHECK_NAMES)


def member_policy(member: str, kind: MemberKind = "organization") -> MemberPolicy:
    return MemberPolicy(OrgId(member), kind, "DE", "public", CAPS)


@dataclass
class World:
    """The repository, and the keys of whoever acts; `at` moves with every act."""

    holders: dict[str, SigningKey] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    root_sha256: str = ""
    at: int = NOW
    generation: int = 1
    _verified: tuple[object, TrustedBundle] | None = None

    def bundle(self) -> TrustedBundle:
        """Return the verified state; verified once for one state and time."""
        seen = (self.at, self.files["timestamp.json"], len(self.files))
        if self._verified is None or self._verified[0] != seen:
            self._verified = seen, verify_bundle(self.files, root_sha256=self.root_sha256, at=self.at)
        return self._verified[1]

    def take(self, files: dict[str, bytes]) -> None:
        """Put files into the repository; the online signer takes them up a second later."""
        self.files |= files
        self.at += 1
        self.refresh()

    def refresh(self) -> None:
        self.files |= renew(self.files, online=make_key("online"), at=self.at)

    def state(self, member: str) -> State:
        return standing(self.bundle(), OrgId(member))

    def invite(self, member: str, *, by: str = "one-one", kind: MemberKind = "organization") -> Invitation:
        return invite(
            self.bundle(),
            OrgId(member),
            kind=kind,
            mirrors=[MIRROR],
            keyholder=self.holders[by],
            nonce=f"nonce-of-{member}-{self.at}".ljust(22, "-"),
            at=self.at,
        )

    def apply(self, member: str, invitation: Invitation, *, keys: OwnKeys | None = None) -> bytes:
        bundle = self.bundle()
        return apply(
            bundle,
            invitation,
            member_policy(member, invitation.kind),
            legal_name=member.title(),
            endpoint=f"https://{member}.example",
            contact="office@example.org",
            keys=own_keys(member, invitation.kind, self.generation) if keys is None else keys,
            self_test=passed() if bundle.organizations else (),
            at=self.at,
        )

    def apply_for_key(self, member: str, *, generation: int) -> bytes:
        keys = own_keys(member, generation=generation)
        return apply_for_key(self.bundle(), OrgId(member), keys=keys, contact="", at=self.at)

    def propose(self, kind: Kind, *, by: str = "one-one", **about: Any) -> Approval:
        """Return the first keyholder's approval of a new proposal."""
        bundle = self.bundle()
        prepared = propose(bundle, kind, at=self.at, **about)
        rehearse(bundle, prepared, at=self.at)
        signatures = sign_documents(prepared.documents, self.holders[by])
        return parse_approval(Approval(NETWORK, self.root_sha256, prepared.change, signatures).to_bytes())

    def approve(self, first: Approval, *, by: str | Signer) -> Approval:
        """Return a further keyholder's approval of the same, from the own verified bundle."""
        bundle = self.bundle()
        prepared = prepare(bundle, require_network(bundle, first), at=self.at)
        rehearse(bundle, prepared, at=self.at)
        key = self.holders[by] if isinstance(by, str) else by
        signatures = sign_documents(prepared.documents, key)
        return parse_approval(Approval(NETWORK, self.root_sha256, first.change, signatures).to_bytes())

    def publish(self, *approvals: Approval) -> None:
        _, files = complete(self.bundle(), approvals, at=self.at)
        self.take(files)

    def by_quorum(self, kind: Kind, **about: Any) -> None:
        first = self.propose(kind, **about)
        self.publish(first, self.approve(first, by="two-two"))

    def admit(self, member: str, *, kind: MemberKind = "organization") -> None:
        application = self.apply(member, self.invite(member, kind=kind))
        self.by_quorum("admit", member=OrgId(member), application=application)

    def rotate(self, member: str, *, generation: int, entity: int = 1, **changes: Any) -> None:
        new = own_keys(member, generation=generation)
        key = own_keys(member, generation=entity).entity
        files = rotate(self.bundle(), OrgId(member), entity=key, new=new.uses, at=self.at, **changes)
        told = parse_own_role(own_role(self.bundle(), OrgId(member), files).to_bytes())
        self.take(complete_own_role(self.bundle(), told, at=self.at))

    def suspend(self, member: str, *, by: str = "three-three") -> None:
        signed = suspend(
            self.files,
            root_sha256=self.root_sha256,
            organization=OrgId(member),
            reason="A test's reason.",
            keyholder=self.holders[by],
            at=self.at,
        )
        self.take(signed.files)


def found(names: Sequence[str] = ("one-one", "two-two", "three-three"), *, signers: int = 2) -> World:
    """Return a network without members, founded by the first `signers` keyholders."""
    world = World({name: make_key(name) for name in names})
    plan, statistics = founding(names=names), small_statistics()
    approvals = []
    for name in names[:signers]:
        prepared = prepare_founding(plan, statistics=statistics, at=world.at)
        signatures = sign_documents(prepared.documents, world.holders[name])
        approvals.append(parse_approval(Approval(NETWORK, None, plan, signatures).to_bytes()))
    _, files = complete_founding(approvals, statistics=statistics, at=world.at)
    world.root_sha256 = sha256_hex(files["1.root.json"])
    world.take(files)
    return world


def living(*members: str) -> World:
    """Return a network with these members."""
    made = _living(members or ("north-hospital", "vitalis"))
    return World(dict(made.holders), dict(made.files), made.root_sha256, made.at)


@functools.cache
def _living(members: tuple[str, ...]) -> World:
    world = found()
    for member in members:
        world.admit(member)
    return world
