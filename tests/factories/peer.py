"""The channel between organizations of a test network: doors, stores and reporters, with only memory between.

`Post` is the transport: it carries a request to the door at its endpoint, and can be told to lose it or its answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from concordat_node.ledger.outbox import UseOutbox
from concordat_node.peer.channel import PeerChannel
from concordat_node.peer.door import PeerDoor
from concordat_node.peer.reporting import UseReporter
from concordat_node.peer.store import PeerStore
from concordat_node.peer.uses import TokenUses
from concordat_node.registry.engine import Database
from concordat_trust.bundle import TrustedBundle
from concordat_trust.ids import OrgId
from concordat_trust.wire.transport import PeerUnreachable, WireRequest, WireResponse
from tests.factories.network import TestNetwork
from tests.factories.node import Clock, Entropy, memory_database, run_directly


@dataclass
class Post:
    """Carries messages to doors by endpoint, and keeps what it carried."""

    doors: dict[str, PeerDoor] = field(default_factory=dict)
    carried: list[tuple[str, WireRequest]] = field(default_factory=list)
    is_cut: bool = False
    loses_answers: bool = False

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        self.carried.append((endpoint, request))
        if self.is_cut or endpoint not in self.doors:
            raise PeerUnreachable(endpoint=endpoint, sent=False)
        response = await self.doors[endpoint].handle(request)
        if self.loses_answers:
            raise PeerUnreachable(endpoint=endpoint, sent=True)
        return response


@dataclass
class Peer:
    """One organization's end of the channel."""

    organization: OrgId
    door: PeerDoor
    store: PeerStore
    uses: TokenUses
    channel: PeerChannel

    def reporter(self, ledger: Database, bundle: Callable[[], TrustedBundle | None]) -> UseReporter:
        """Return what reports from the outbox of a node's log."""
        return UseReporter(UseOutbox(ledger), self.channel, bundle, run_directly, self.channel.clock)


def make_peer(
    network: TestNetwork,
    org: str,
    post: Post,
    *,
    clock: Clock,
    database: Database | None = None,
    bundle: Callable[[], TrustedBundle | None] | None = None,
) -> Peer:
    """Return an organization's end of the channel, reachable at its endpoint."""
    organization = OrgId.parse(org)
    store = PeerStore(memory_database() if database is None else database)
    uses = TokenUses(store, run_directly, clock)
    door = PeerDoor(
        organization=organization,
        bundle=bundle or (lambda: network.bundle),
        handlers={"token_uses": uses.receive},
        clock=clock,
    )
    post.doors[network.bundle.member(organization).endpoint] = door
    key = network.keys[organization]["request"]
    channel = PeerChannel(organization, key, post, clock, Entropy(f"peer {org}"))
    return Peer(organization, door, store, uses, channel)
