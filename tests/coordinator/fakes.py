"""A network as a relay sees it, and transports that fail on request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from concordat_trust.directory import KeyUnknown, KeyUse, MemberUnknown, OrganizationSuspended
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.keys import SigningKey
from concordat_trust.vocabulary import Clearance
from concordat_trust.wire.transport import WireRequest, WireResponse

NETWORK = "health-research-demo"
RELAY = OrgId.parse("relay-one")
HOME = OrgId.parse("alma-university")
NORTH = OrgId.parse("north-hospital")
VITALIS = OrgId.parse("vitalis")


@dataclass(frozen=True)
class FakeCaps:
    affiliations: frozenset[str] = frozenset({"faculty"})
    roles: frozenset[str] = frozenset({"researcher"})
    clearance_max: int = Clearance.RESTRICTED
    acr_values: frozenset[str] = frozenset({"mfa"})


@dataclass(frozen=True)
class FakeMember:
    id: OrgId
    kind: str = "organization"
    endpoint: str = ""
    may_assert: FakeCaps = FakeCaps()
    suspended: bool = False


@dataclass(frozen=True)
class FakeNetwork:
    id: str = NETWORK


@dataclass(frozen=True)
class FakeView:
    root: int = 1
    targets: int = 1
    snapshot: int = 1
    snapshot_sha256: str = "0" * 64


def key_of(org: str, use: str) -> SigningKey:
    """Return the same key for the same name in every run."""
    return SigningKey.from_seed((f"{org}/{use}".encode() * 32)[:32])


@dataclass
class FakeDirectory:
    """A `KeyDirectory` of given members, each with one key per use."""

    members: dict[str, FakeMember] = field(default_factory=dict)
    network: FakeNetwork = FakeNetwork()
    view: FakeView = FakeView()

    def member(self, org: OrgId, /) -> FakeMember:
        if org not in self.members:
            raise MemberUnknown(organization=org)
        return self.members[org]

    def key(self, org: OrgId, use: KeyUse, key_id: KeyId, /) -> Ed25519PublicKey:
        if self.member(org).suspended:
            raise OrganizationSuspended(organization=org)
        key = key_of(org, use)
        if key.key_id != key_id:
            raise KeyUnknown(organization=org, use=use)
        return key.public_key

    def request_key_owner(self, key_id: KeyId, /) -> FakeMember:
        for member in self.members.values():
            if key_of(member.id, "request").key_id == key_id:
                return member
        raise KeyUnknown(organization="nobody", use="request")


def make_directory(**changes: FakeMember) -> FakeDirectory:
    """Return three organizations and a coordinator; `changes` replaces members by id with `_` for `-`."""
    members = [FakeMember(org, endpoint=f"https://{org}.example") for org in (HOME, NORTH, VITALIS)]
    members.append(FakeMember(RELAY, kind="coordinator", endpoint="https://relay-one.example"))
    directory = FakeDirectory({member.id: member for member in members})
    directory.members.update({member.id: member for member in changes.values()})
    return directory


Step = Callable[[str, WireRequest], Awaitable[WireResponse]]


class ScriptedTransport:
    """Plays one step per exchange, in order, and remembers what was asked when."""

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps)
        self.requests: list[WireRequest] = []
        self.asked_at: list[float] = []

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        self.requests.append(request)
        self.asked_at.append(asyncio.get_running_loop().time())
        return await self._steps.pop(0)(endpoint, request)


def fails(error: Exception) -> Step:
    async def step(endpoint: str, request: WireRequest) -> WireResponse:
        raise error

    return step


def answers(response: WireResponse, *, after_s: float = 0.0) -> Step:
    async def step(endpoint: str, request: WireRequest) -> WireResponse:
        await asyncio.sleep(after_s)
        return response

    return step
