"""A home node with its portal on a real loopback socket, a real identity provider beside it, and a counted coordinator.

    with portal_site(folder) as site:
        browser.goto(site.url)          # sign in as PERSON with PASSWORD
        assert site.relay.asked == 1

The network's answers come from `Relay`, which is honest, counts what it is asked, and is as slow as a test says.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import uvicorn
from fastapi import FastAPI

from concordat_client.demo.identity_provider import ProviderServer
from concordat_client.demo.provider_state import Client, Person, ProviderConfig, ProviderState
from concordat_node.home.api import build_home_router
from concordat_node.home.home import Home, open_home
from concordat_node.home.httpx_transport import HttpxTransport
from concordat_node.home.mint import HomeKeys
from concordat_node.home.settings import parse_home_settings
from concordat_node.portal.api import build_portal_router
from concordat_trust.canonical import JsonObject
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.records import fields_of
from concordat_trust.wire.transport import Feed, WireRequest, WireResponse
from tests.factories.answers import NORTH, VITALIS, asset_id, demo_network, make_asset, make_card, make_evaluation
from tests.factories.home import HOME, HOME_KEY, Routed, home_settings_json
from tests.factories.network import NOW, TestNetwork
from tests.factories.relay import FakeCoordinator

PERSON, PASSWORD, SECOND_PERSON = "trial-analyst", "correct horse", "guest-researcher"
CLIENT_ID = "concordat-home"
RELAY_ENDPOINT = "https://relay-one.example"
SENTENCE = "models about clinical trial"
T = TypeVar("T")
START_SECONDS_MAX = 20


def portal_cards() -> dict[OrgId, list[JsonObject]]:
    """Return cards of every kind a page shows: in full, in summary with what is missing, with masked fields."""
    interval = {**make_evaluation(), "interval_low": "0.91", "interval_high": "0.96", "dataset": "RESPIRE-SIM, arm B"}
    summary = make_card(
        NORTH,
        "heart failure",
        level="SUMMARY",
        description=None,
        masked_fields=["description", "cohort_size"],
        missing=[{"code": "approval_expired", "who_can_grant": "ethics_board"}],
        conditions={
            "permission": "DUO:0000006",
            "disease": None,
            "modifiers": [{"code": "DUO:0000021", "parameters": []}],
        },
    )
    full = make_card(
        NORTH,
        "sepsis",
        evaluations=[interval, make_evaluation("auroc", "0.972", "external")],
        agreement_ids=["dua-respire-sim"],
        obligations=[{"code": "cite", "text": "Cite the agreement and its owner in what is published from this use."}],
    )
    other = make_card(
        VITALIS,
        "asthma",
        task="regression",
        modality="image",
        obligations=[{"code": "cite", "text": "Cite the agreement and its owner in what is published from this use."}],
    )
    return {HOME: [make_card(HOME, "diabetes", framework="pytorch")], NORTH: [full, summary], VITALIS: [other]}


def portal_assets() -> dict[OrgId, list[JsonObject]]:
    """Return the assets behind `portal_cards`, as their owners show them on a page of their own."""
    more: JsonObject = {
        "cohort_size": 412,
        "contact": "data access committee",
        "trained_on": [{"id": asset_id(NORTH, "arm", "dataset"), "title": "RESPIRE-SIM trial, arm of north-hospital"}],
        "agreements": [
            {
                "id": "dua-respire-sim",
                "title": "RESPIRE-SIM agreement",
                "digest": "ab" * 32,
                "valid_until": NOW + 99_000,
            }
        ],
    }
    assets = {
        org: [make_asset(org, "x", **{**(more if card["level"] == "FULL" else {}), **card}) for card in cards]
        for org, cards in portal_cards().items()
    }
    arm = make_card(NORTH, "arm", id=asset_id(NORTH, "arm", "dataset"), kind="dataset", evaluations=[])
    title = "RESPIRE-SIM trial, arm of north-hospital"
    return {**assets, NORTH: [*assets[NORTH], make_asset(NORTH, "x", **{**arm, "title": title})]}


def portal_vertices() -> dict[OrgId, list[JsonObject]]:
    """Return the vertices of one edge: what "sepsis" was trained on, which both ends say."""
    model, arm = asset_id(NORTH, "sepsis"), asset_id(NORTH, "arm", "dataset")
    edge: JsonObject = {"relation": "trained_on", "source": model, "target": arm, "asserted_on": "2026-03-01"}
    more: JsonObject = {"edges": [edge], "complete": True}
    titles = {model: "Clinical sepsis model", arm: "RESPIRE-SIM trial, arm of north-hospital"}
    vertices = [make_card(NORTH, "x", id=one, kind=AssetId.parse(one).kind, title=titles[one]) for one in titles]
    fields = fields_of("lineageVertex")
    vertices = [{field: ({**more, **vertex}).get(field) for field in fields} for vertex in vertices]
    return {NORTH: [{**vertices[0]}, {**vertices[1], "edges": []}]}


@dataclass
class Relay:
    """An honest coordinator that counts its questions; it begins after `delay_s` and tells an answer each `pace_s`."""

    network: TestNetwork
    cards: Mapping[OrgId, list[JsonObject]] = field(default_factory=portal_cards)
    assets: Mapping[OrgId, list[JsonObject]] = field(default_factory=portal_assets)
    vertices: Mapping[OrgId, list[JsonObject]] = field(default_factory=portal_vertices)
    changes: dict[str, object] = field(default_factory=dict)
    delay_s: float = 0.0
    pace_s: float = 0.0
    asked: int = 0

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        self.asked += 1
        await asyncio.sleep(self.delay_s)
        records = {"search": self.cards, "assets": self.assets, "lineage": self.vertices}
        (operation,) = [name for name in records if f'\\"operation\\":\\"{name}\\"'.encode() in request.body]
        honest = FakeCoordinator(self.network, cards=records[operation], **self.changes)  # type: ignore[arg-type]  # a test's own changes
        return await honest.exchange(endpoint, request, deadline_s=deadline_s, bytes_max=bytes_max)

    async def stream(
        self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int, feed: Feed
    ) -> WireResponse:
        answer = await self.exchange(endpoint, request, deadline_s=deadline_s, bytes_max=bytes_max)
        for event in answer.body.split(b"\n\n"):
            await asyncio.sleep(self.pace_s)
            if event and feed(event + b"\n\n"):
                break
        return WireResponse(answer.status, answer.headers, b"")


@dataclass
class Site:
    """A running portal."""

    url: str
    issuer: str
    home: Home
    relay: Relay
    loop: asyncio.AbstractEventLoop
    now: list[int]

    def run(self, call: Callable[[], T]) -> T:
        """Run something on the site's own loop."""

        async def called() -> T:
            return call()

        return asyncio.run_coroutine_threadsafe(called(), self.loop).result(START_SECONDS_MAX)


@dataclass
class _Running:
    """A portal on its own thread, between its start and its end."""

    folder: Path
    url: str
    issuer: str
    listener: socket.socket
    relay: Relay
    site: Site | None = None
    is_up: threading.Event = field(default_factory=threading.Event)
    is_stopping: threading.Event = field(default_factory=threading.Event)

    async def serve(self) -> None:
        transport, now = HttpxTransport(), [NOW]
        home = self._home(transport, now)
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.include_router(build_home_router(home))
        app.include_router(build_portal_router(home))
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=2))
        serving = asyncio.create_task(server.serve(sockets=[self.listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        self.site = Site(self.url, self.issuer, home, self.relay, asyncio.get_running_loop(), now)
        self.is_up.set()
        await asyncio.to_thread(self.is_stopping.wait)
        await home.stop()
        server.should_exit = True
        await serving
        await transport.close()
        home.close()

    def _home(self, transport: HttpxTransport, now: list[int]) -> Home:
        settings = home_settings_json()
        settings["base_url"] = self.url
        settings["provider"] = {
            "issuer": self.issuer,
            "client_id": CLIENT_ID,
            "client_secret": None,
            "scope": "openid",
        }
        network = self.relay.network
        keys = network.keys[HOME]
        routed = Routed(transport, **{RELAY_ENDPOINT: self.relay})
        routed.streams[RELAY_ENDPOINT] = self.relay.stream
        return open_home(
            settings=parse_home_settings(settings),
            organization=HOME,
            database=self.folder / "home.sqlite3",
            keys=HomeKeys(query_token=keys["query_token"], request=keys["request"], pseudonym=HOME_KEY),
            bundle=lambda: network.bundle,
            transport=routed,
            clock=lambda: now[0],
            entropy=secrets.token_bytes,
            run_blocking=asyncio.to_thread,
        )


@contextmanager
def portal_site(folder: Path, *, relay: Relay | None = None) -> Iterator[Site]:
    """Give a running portal on 127.0.0.1 until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with _provider(f"{url}/login/callback") as issuer:
        running = _Running(folder, url, issuer, listener, relay or Relay(demo_network()))
        thread = threading.Thread(target=lambda: asyncio.run(running.serve()))
        thread.start()
        try:
            assert running.is_up.wait(START_SECONDS_MAX), "the portal did not start"
            assert running.site is not None
            yield running.site
        finally:
            running.is_stopping.set()
            thread.join(START_SECONDS_MAX)
            listener.close()


@contextmanager
def _provider(redirect_uri: str) -> Iterator[str]:
    claims: JsonObject = {"affiliation": "staff", "role": "researcher", "clearance": "controlled"}
    people = {name: Person(name, PASSWORD, name, claims) for name in (PERSON, SECOND_PERSON)}
    clients = {CLIENT_ID: Client(CLIENT_ID, None, (redirect_uri,))}
    config = ProviderConfig("127.0.0.1", 0, "EdDSA", clients, people)
    server = ProviderServer(config)
    server.state = ProviderState(config, issuer=server.issuer, clock=lambda: NOW, entropy=secrets.token_bytes)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
