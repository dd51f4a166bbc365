"""The verified state of a network. Only `verify_bundle` makes one, so whoever holds one may believe it.

A `TrustedBundle` satisfies `directory.KeyDirectory`. It never changes; a newer state is a new object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from concordat_trust.bundle.memory import BundleMemory
from concordat_trust.bundle.policy import MayAssert, MemberKind, NetworkPolicy
from concordat_trust.directory import KeyUnknown, KeyUse, MemberUnknown, OrganizationSuspended
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.text import TermStatistics
from concordat_trust.visa_issuer import PublishedIssuer, VisaIssuer, VisaIssuers

VERIFIED: Final = object()  # handed over by verify_bundle alone; a bundle made elsewhere is a bug

CLOCK_DIFFERENCE_MAX_S: Final = 120
AGE_UNKNOWN_S: Final = 2**31


@dataclass(frozen=True, slots=True)
class Member:
    """One organization or coordinator; a member whose statement is unusable has the endpoint ""."""

    id: OrgId
    kind: MemberKind
    legal_name: str
    country: str
    organization_type: str
    endpoint: str
    may_assert: MayAssert
    suspended: bool
    keys: Mapping[KeyUse, Mapping[KeyId, Ed25519PublicKey]]
    sealing: str = ""
    """The public key to which others seal what this node alone may read; "" when its statement has none."""
    visa_issuer: PublishedIssuer | None = None


@dataclass(frozen=True, slots=True)
class BundleView:
    """The versions that identify this state; every attestation carries them."""

    root: int
    targets: int
    snapshot: int
    timestamp: int
    snapshot_sha256: str


@dataclass(frozen=True, slots=True)
class TrustedBundle:
    """What every party of the network agrees on at one moment.

    `organizations` are those that can be asked: sorted, without coordinators, suspended, removed and unusable members.
    `unusable` says why a listed member cannot be asked. `findings` are alarms that do not refuse the bundle.
    `files` are exactly the files that were verified, under client names: the content of an archive.
    `signed_at` is when the online signer last confirmed this state; `verified_at` the time of verification.
    """

    network: NetworkPolicy
    view: BundleView
    root_sha256: str
    verified_at: int
    signed_at: int
    expires_at: int
    organizations: tuple[OrgId, ...]
    coordinators: tuple[OrgId, ...]
    members: Mapping[OrgId, Member]
    request_owners: Mapping[KeyId, OrgId]
    unusable: Mapping[OrgId, RefusedDocument]
    findings: tuple[RefusedDocument, ...]
    statistics: TermStatistics
    memory: BundleMemory
    files: Mapping[str, bytes]
    seal: InitVar[object]  # an InitVar, so that dataclasses.replace cannot carry it over

    def __post_init__(self, seal: object) -> None:
        if seal is not VERIFIED:
            raise RuntimeError("only verify_bundle makes a TrustedBundle")

    def member(self, org: OrgId, /) -> Member:
        """Return the member, suspended or not. Raises: MemberUnknown."""
        member = self.members.get(org)
        if member is None:
            raise MemberUnknown(organization=org)
        return member

    @property
    def untrusted(self) -> Mapping[OrgId, RefusedDocument]:
        """Return the organizations in good standing that cannot be asked, and what is wrong with their statement."""
        members = (self.members[org] for org in sorted(self.unusable))
        return {m.id: self.unusable[m.id] for m in members if m.kind == "organization" and not m.suspended}

    @property
    def roster(self) -> tuple[OrgId, ...]:
        """Return whom an answer of this network accounts for, sorted: all organizations that are not suspended."""
        return tuple(sorted({*self.organizations, *self.untrusted}))

    @property
    def visa_issuers(self) -> VisaIssuers:
        """Return who signs visas: by issuer address all members that claim it, in the order of their admission."""
        issuers: dict[str, tuple[VisaIssuer, ...]] = {}
        usable = set(self.organizations)
        for policy in self.network.members:
            published = self.members[policy.id].visa_issuer if policy.id in usable else None
            if published is not None:
                issuers[published.issuer] = (*issuers.get(published.issuer, ()), published.of(policy.id))
        return issuers

    def key(self, org: OrgId, use: KeyUse, key_id: KeyId, /) -> Ed25519PublicKey:
        """Return the key that `org` lists for `use`. Raises: MemberUnknown, OrganizationSuspended, KeyUnknown."""
        member = self.member(org)
        if member.suspended:
            raise OrganizationSuspended(organization=org)
        key = member.keys.get(use, {}).get(key_id)
        if key is None:
            raise KeyUnknown(organization=org, use=use)
        return key

    def request_key_owner(self, key_id: KeyId, /) -> Member:
        """Return who signs requests with this key. Raises: KeyUnknown, OrganizationSuspended."""
        owner = self.request_owners.get(key_id)
        if owner is None:
            raise KeyUnknown(organization="nobody", use="request")
        member = self.member(owner)
        if member.suspended:
            raise OrganizationSuspended(organization=owner)
        return member

    def age_s(self, now: int) -> int:
        """Return how long ago the online signer confirmed this state; never negative.

        A confirmation dated further ahead than clocks differ says nothing of the age: whoever held the online key once
        could keep a state young with it. It counts as older than anything (AGE_UNKNOWN_S).
        """
        if self.signed_at - now > CLOCK_DIFFERENCE_MAX_S:
            return AGE_UNKNOWN_S
        return max(0, now - self.signed_at)
