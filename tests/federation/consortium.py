"""A whole consortium in one process: real nodes, a real relay, a home round, and nothing but memory between them.

Time is the virtual loop's; wall clocks are `NOW` plus it. Randomness comes from counters and the seed. A test makes a
consortium inside `simulate`, sets faults on the transport, asks, and looks at what home believes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from concordat_coordinator.api.door import RelayDoor
from concordat_coordinator.cost import Limits
from concordat_coordinator.relay import RelayKeys, RelayService
from concordat_node.policy.engine import PolicyEngine
from concordat_node.registry.rules import Imported
from concordat_trust.canonical import canonical_bytes
from concordat_trust.encoding import b64u
from concordat_trust.ids import OrgId
from concordat_trust.query_token import mint_query_token
from concordat_trust.question import Part, Question
from concordat_trust.request_signature import SignedMessage, authority_of, sign_request
from concordat_trust.wire.coordinator_documents import COORDINATOR_ASK_ID
from concordat_trust.wire.transport import WireRequest, WireResponse

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
)
from tests.federation.memory_transport import Fault, MemoryTransport

RELAY = OrgId.parse("relay-one")
HOME = OrgId.parse("alma-university")
NORTH = OrgId.parse("north-hospital")
VITALIS = OrgId.parse("vitalis")
DEADLINE_MS = 2_000
RELAY_CLASS: type[RelayService] = RelayService


class LoopClock(Clock):
    """The wall clock of a simulation: it moves with the virtual loop."""

    def __call__(self) -> int:
        return self.now + int(asyncio.get_running_loop().time())


@dataclass(frozen=True)
class Asked:
    """One round as home sent it; `token` and `parts` are what its verification needs."""

    question: Question
    token: str
    token_id: str
    parts: Mapping[OrgId, bytes]
    request: WireRequest


@dataclass
class Consortium:
    """Nodes, relay and the transports between them. `to_nodes` and `to_relay` take faults."""

    network: TestNetwork
    nodes: Mapping[OrgId, TestNode]
    relay: RelayService
    to_nodes: MemoryTransport
    to_relay: MemoryTransport
    clock: LoopClock
    rounds: int = 0
    asked: list[Asked] = field(default_factory=list)

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
        from tests.factories.node import make_question

        return make_question(self.network, **{"text": "clinical", "facets": ("kind", "task"), **changes})

    def sign(
        self,
        question: Question,
        *,
        deadline_ms: int = DEADLINE_MS,
        orgs: Sequence[OrgId] | None = None,
        ids: Mapping[OrgId, Sequence[str]] | None = None,
    ) -> Asked:
        """Return the signed request of the home node, with a new token."""
        self.rounds += 1
        roster = self.network.bundle.organizations if orgs is None else tuple(orgs)
        parts = {org: Part(tuple((ids or {}).get(org, ()))).canonical() for org in roster}
        keys = self.network.keys
        token_id = b64u(Entropy(f"token {self.rounds}")(16))
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
            token_id=token_id,
            now=self.clock(),
        )
        body = ask_body(question, parts, deadline_ms)
        request = self.signed(token, body)
        asked = Asked(question, token, token_id, parts, request)
        self.asked.append(asked)
        return asked

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
        nonce = b64u(Entropy(f"nonce {self.rounds}")(16))
        headers = sign_request(message, key=self.network.keys[by]["request"], created=self.clock(), nonce=nonce)
        return WireRequest("POST", "/graphql", headers, body)

    async def send(self, asked: Asked, *, deadline_ms: int = DEADLINE_MS) -> WireResponse:
        """Send the request over the transport to the relay; the answer may have any size a relay may make."""
        return await self.to_relay.exchange(
            self.endpoint(RELAY), asked.request, deadline_s=deadline_ms / 1_000 + 1, bytes_max=64 * 2**20
        )


def ask_body(question: Question, parts: Mapping[OrgId, bytes], deadline_ms: int) -> bytes:
    texts = {org: part.decode() for org, part in parts.items()}
    variables = {
        "question": question.canonical().decode(),
        "parts": json.dumps(texts, separators=(",", ":"), sort_keys=True),
        "deadlineMs": deadline_ms,
    }
    return canonical_bytes({"documentId": COORDINATOR_ASK_ID, "variables": variables})


def default_records(org: str) -> tuple[Imported, ...]:
    """Return what an organization of the consortium holds: open to a relay, sealed, and hidden from the requester."""
    owner = OrgId.parse(org)
    sealed = attributes_of(sensitivity=1, relay_may_read=False)
    hidden = attributes_of(sensitivity=3)
    return (
        make_asset(f"{org}-sepsis", org=owner, summary="A clinical model of clinical sepsis."),
        make_asset(f"{org}-stroke", org=owner, task="regression"),
        make_asset(f"{org}-sealed", sealed, org=owner),
        make_asset(f"{org}-secret", hidden, org=owner),
    )


def make_consortium(
    seed: int = 0,
    *,
    organizations: Sequence[str] = ORGANIZATIONS,
    records: Callable[[str], Sequence[Imported]] = default_records,
    relay_class: Callable[..., RelayService] = RELAY_CLASS,
    engine: PolicyEngine | None = None,
    limits: Limits | None = None,
    endpoints: Mapping[str, str] | None = None,
) -> Consortium:
    """Return a consortium whose latencies come from `seed`; call it inside a simulation."""
    network = make_network(organizations, endpoints=endpoints)
    clock = LoopClock(NOW)
    nodes = {
        OrgId.parse(org): make_node(network, org, records(org), clock=clock, entropy=Entropy(org), engine=engine)
        for org in organizations
    }
    to_nodes = MemoryTransport(seed, {network.bundle.member(org).endpoint: node.handle for org, node in nodes.items()})
    keys = network.keys[RELAY]
    relay = relay_class(
        me=RELAY,
        keys=RelayKeys(request=keys["request"], delivery=keys["delivery"]),
        bundle=lambda: network.bundle,
        transport=to_nodes,
        clock=clock,
        entropy=Entropy("relay"),
        limits=limits,
    )
    to_relay = MemoryTransport(seed + 1, {network.bundle.member(RELAY).endpoint: RelayDoor(relay).handle})
    return Consortium(network, nodes, relay, to_nodes, to_relay, clock)
