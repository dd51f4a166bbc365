"""An institution with its federation doors: its home node, the other nodes and the relay, all real, in one process.

Between the parties is a transport that counts. What a person of the institution sends goes through the ASGI app.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from concordat_coordinator.api.door import RelayDoor
from concordat_coordinator.relay import RelayKeys, RelayService
from concordat_node.doors.api import NETWORK_PATH, SUBGRAPH_PATH, build_doors_router
from concordat_node.home.claims import PersonClaims
from concordat_node.home.person import Person
from concordat_node.policy.engine import NodePolicy, PolicyEngine
from concordat_node.registry.rules import Imported
from concordat_node.search.index import SearchIndex
from concordat_node.search.posting_index import SqlPostingIndex
from concordat_trust.canonical import JsonObject, parse_object
from concordat_trust.ids import OrgId
from concordat_trust.wire.transport import PeerUnreachable, WireRequest, WireResponse
from tests.factories.home import HOME, TestHome, make_home
from tests.factories.network import TestNetwork, make_network
from tests.factories.node import Entropy, TestNode, make_node
from tests.factories.streaming import STREAM_HEADERS, read_whole
from tests.federation.memory_transport import Handler

__all__ = ["ANALYST", "GUEST", "NETWORK_PATH", "SUBGRAPH_PATH", "Institution", "make_institution"]

RELAY = OrgId.parse("relay-one")
GUEST = PersonClaims("student", "guest", 0)
ANALYST = PersonClaims("staff", "researcher", 2)


@dataclass
class CountingTransport:
    """Carries every request at once and remembers where it went."""

    parties: dict[str, Handler]
    asked: list[tuple[str, WireRequest]] = field(default_factory=list)

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        self.asked.append((endpoint, request))
        if endpoint not in self.parties:
            raise PeerUnreachable(endpoint=endpoint, sent=False)
        return await self.parties[endpoint](request)


@dataclass
class Institution:
    """The home organization as its people and its gateway meet it."""

    network: TestNetwork
    nodes: Mapping[OrgId, TestNode]
    home: TestHome
    app: FastAPI
    to_nodes: CountingTransport
    from_home: CountingTransport

    def sign_in(self, subject: str, claims: PersonClaims = ANALYST) -> str:
        """Return a session token of a person, as sign-in ends."""
        token, _session = self.home.home.sessions.open(Person(subject, claims), now=self.home.clock())
        return token

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="https://home.alma.example")

    async def post(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        token: str | None,
        path: str = NETWORK_PATH,
        purpose: str | None = "GRU",
        **body: Any,
    ) -> httpx.Response:
        """Return the answer to a GraphQL request over HTTP."""
        headers = {"accept": "application/graphql-response+json", "content-type": "application/json"}
        headers |= {} if token is None else {"authorization": f"Bearer {token}"}
        headers |= {} if purpose is None else {"concordat-purpose": purpose}
        content = json.dumps({"query": query, "variables": variables, **body}).encode()
        async with self.client() as client:
            return await client.post(path, content=content, headers=headers)

    async def data(self, query: str, variables: Mapping[str, Any] | None = None, **how: Any) -> Any:
        """Return the data of an answer without errors."""
        response = await self.post(query, variables, **how)
        body = response.json()
        assert "errors" not in body, body
        return body["data"]

    def log_entries(self) -> dict[str, int]:
        """Return how many entries each node's disclosure log holds."""
        return {org: node.ledger.count() for org, node in self.nodes.items()}

    def questions(self) -> list[tuple[str, JsonObject, JsonObject]]:
        """Return what the nodes were asked: (organization, question, part), the relay's and the direct ones."""
        orgs = {self.network.bundle.member(org).endpoint: str(org) for org in self.nodes}
        asked = [*self.to_nodes.asked, *self.from_home.asked]
        return [(orgs[at], *_question_of(request)) for at, request in asked if at in orgs]


def _in_one_piece(door: RelayDoor) -> Handler:
    async def handler(request: WireRequest) -> WireResponse:
        async with door.opened(request) as answer:
            if isinstance(answer, WireResponse):
                return answer
            return WireResponse(200, STREAM_HEADERS, await read_whole(answer))

    return handler


def _question_of(request: WireRequest) -> tuple[JsonObject, JsonObject]:
    variables = parse_object(request.body, bytes_max=1_000_000)["variables"]
    assert isinstance(variables, dict)
    question, part = (parse_object(str(variables[name]).encode(), bytes_max=1_000_000) for name in ("question", "part"))
    return question, part


def make_institution(
    directory: Path,
    records: Mapping[str, Sequence[Imported]],
    *,
    engine: PolicyEngine | None = None,
    node_policy: NodePolicy | None = None,
    network: TestNetwork | None = None,
    index: Callable[[SqlPostingIndex], SearchIndex] = lambda index: index,
) -> Institution:
    """Return the institution `HOME` in a network whose nodes hold `records`; the caller closes `home.home`."""
    network = network or make_network()
    home = make_home(directory, network=network)
    nodes = {
        org: make_node(
            network,
            org,
            records.get(org, ()),
            engine=engine,
            node_policy=node_policy,
            clock=home.clock,  # type: ignore[arg-type]  # the two clocks differ in name only
            entropy=Entropy(org),
            index=index,
        )
        for org in network.bundle.organizations
    }
    endpoint = {org: network.bundle.member(org).endpoint for org in (*nodes, RELAY)}
    to_nodes = CountingTransport({endpoint[org]: node.handle for org, node in nodes.items()})
    keys = network.keys[RELAY]
    relay = RelayService(
        me=RELAY,
        keys=RelayKeys(request=keys["request"], delivery=keys["delivery"]),
        bundle=lambda: network.bundle,
        transport=to_nodes,
        clock=home.clock,
        entropy=Entropy("relay"),
    )
    from_home = CountingTransport(
        {endpoint[RELAY]: _in_one_piece(RelayDoor(relay)), endpoint[HOME]: nodes[HOME].handle}
    )
    home.transport.by_endpoint |= {endpoint[RELAY]: from_home, endpoint[HOME]: from_home}
    app = home.app
    app.include_router(build_doors_router(home.home))
    return Institution(network, nodes, home, app, to_nodes, from_home)
