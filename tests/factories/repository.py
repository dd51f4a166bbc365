"""A repository that a test can break in one place and sign again with whatever keys it gives.

`edit` changes signed metadata in place and signs it with the keys named; nothing else is repaired, so every test says
itself which keys its attacker holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from concordat_trust.bundle import BundleMemory, NetworkPolicy, TrustedBundle, verify_bundle
from concordat_trust.bundle.policy import MemberPolicy
from concordat_trust.bundle.renewal import OnlineLifetimes, renew
from concordat_trust.bundle.repository import (
    MemberKeys,
    NetworkKeys,
    sign_member,
    sign_root,
    sign_suspended,
    sign_targets,
)
from concordat_trust.bundle.signing import expiry, sign_metadata
from concordat_trust.bundle.tuf_api import Metadata, MetaFile
from concordat_trust.ids import OrgId
from concordat_trust.jwk import SigningKey
from tests.factories.network import NOW, TestNetwork, make_network

_NETWORK = make_network()


class Repository:
    """The files of a network and the keys of everybody; starts as an honest network, founded at NOW."""

    def __init__(self, network: TestNetwork = _NETWORK) -> None:
        self.network = network
        self.keys: NetworkKeys = network.signing
        self.policy: NetworkPolicy = network.policy
        self.files: dict[str, bytes] = dict(network.files)
        self.root_sha256 = network.root_sha256

    @property
    def quorum(self) -> Sequence[SigningKey]:
        return self.keys.keyholders[: self.keys.threshold]

    def verify(self, *, at: int = NOW, memory: BundleMemory | None = None) -> TrustedBundle:
        return verify_bundle(self.files, root_sha256=self.root_sha256, at=at, memory=memory)

    def edit(self, name: str, change: Callable[[Any], object], *, signers: Sequence[SigningKey]) -> None:
        """Change the signed part of the metadata file `name` and sign it with exactly `signers`."""
        metadata: Metadata[Any] = Metadata.from_bytes(self.files[name])
        change(metadata.signed)
        self.files[name] = sign_metadata(metadata.signed, signers)

    def edit_online(self, change: Callable[[Any], object], *, name: str = "1.snapshot.json") -> None:
        """Change a snapshot with the online key, and make the timestamp fit it."""
        self.edit(name, change, signers=[self.keys.online])
        version = int(name.partition(".")[0])
        meta = MetaFile.from_data(version, self.files[name], ["sha256"])
        self.edit("timestamp.json", lambda t: setattr(t, "snapshot_meta", meta), signers=[self.keys.online])

    def renew(self, at: int, *, timestamp_s: int = 3_600, snapshot_s: int = 604_800) -> None:
        """Let the online signer do its work."""
        lifetimes = OnlineLifetimes(timestamp_s=timestamp_s, snapshot_s=snapshot_s)
        self.files |= renew(self.files, online=self.keys.online, at=at, lifetimes=lifetimes)

    def publish_targets(
        self,
        version: int,
        *,
        at: int = NOW,
        policy: NetworkPolicy | None = None,
        signers: Sequence[SigningKey] | None = None,
        entities: Mapping[OrgId, Sequence[SigningKey]] | None = None,
    ) -> None:
        """Let keyholders sign the targets role (again)."""
        self.policy = self.policy if policy is None else policy
        listed = {m.id: (self.keys.members[m.id].entity,) for m in self.policy.members}
        self.files |= sign_targets(
            self.policy,
            listed | dict(entities or {}),
            statistics=self.network.statistics,
            keyholders=self.keys.keyholders,
            signers=self.quorum if signers is None else signers,
            version=version,
            at=at,
        )

    def publish_root(self, version: int, keys: NetworkKeys, *, signers: Sequence[SigningKey], at: int = NOW) -> None:
        """Let keyholders sign a new root for `keys`, which are the keys from now on."""
        self.files |= sign_root(keys, signers=signers, version=version, at=at)
        self.keys = keys

    def publish_suspended(
        self, suspended: Mapping[str, int], version: int, *, at: int = NOW, signer: SigningKey | None = None
    ) -> None:
        """Let one keyholder publish the list of suspensions."""
        self.files |= sign_suspended(
            {OrgId(org): v for org, v in suspended.items()},
            signer=self.keys.keyholders[2] if signer is None else signer,
            version=version,
            at=at,
        )

    def publish_member(self, member: str, version: int, *, at: int = NOW, keys: MemberKeys | None = None) -> None:
        """Let a member publish its statement (again)."""
        policy = self.member(member)
        own = self.keys.members[policy.id] if keys is None else keys
        self.files |= sign_member(policy, self.network.profiles[policy.id], own, version=version, at=at)

    def member(self, member: str) -> MemberPolicy:
        return next(m for m in self.policy.members if m.id == member)

    def entity(self, member: str) -> SigningKey:
        return self.keys.members[OrgId(member)].entity


def expires(at: int) -> Callable[[Any], None]:
    """Return the change that lets metadata expire at `at`."""

    def change(signed: Any) -> None:
        signed.expires = expiry(at, 0)

    return change
