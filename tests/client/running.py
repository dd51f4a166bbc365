"""A home node and an identity provider on real sockets of 127.0.0.1; coordinator and nodes are in memory."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from concordat_client.demo.identity_provider import ProviderServer
from concordat_client.demo.provider_state import parse_config
from concordat_client.demo.scripted_browser import sign_in as browse
from concordat_node.home.api import build_home_router
from concordat_node.home.home import Home, open_home
from concordat_node.home.httpx_transport import HttpxTransport
from concordat_node.home.mint import HomeKeys
from concordat_node.home.settings import parse_home_settings
from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from tests.factories.answers import HOME
from tests.factories.home import HOME_KEY, Clock, Entropy, Routed, home_settings_json, run_inline
from tests.factories.network import TestNetwork, make_network
from tests.factories.relay import FakeCoordinator

RELAY_AT = "https://relay-one.example"
PASSWORD = "correct horse"
PERSONS: list[Json] = [
    {
        "username": "trial-analyst",
        "password": PASSWORD,
        "sub": "trial-analyst",
        "claims": {"affiliation": "staff", "role": "researcher", "clearance": "controlled"},
    },
    {"username": "nobody", "password": PASSWORD, "sub": "nobody", "claims": {}},
]


@dataclass
class Running:
    """Everything a test of the client talks to."""

    address: str
    issuer: str
    network: TestNetwork
    coordinator: FakeCoordinator
    clock: Clock
    home: Home
    transport: Routed

    def browser(self, username: str = "trial-analyst", password: str = PASSWORD) -> Callable[[str], None]:
        """Return what opens an address and signs a person in, as a browser does: beside the caller."""

        def open_url(url: str) -> None:
            threading.Thread(target=_browse, args=(url, username, password), daemon=True).start()

        return open_url


def _browse(url: str, username: str, password: str) -> None:
    with contextlib.suppress(Exception):  # the command line must notice by itself
        browse(url, username, password)


def provider_config(redirect_uri: str, **changes: Json) -> JsonObject:
    return {
        "host": "127.0.0.1",
        "port": 0,
        "clients": [{"client_id": "concordat-home", "client_secret": None, "redirect_uris": [redirect_uri]}],
        "persons": PERSONS,
        **changes,
    }


@contextlib.contextmanager
def running_provider(config: JsonObject) -> Iterator[ProviderServer]:
    with ProviderServer(parse_config(canonical_bytes(config))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def running_home(directory: Path, *, algorithm: str = "EdDSA") -> Iterator[Running]:
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    clock = Clock(int(time.time()))
    network = make_network(at=clock.now)
    coordinator = FakeCoordinator(network, clock=clock)
    config = provider_config(f"{address}/login/callback", algorithm=algorithm)
    with contextlib.closing(listener), running_provider(config) as provider:
        settings = home_settings_json()
        known = settings["provider"]
        assert isinstance(known, dict)
        settings |= {"base_url": address, "provider": {**known, "issuer": provider.issuer}}
        transport = HttpxTransport()
        routed = Routed(transport, **{RELAY_AT: coordinator})
        keys = network.keys[HOME]
        home = open_home(
            settings=parse_home_settings(settings),
            organization=HOME,
            database=directory / "home.sqlite3",
            keys=HomeKeys(keys["query_token"], keys["request"], HOME_KEY),
            bundle=lambda: network.bundle,
            transport=routed,
            clock=clock,
            entropy=Entropy(),
            run_blocking=run_inline,
        )
        with contextlib.closing(home), _served(home, listener, transport):
            yield Running(address, provider.issuer, network, coordinator, clock, home, routed)


@contextlib.contextmanager
def _served(home: Home, listener: socket.socket, transport: HttpxTransport) -> Iterator[None]:
    app = FastAPI()
    app.include_router(build_home_router(home))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))

    async def serve() -> None:
        await server.serve(sockets=[listener])
        await transport.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join()
