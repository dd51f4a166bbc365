"""A whole consortium in one process: real nodes, a real relay, a home round, and nothing but memory between them.

Time is the virtual loop's; wall clocks are `NOW` plus it. Randomness comes from counters and the seed. A test makes a
consortium inside `simulate`, sets faults on the transport, asks, and looks at what home believes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from concordat_coordinator.api.door import RelayDoor
from concordat_coordinator.cost import Limits
from concordat_coordinator.relay import RelayKeys, RelayService
from concordat_node.home.arrivals import OrganizationAnswered
from concordat_node.home.ask import Asked, Asker, Finished
from concordat_node.home.claims import PersonClaims
from concordat_node.home.mint import HomeKeys
from concordat_node.home.sessions import Session
from concordat_node.registry.rules import Imported
from concordat_trust.bundle import TrustedBundle
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.encoding import b64u
from concordat_trust.ids import OrgId
from concordat_trust.query_token import mint_query_token
from concordat_trust.question import Part, PartCursor, Question
from concordat_trust.request_signature import SignedMessage, authority_of, sign_request
from concordat_trust.round_tokens import Minting
from concordat_trust.wire.coordinator_documents import COORDINATOR_ASK_ID
from concordat_trust.wire.transport import WireRequest
from tests.factories.network import NOW, ORGANIZATIONS, TestNetwork, make_network
from tests.factories.node import (
    ANALYST,
    SEALING_KEY,
    Clock,
    Entropy,
    TestNode,
    attributes_of,
    make_asset,
    make_node,
    make_question,
)
from tests.federation.memory_transport import Fault, MemoryTransport

RELAY = OrgId.parse("relay-one")
HOME = OrgId.parse("alma-university")
NORTH = OrgId.parse("north-hospital")
VITALIS = OrgId.parse("vitalis")
DEADLINE_MS = 2_000
_ROUNDS = itertools.count()
SESSION = Session("session-1", "ada", PersonClaims("faculty", "analyst", 2), NOW + 3_600)


class LoopClock(Clock):
    """The wall clock of a simulation: it moves with the virtual loop."""

    def __call__(self) -> int:
        return self.now + int(asyncio.get_running_loop().time())


@dataclass(frozen=True)
class SignedRound:
    """One round as home sends it, for tests that look at the relay alone."""

    question: Question
    token: str
    parts: Mapping[OrgId, bytes]
    request: WireRequest


@dataclass
class Consortium:
    """Nodes, relay, home and the transports between them. `to_nodes` and `from_home` take faults."""

    network: TestNetwork
    nodes: Mapping[OrgId, TestNode]
    relay: RelayService
    to_nodes: MemoryTransport
    from_home: MemoryTransport
    clock: LoopClock
    in_force: dict[OrgId, TrustedBundle] = field(default_factory=dict)
    """The bundle that relay or home hold now, when it is not the one of the network's founding."""

    def bundle_of(self, org: OrgId) -> TrustedBundle:
        return self.in_force.get(org, self.network.bundle)

    def adopt(self, bundle: TrustedBundle, *parties: OrgId) -> None:
        """Let parties have polled another bundle: nodes, the relay, or the home round."""
        for party in parties:
            self.in_force[party] = bundle
            if party in self.nodes:
                self.nodes[party].bundle = bundle

    async def ask(
        self,
        question: Question | None = None,
        *,
        ids: Mapping[OrgId, tuple[str, ...]] | None = None,
        cursors: Mapping[OrgId, PartCursor] | None = None,
        only: frozenset[OrgId] | None = None,
        deadline_ms: int = DEADLINE_MS,
        minting: Minting = "shared",
    ) -> Asked:
        """Ask as the home node does, for its signed-in analyst, and return what it believes."""
        asked, bundle = self.question() if question is None else question, self.bundle_of(HOME)
        asker = self.asker(deadline_ms, minting=minting)
        return await asker.ask(asked, ids or {}, session=SESSION, bundle=bundle, cursors=cursors or {}, only=only)

    def ask_events(
        self, *, deadline_ms: int = DEADLINE_MS, coordinators: tuple[OrgId, ...] = (RELAY,)
    ) -> AsyncGenerator[OrganizationAnswered | Finished, None]:
        """Ask the same, and yield what the home node tells as it believes it."""
        asker = self.asker(deadline_ms, coordinators)
        return asker.ask_events(self.question(), {}, session=SESSION, bundle=self.bundle_of(HOME))

    def asker(
        self, deadline_ms: int = DEADLINE_MS, coordinators: tuple[OrgId, ...] = (RELAY,), *, minting: Minting = "shared"
    ) -> Asker:
        """Return what asks for the home organization's people."""
        return Asker(
            organization=HOME,
            coordinators=coordinators,
            deadline_ms=deadline_ms,
            keys=HomeKeys(
                query_token=self.network.keys[HOME]["query_token"],
                request=self.network.keys[HOME]["request"],
                pseudonym=b"p" * 32,
            ),
            transport=self.from_home,
            clock=self.clock,
            entropy=Entropy(f"home {next(_ROUNDS)}"),
            in_force=lambda: self.bundle_of(HOME),
            minting=minting,
        )

    def endpoint(self, org: OrgId) -> str:
        return self.network.bundle.member(org).endpoint

    def fault(self, org: OrgId, *faults: Fault) -> None:
        """Let the next exchanges with a node go wrong, one fault each."""
        self.to_nodes.faults.setdefault(self.endpoint(org), []).extend(faults)

    def kill(self, *orgs: OrgId) -> None:
        """Let nobody listen at these nodes any more."""
        for org in orgs:
            self.to_nodes.parties.pop(self.endpoint(org))

    def question(self, **changes: Any) -> Question:
        return make_question(self.network, **{"text": "clinical", "facets": ("kind", "task"), **changes})

    def sign(
        self,
        question: Question,
        *,
        deadline_ms: int = DEADLINE_MS,
        orgs: Sequence[OrgId] | None = None,
        document_id: str = COORDINATOR_ASK_ID,
    ) -> SignedRound:
        """Return the signed request of the home node, with a new token."""
        roster = self.network.bundle.organizations if orgs is None else tuple(orgs)
        parts = {org: Part().canonical() for org in roster}
        keys = self.network.keys
        token = mint_query_token(
            key=keys[HOME]["query_token"],
            issuer=HOME,
            subject="p-4711",
            network=question.network,
            question=question.canonical(),
            parts=parts,
            claims=ANALYST,
            presenter=keys[RELAY]["request"].key_id,
            enc=SEALING_KEY.public,
            token_id=b64u(Entropy(f"token {next(_ROUNDS)}")(16)),
            now=self.clock(),
        )
        body = ask_body(question, parts, deadline_ms, document_id)
        return SignedRound(question, token, parts, self.signed(token, body))

    def signed(self, token: str, body: bytes, *, by: OrgId = HOME) -> WireRequest:
        """Return a request to the relay with this token and body, signed by `by`."""
        message = SignedMessage(
            method="POST",
            authority=authority_of(self.endpoint(RELAY)),
            path="/graphql",
            content_type="application/json",
            authorization=f"Bearer {token}",
            body=body,
        )
        nonce = b64u(Entropy(f"nonce {next(_ROUNDS)}")(16))
        headers = sign_request(message, key=self.network.keys[by]["request"], created=self.clock(), nonce=nonce)
        return WireRequest("POST", "/graphql", headers, body)


def ask_body(
    question: Question, parts: Mapping[OrgId, bytes], deadline_ms: int, document_id: str = COORDINATOR_ASK_ID
) -> bytes:
    texts = {org: part.decode() for org, part in parts.items()}
    variables: JsonObject = {
        "question": question.canonical().decode(),
        "parts": json.dumps(texts, separators=(",", ":"), sort_keys=True),
        "deadlineMs": deadline_ms,
    }
    return canonical_bytes({"documentId": document_id, "variables": variables})


def default_records(org: str, *, sealed: bool = False) -> tuple[Imported, ...]:
    """Return what an organization of the consortium holds: three records open to a relay, and a hidden one.

    With `sealed` no relay may read the third one, so that all answers to whoever may see it are sealed.
    """
    owner = OrgId.parse(org)
    third = attributes_of(sensitivity=1, relay_may_read=False) if sealed else attributes_of()
    hidden = attributes_of(sensitivity=3)
    return (
        make_asset(f"{org}-sepsis", org=owner, summary="A clinical model of clinical sepsis."),
        make_asset(f"{org}-stroke", org=owner, task="regression"),
        make_asset(f"{org}-third", third, org=owner),
        make_asset(f"{org}-secret", hidden, org=owner),
    )


@cache
def _warm(organizations: tuple[str, ...], sealed: bool) -> tuple[TestNetwork, Mapping[OrgId, TestNode]]:
    """Return a network and its nodes with the default records, made once: a database takes longer than a simulation.

    They may be shared, because a simulation leaves nothing in a node but log entries: every round of every simulation
    has a token of its own, and a fault stands in the transport.
    """
    network = make_network(organizations)
    clock = LoopClock(NOW)
    return network, {
        OrgId.parse(org): make_node(
            network, org, default_records(org, sealed=sealed), clock=clock, entropy=Entropy(org)
        )
        for org in organizations
    }


def make_consortium(
    seed: int = 0,
    *,
    organizations: Sequence[str] = ORGANIZATIONS,
    relay_class: Callable[..., RelayService] = RelayService,
    limits: Limits | None = None,
    nodes: Mapping[OrgId, TestNode] | None = None,
    own_nodes: bool = False,
    sealed: bool = False,
) -> Consortium:
    """Return a consortium whose latencies come from `seed`; call it inside a simulation.

    `nodes` are others than the default ones, of the same network. With `own_nodes` nobody shares the default ones, so
    that a test may change them. With `sealed` every node's answers travel sealed.
    """
    network, warm = (_warm.__wrapped__ if own_nodes else _warm)(tuple(organizations), sealed)
    nodes = warm if nodes is None else nodes
    clock = LoopClock(NOW)
    to_nodes = MemoryTransport(seed, {network.bundle.member(org).endpoint: node.handle for org, node in nodes.items()})
    keys = network.keys[RELAY]
    consortium: Consortium
    relay = relay_class(
        me=RELAY,
        keys=RelayKeys(request=keys["request"], delivery=keys["delivery"]),
        bundle=lambda: consortium.bundle_of(RELAY),
        transport=to_nodes,
        clock=clock,
        entropy=Entropy("relay"),
        limits=limits,
    )
    from_home = MemoryTransport(seed + 1)
    door, relay_at = RelayDoor(relay), network.bundle.member(RELAY).endpoint
    from_home.parties[relay_at], from_home.streams[relay_at] = door.handle, door.opened
    from_home.parties[network.bundle.member(HOME).endpoint] = nodes[HOME].handle
    consortium = Consortium(network, nodes, relay, to_nodes, from_home, clock)
    return consortium
