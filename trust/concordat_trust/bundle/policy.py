"""The documents that the keyholders sign: the network policy and the list of suspensions.

`network.json` is signed by the quorum (targets role): who is a member, what each may assert, the smallest number that
may be shown, and who was reinstated. `suspended.json` is signed by one keyholder (suspended role). Unknown fields are
kept by whoever stores the bytes and ignored here, so that a later release can add some.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from concordat_trust.bundle.errors import BundleMalformed
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.shape import Shape
from concordat_trust.vocabulary import ORGANIZATION_TYPES, PURPOSES, Clearance

MemberKind = Literal["organization", "coordinator"]
MEMBER_KINDS: tuple[MemberKind, ...] = get_args(MemberKind)
RESERVED_IDS = frozenset({"root", "targets", "snapshot", "timestamp", "suspended", "network", "statistics"})

MEMBERS_MAX = 1_000
NETWORK_BYTES_MAX = 1_000_000
SUSPENDED_BYTES_MAX = 2_000_000
"""A list of MEMBERS_MAX, each with the longest reason."""
MINIMUM_CELL_MIN, MINIMUM_CELL_MAX = 2, 1_000
BUNDLE_AGE_MIN_S, BUNDLE_AGE_MAX_S = 60, 86_400
CLAIM_VALUES_MAX = 50
_NETWORK_ID = re.compile(r"[a-z][a-z0-9-]{2,63}")
_COUNTRY = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True, slots=True)
class MayAssert:
    """The claims about its own people that a member's tokens may carry; empty means none."""

    affiliations: frozenset[str]
    roles: frozenset[str]
    clearance_max: Clearance
    acr_values: frozenset[str] = frozenset()
    """How a person may have been recognised (`acr`), as far as the network believes this member."""

    def to_json(self) -> JsonObject:
        told: JsonObject = {
            "affiliations": [*sorted(self.affiliations)],
            "roles": [*sorted(self.roles)],
            "clearance_max": int(self.clearance_max),
        }
        return told | ({"acr_values": [*sorted(self.acr_values)]} if self.acr_values else {})


@dataclass(frozen=True, slots=True)
class MemberPolicy:
    """What the quorum says of a member, whatever the member says of itself."""

    id: OrgId
    kind: MemberKind
    country: str
    organization_type: str
    may_assert: MayAssert

    def to_json(self) -> JsonObject:
        return {
            "id": self.id,
            "kind": self.kind,
            "country": self.country,
            "organization_type": self.organization_type,
            "may_assert": self.may_assert.to_json(),
        }


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """The rules of one network; `members` in the order in which the keyholders admitted them."""

    id: str
    name: str
    minimum_cell: int
    purposes: tuple[str, ...]
    bundle_age_max_s: int
    members: tuple[MemberPolicy, ...]
    reinstated: Mapping[OrgId, int]

    def to_bytes(self) -> bytes:
        """Return the canonical `network.json`."""
        return canonical_bytes(self.to_json())

    def to_json(self) -> JsonObject:
        return {
            "network_version": 1,
            "id": self.id,
            "name": self.name,
            "minimum_cell": self.minimum_cell,
            "purposes": list(self.purposes),
            "bundle_age_max_s": self.bundle_age_max_s,
            "members": [m.to_json() for m in self.members],
            "reinstated": [
                {"organization": org, "suspended_version": version} for org, version in sorted(self.reinstated.items())
            ],
        }


def parse_network(data: bytes) -> NetworkPolicy:
    """Return the network policy. Raises: BundleMalformed."""
    try:
        return _network(Shape(parse_object(data, bytes_max=NETWORK_BYTES_MAX), "network.json"))
    except RefusedDocument as error:
        raise BundleMalformed(document="network.json", problem=error.message.rstrip(".")) from error


def _network(shape: Shape) -> NetworkPolicy:
    shape.integer("network_version", minimum=1, maximum=1)
    network_id = shape.text("id")
    if not _NETWORK_ID.fullmatch(network_id):
        raise shape.refuse("id", "is not a network id")
    purposes = shape.texts("purposes", count_max=len(PURPOSES))
    if not purposes or len(set(purposes)) != len(purposes) or not set(purposes) <= set(PURPOSES):
        raise shape.refuse("purposes", "is not a list of different purpose codes")
    members = tuple(parse_member(m) for m in shape.objects("members", count_max=MEMBERS_MAX))
    if len({m.id for m in members}) != len(members):
        raise shape.refuse("members", "lists a member twice")
    return NetworkPolicy(
        id=network_id,
        name=shape.text("name", length_min=1, length_max=200),
        minimum_cell=shape.integer("minimum_cell", minimum=MINIMUM_CELL_MIN, maximum=MINIMUM_CELL_MAX),
        purposes=purposes,
        bundle_age_max_s=shape.integer("bundle_age_max_s", minimum=BUNDLE_AGE_MIN_S, maximum=BUNDLE_AGE_MAX_S),
        members=members,
        reinstated=_versions(shape, "reinstated"),
    )


def parse_member(shape: Shape) -> MemberPolicy:
    """Return one entry of `members`. Raises: DocumentMalformed, OrganizationIdInvalid."""
    member = OrgId.parse(shape.text("id"))
    if member in RESERVED_IDS:
        raise shape.refuse("id", "is a reserved name")
    country = shape.text("country")
    if not _COUNTRY.fullmatch(country):
        raise shape.refuse("country", "is not a two-letter country code")
    kind = shape.one_of("kind", MEMBER_KINDS)
    return MemberPolicy(
        id=member,
        kind="coordinator" if kind == "coordinator" else "organization",
        country=country,
        organization_type=shape.one_of("organization_type", ORGANIZATION_TYPES),
        may_assert=read_may_assert(shape.object("may_assert")),
    )


def read_may_assert(shape: Shape) -> MayAssert:
    """Return the caps; what is not there is nothing, because no default may widen them. Raises: DocumentMalformed."""
    acr_values = (
        shape.texts("acr_values", count_max=CLAIM_VALUES_MAX, length_max=200) if shape.has("acr_values") else ()
    )
    return MayAssert(
        affiliations=frozenset(shape.texts("affiliations", count_max=CLAIM_VALUES_MAX, length_max=100)),
        roles=frozenset(shape.texts("roles", count_max=CLAIM_VALUES_MAX, length_max=100)),
        clearance_max=Clearance(shape.integer("clearance_max", minimum=min(Clearance), maximum=max(Clearance))),
        acr_values=frozenset(acr_values),
    )


def suspended_bytes(suspended: Mapping[OrgId, int], reasons: Mapping[OrgId, str] = MappingProxyType({})) -> bytes:
    """Return the canonical `suspended.json`: organization → version of the role that first listed it, and why."""
    entries: list[Json] = []
    for org, version in sorted(suspended.items()):
        entry: JsonObject = {"organization": org, "suspended_version": version}
        entries.append(entry | ({"reason": reasons[org]} if org in reasons else {}))
    return canonical_bytes({"suspended_version": 1, "suspended": entries})


def listed_suspensions(data: bytes) -> Mapping[OrgId, tuple[int, str | None]]:
    """Return organization → (version, reason) of a verified `suspended.json`. Raises: DocumentMalformed."""
    entries = Shape(parse_object(data, bytes_max=SUSPENDED_BYTES_MAX), "suspended.json").objects(
        "suspended", count_max=MEMBERS_MAX
    )
    return {
        OrgId.parse(entry.text("organization")): (
            entry.integer("suspended_version", minimum=1),
            entry.text("reason") if entry.has("reason") else None,
        )
        for entry in entries
    }


def parse_suspended(data: bytes, *, role_version: int) -> Mapping[OrgId, int]:
    """Return organization → version of the suspended role that listed it first.

    An entry from a version that does not exist yet could never be lifted, and is refused. Raises: BundleMalformed.
    """
    try:
        shape = Shape(parse_object(data, bytes_max=SUSPENDED_BYTES_MAX), "suspended.json")
        shape.integer("suspended_version", minimum=1, maximum=1)
        suspended = _versions(shape, "suspended")
        if any(version > role_version for version in suspended.values()):
            raise shape.refuse("suspended", "names a version of the role that does not exist yet")
    except RefusedDocument as error:
        raise BundleMalformed(document="suspended.json", problem=error.message.rstrip(".")) from error
    return suspended


def _versions(shape: Shape, name: str) -> Mapping[OrgId, int]:
    entries = shape.objects(name, count_max=MEMBERS_MAX)
    versions = {OrgId.parse(e.text("organization")): e.integer("suspended_version", minimum=1) for e in entries}
    if len(versions) != len(entries):
        raise shape.refuse(name, "lists an organization twice")
    return versions
