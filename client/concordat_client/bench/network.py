"""A network for a measurement: organizations with addresses, a coordinator, and real keys for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from concordat_trust.bundle import MayAssert, MemberPolicy, NetworkPolicy, TrustedBundle, verify_bundle
from concordat_trust.bundle.policy import MemberKind
from concordat_trust.bundle.repository import MemberKeys, MemberProfile, NetworkKeys, found_network
from concordat_trust.bundle.statement import USES_OF
from concordat_trust.directory import KeyUse
from concordat_trust.encoding import sha256_hex
from concordat_trust.ids import OrgId
from concordat_trust.jwk import SigningKey
from concordat_trust.public_statistics import public_statistics_file
from concordat_trust.vocabulary import PURPOSES, Clearance

NETWORK_ID = "bench"
RELAY = OrgId.parse("bench-relay")
CAPS = MayAssert(frozenset({"faculty"}), frozenset({"researcher"}), Clearance.CONTROLLED)


@dataclass(frozen=True, slots=True)
class BenchNetwork:
    """Everything that a process of a measurement needs; made of plain data, so that it can be handed over."""

    files: Mapping[str, bytes]
    root_sha256: str
    founded_at: int
    seeds: Mapping[OrgId, bytes]
    organizations: tuple[OrgId, ...]
    relay_endpoint: str

    def bundle(self) -> TrustedBundle:
        """Return the bundle, verified as everybody verifies it."""
        return verify_bundle(self.files, root_sha256=self.root_sha256, at=self.founded_at)

    @property
    def online(self) -> SigningKey:
        """The online signer's key."""
        return _key(_seed("online"), "online")

    @property
    def keyholder(self) -> SigningKey:
        """One keyholder's key."""
        return _key(_seed("keyholder 1"), "holder")

    def key(self, member: OrgId, use: KeyUse) -> SigningKey:
        return _key(self.seeds[member], use)


def organization_names(count: int) -> tuple[OrgId, ...]:
    """Return the ids of `count` organizations; the first is the home organization."""
    return tuple(OrgId.parse(f"bench-{number:03}") for number in range(count))


def found(endpoints: Mapping[OrgId, str], *, at: int) -> BenchNetwork:
    """Return a network of the organizations at `endpoints`, where the coordinator's is among them."""
    kinds: dict[OrgId, MemberKind] = {org: "coordinator" if org == RELAY else "organization" for org in endpoints}
    seeds = {org: _seed(org) for org in endpoints}
    keys = NetworkKeys(
        keyholders=tuple(_key(_seed(f"keyholder {number}"), "holder") for number in (1, 2, 3)),
        threshold=2,
        online=_key(_seed("online"), "online"),
        members={org: _member_keys(seeds[org], kind) for org, kind in kinds.items()},
    )
    profiles = {org: MemberProfile(org.replace("-", " ").title(), endpoint) for org, endpoint in endpoints.items()}
    files = found_network(_policy(kinds), profiles, keys, statistics=public_statistics_file(), at=at)
    organizations = tuple(org for org in endpoints if org != RELAY)
    return BenchNetwork(files, sha256_hex(files["1.root.json"]), at, seeds, organizations, endpoints[RELAY])


def _policy(kinds: Mapping[OrgId, MemberKind]) -> NetworkPolicy:
    return NetworkPolicy(
        id=NETWORK_ID,
        name="Measurement",
        minimum_cell=10,
        purposes=PURPOSES,
        bundle_age_max_s=600,
        members=tuple(MemberPolicy(org, kind, "NL", "nonprofit", CAPS) for org, kind in kinds.items()),
        reinstated={},
    )


def _member_keys(seed: bytes, kind: MemberKind) -> MemberKeys:
    return MemberKeys(entity=_key(seed, "entity"), uses={use: _key(seed, use) for use in USES_OF[kind]})


def _seed(name: str) -> bytes:
    return bytes.fromhex(sha256_hex(f"concordat bench: {name}".encode()))


def _key(seed: bytes, use: str) -> SigningKey:
    return SigningKey.from_seed(bytes.fromhex(sha256_hex(seed + use.encode())))


def endpoints_of(organizations: Sequence[OrgId], ports: Sequence[int], relay_port: int) -> dict[OrgId, str]:
    """Return where everybody is, all on this machine."""
    nodes = {org: f"http://127.0.0.1:{port}" for org, port in zip(organizations, ports, strict=True)}
    return {**nodes, RELAY: f"http://127.0.0.1:{relay_port}"}
