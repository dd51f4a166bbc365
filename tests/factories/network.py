"""A whole network with its keys, the same every time: `make_network()` is what every other test starts from.

Keys come from the hash of their name, times from `NOW`, so that two runs give the same bytes. `founded` is the state
before verification, for tests that change something and sign again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from concordat_trust.bundle import MayAssert, MemberPolicy, NetworkPolicy, TrustedBundle, verify_bundle
from concordat_trust.bundle.policy import MemberKind
from concordat_trust.bundle.repository import MemberKeys, MemberProfile, NetworkKeys, found_network
from concordat_trust.bundle.statement import USES_OF
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.directory import KeyUse
from concordat_trust.encoding import sha256_hex
from concordat_trust.ids import OrgId
from concordat_trust.jwk import SigningKey
from concordat_trust.text import ANALYSER, STATISTICS_VERSION, stem
from concordat_trust.vocabulary import PURPOSES, Clearance

NOW = 1_800_000_000
ORGANIZATIONS = ("north-hospital", "alma-university", "vitalis")
COORDINATOR = "relay-one"
NETWORK_ID = "health-research-demo"

_COUNTRIES = {"north-hospital": "DE", "alma-university": "FR", "vitalis": "DE"}
_TYPES = {"north-hospital": "public", "alma-university": "nonprofit", "vitalis": "commercial"}
_NAMES = {
    "north-hospital": "North Hospital",
    "alma-university": "Alma University",
    "vitalis": "Vitalis AG",
    "relay-one": "Relay One",
}
CAPS = MayAssert(
    affiliations=frozenset({"faculty", "researcher", "student", "staff"}),
    roles=frozenset({"researcher", "analyst", "investigator", "guest"}),
    clearance_max=Clearance.RESTRICTED,
)


@dataclass(frozen=True, slots=True)
class TestNetwork:
    """`bundle` verified from `files` and `root_sha256`; `keys[member][use]` are the private operational keys."""

    __test__ = False

    bundle: TrustedBundle
    root_sha256: str
    files: Mapping[str, bytes]
    keys: Mapping[OrgId, Mapping[KeyUse, SigningKey]]
    signing: NetworkKeys
    policy: NetworkPolicy
    profiles: Mapping[OrgId, MemberProfile]
    statistics: bytes


def make_key(name: str) -> SigningKey:
    """Return the signing key of a name, the same every time."""
    return SigningKey.from_seed(hashlib.sha256(f"concordat test key: {name}".encode()).digest())


def make_network(
    organizations: Sequence[str] = ORGANIZATIONS,
    coordinator: str = COORDINATOR,
    *,
    at: int = NOW,
    endpoints: Mapping[str, str] | None = None,
    statistics: bytes | None = None,
    minimum_cell: int = 10,
    may_assert: Mapping[str, MayAssert] | None = None,
    visa_issuers: Mapping[str, JsonObject] | None = None,
) -> TestNetwork:
    """Return a network of `organizations` and one coordinator, founded and verified at `at`."""
    members: dict[OrgId, MemberKind] = {OrgId.parse(org): "organization" for org in organizations}
    members[OrgId.parse(coordinator)] = "coordinator"
    endpoints = endpoints or {}
    profiles = {
        m: MemberProfile(
            _NAMES.get(m, m.replace("-", " ").title()),
            endpoints.get(m, f"https://{m}.example"),
            (visa_issuers or {}).get(m),
        )
        for m in members
    }
    policy = NetworkPolicy(
        id=NETWORK_ID,
        name="Health research demo",
        minimum_cell=minimum_cell,
        purposes=PURPOSES,
        bundle_age_max_s=600,
        members=tuple(_member(m, kind, (may_assert or {}).get(m, CAPS)) for m, kind in members.items()),
        reinstated={},
    )
    signing = NetworkKeys(
        keyholders=tuple(make_key(f"keyholder-{i}") for i in (1, 2, 3)),
        threshold=2,
        online=make_key("online"),
        members={m: make_member_keys(m, kind) for m, kind in members.items()},
    )
    table = small_statistics() if statistics is None else statistics
    files = found_network(policy, profiles, signing, statistics=table, at=at)
    root_sha256 = sha256_hex(files["1.root.json"])
    return TestNetwork(
        bundle=verify_bundle(files, root_sha256=root_sha256, at=at),
        root_sha256=root_sha256,
        files=files,
        keys={m: dict(signing.members[m].uses) for m in members},
        signing=signing,
        policy=policy,
        profiles=profiles,
        statistics=table,
    )


def make_member_keys(member: str, kind: MemberKind, generation: int = 1) -> MemberKeys:
    """Return the keys of a member; another generation is a rotation."""
    uses = {use: make_key(f"{member}/{use}/{generation}") for use in USES_OF[kind]}
    return MemberKeys(entity=make_key(f"{member}/entity"), uses=uses)


def _member(member: OrgId, kind: MemberKind, caps: MayAssert) -> MemberPolicy:
    return MemberPolicy(
        id=member,
        kind=kind,
        country=_COUNTRIES.get(member, "DE"),
        organization_type=_TYPES.get(member, "nonprofit"),
        may_assert=caps,
    )


def small_statistics() -> bytes:
    """Return a small public table of term statistics: common words weigh little, an unseen one most."""
    common = (
        "clinical", "trial", "data", "model", "image", "patient", "study", "cancer", "heart", "diabetes", "breast",
        "wine", "digit", "iris", "risk",
    )  # fmt: skip
    return canonical_bytes(
        {
            "statistics_version": STATISTICS_VERSION,
            "analyser": ANALYSER,
            "documents": 1_000,
            "k1_thousandths": 1_200,
            "fields": {
                "title": {"weight": 2, "b_thousandths": 500, "average_length_thousandths": 6_000},
                "text": {"weight": 1, "b_thousandths": 750, "average_length_thousandths": 60_000},
            },
            "stop_words": ["a", "an", "and", "for", "in", "of", "on", "the", "to", "with"],
            "terms": {stem(word): 40 + 8 * i for i, word in enumerate(common)},
            "unseen_weight": 208,
        }
    )
