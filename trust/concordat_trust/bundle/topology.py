"""A network as its founders write it down before there are keys: the input of the ceremony.

One JSON object: `network` (id), `name`, `keyholders` (names), `threshold`, `coordinator` and `organizations`, each with
`id`, `legal_name`, `country`, `endpoint` and, for organizations, `organization_type`. `may_assert` holds for every
organization that has none of its own. Optional: `minimum_cell`, `purposes`, `bundle_age_max_s`. An unknown field is
refused, because a misspelt cap must not leave another one in force; who keeps more in the same file hands over what is
named in `FIELDS` and `MEMBER_FIELDS` only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from concordat_trust.bundle.errors import TopologyInvalid
from concordat_trust.bundle.metadata import KEYHOLDER_THRESHOLD_MIN
from concordat_trust.bundle.policy import (
    MayAssert,
    MemberKind,
    MemberPolicy,
    NetworkPolicy,
    parse_network,
    read_may_assert,
)
from concordat_trust.bundle.repository import MemberKeys, MemberProfile, NetworkKeys
from concordat_trust.bundle.statement import USES_OF, read_endpoint
from concordat_trust.canonical import parse_object
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.jwk import SigningKey
from concordat_trust.shape import Shape
from concordat_trust.vocabulary import ORGANIZATION_TYPES, PURPOSES, Clearance

TOPOLOGY_BYTES_MAX = 1_000_000
KEYHOLDERS_MAX = 16
MINIMUM_CELL = 10
BUNDLE_AGE_MAX_S = 600
FIELDS = (
    *("network", "name", "keyholders", "threshold", "coordinator", "organizations", "may_assert"),
    *("minimum_cell", "purposes", "bundle_age_max_s"),
)
MEMBER_FIELDS = ("id", "legal_name", "country", "endpoint", "organization_type", "may_assert")
NO_CLAIMS = MayAssert(affiliations=frozenset(), roles=frozenset(), clearance_max=Clearance.PUBLIC)


@dataclass(frozen=True, slots=True)
class Topology:
    """What the founders agreed on: the policy to be signed, what members say of themselves, and who holds the keys."""

    policy: NetworkPolicy
    profiles: Mapping[OrgId, MemberProfile]
    keyholders: tuple[OrgId, ...]
    threshold: int


def parse_topology(data: bytes) -> Topology:
    """Return the topology. Raises: TopologyInvalid, naming the field."""
    try:
        topology = _topology(Shape(parse_object(data, bytes_max=TOPOLOGY_BYTES_MAX), "topology"))
        parse_network(topology.policy.to_bytes())
    except RefusedDocument as error:
        raise TopologyInvalid(problem=error.message.rstrip(".")) from error
    return topology


@dataclass(frozen=True, slots=True)
class Founders:
    """What keyholders in different places agree on before anybody is a member."""

    policy: NetworkPolicy
    threshold: int


def parse_founders(data: bytes) -> Founders:
    """Return the rules of a network that is founded apart: a topology without members and without keyholders' names.

    Raises: TopologyInvalid, naming the field.
    """
    try:
        shape = Shape(parse_object(data, bytes_max=TOPOLOGY_BYTES_MAX), "topology")
        policy = _policy(shape, ())
        threshold = shape.integer("threshold", minimum=KEYHOLDER_THRESHOLD_MIN, maximum=KEYHOLDERS_MAX)
        shape.finish()
        parse_network(policy.to_bytes())
    except RefusedDocument as error:
        raise TopologyInvalid(problem=error.message.rstrip(".")) from error
    return Founders(policy, threshold)


def make_keys(topology: Topology, new_key: Callable[[], SigningKey]) -> NetworkKeys:
    """Return a new key for every keyholder, the online signer and every use of every member."""
    return NetworkKeys(
        keyholders=tuple(new_key() for _ in topology.keyholders),
        threshold=topology.threshold,
        online=new_key(),
        members={
            member.id: MemberKeys(entity=new_key(), uses={use: new_key() for use in USES_OF[member.kind]})
            for member in topology.policy.members
        },
    )


def _topology(shape: Shape) -> Topology:
    keyholders = tuple(OrgId.parse(name) for name in shape.texts("keyholders", count_max=KEYHOLDERS_MAX))
    if len(set(keyholders)) != len(keyholders) or len(keyholders) < KEYHOLDER_THRESHOLD_MIN:
        raise shape.refuse("keyholders", "does not name two or more different keyholders")
    shared = read_may_assert(shape.object("may_assert")) if shape.has("may_assert") else None
    members: list[MemberPolicy] = []
    profiles: dict[OrgId, MemberProfile] = {}
    for entry in shape.objects("organizations"):
        members.append(_organization(entry, shared))
        profiles[members[-1].id] = _profile(entry, members[-1].id)
        entry.finish()
    coordinator = shape.object("coordinator")
    members.append(_member(coordinator, "coordinator", "nonprofit", NO_CLAIMS))
    profiles[members[-1].id] = _profile(coordinator, members[-1].id)
    coordinator.finish()
    if len(profiles) != len(members):
        raise shape.refuse("organizations", "lists a member twice")
    if len({profile.endpoint.partition("://")[2] for profile in profiles.values()}) != len(members):
        raise shape.refuse("organizations", "gives two members the same host and port")
    written = Topology(
        policy=_policy(shape, members),
        profiles=profiles,
        keyholders=keyholders,
        threshold=shape.integer("threshold", minimum=KEYHOLDER_THRESHOLD_MIN, maximum=len(keyholders)),
    )
    shape.finish()
    return written


def _policy(shape: Shape, members: Sequence[MemberPolicy]) -> NetworkPolicy:
    return NetworkPolicy(
        id=shape.text("network"),
        name=shape.text("name", length_min=1, length_max=200),
        minimum_cell=shape.integer("minimum_cell") if shape.has("minimum_cell") else MINIMUM_CELL,
        purposes=shape.texts("purposes") if shape.has("purposes") else PURPOSES,
        bundle_age_max_s=shape.integer("bundle_age_max_s") if shape.has("bundle_age_max_s") else BUNDLE_AGE_MAX_S,
        members=tuple(members),
        reinstated={},
    )


def _organization(entry: Shape, shared: MayAssert | None) -> MemberPolicy:
    # No default widens access: an organization without caps, in a topology without any, may assert nothing.
    own = read_may_assert(entry.object("may_assert")) if entry.has("may_assert") else shared
    kind = entry.one_of("organization_type", ORGANIZATION_TYPES)
    return _member(entry, "organization", kind, NO_CLAIMS if own is None else own)


def _member(entry: Shape, kind: MemberKind, organization_type: str, may_assert: MayAssert) -> MemberPolicy:
    return MemberPolicy(
        id=OrgId.parse(entry.text("id")),
        kind=kind,
        country=entry.text("country"),
        organization_type=organization_type,
        may_assert=may_assert,
    )


def _profile(entry: Shape, member: OrgId) -> MemberProfile:
    return MemberProfile(
        legal_name=entry.text("legal_name", length_min=1, length_max=200),
        endpoint=read_endpoint(entry.text("endpoint"), member),
    )
