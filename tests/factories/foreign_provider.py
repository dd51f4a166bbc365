"""A home node on real sockets in front of an identity provider that is not ours."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from concordat_node.home.api import build_home_router
from concordat_node.home.home import Home, open_home
from concordat_node.home.httpx_transport import HttpxTransport
from concordat_node.home.mint import HomeKeys
from concordat_node.home.settings import parse_home_settings
from concordat_node.portal.api import build_portal_router
from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.visa_issuer import issuer_metadata
from tests.factories.answers import NORTH
from tests.factories.home import HOME, HOME_KEY, Entropy, run_inline
from tests.factories.network import make_network
from tests.factories.visas import NORTH_ISSUER, ec_jwk

CLIENT_ID = "concordat-home"
SCRIPTS = "concordat-scripts"
PERSON_CLAIMS: JsonObject = {
    "eduperson_affiliation": ["employee", "member"],
    "groups": ["cleared", "general"],
    "realm_access": {"roles": ["offline_access", "researcher"]},
}
MAPPING: JsonObject = {
    "mapping_version": 1,
    "affiliation": {"claim": "eduperson_affiliation", "rules": [{"is": "employee", "becomes": "staff"}]},
    "role": {"claim": ["realm_access", "roles"], "rules": [{"is": "researcher", "becomes": "researcher"}]},
    "clearance": {"claim": "groups", "rules": [{"is": "cleared", "becomes": "controlled"}]},
    "purposes": {"claim": "groups", "rules": [{"is": "general", "becomes": "GRU"}]},
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True)
class ForeignHome:
    """A running home node."""

    address: str
    home: Home


@contextlib.contextmanager
def home_in_front_of(folder: Path, port: int, provider: Mapping[str, Json]) -> Iterator[ForeignHome]:
    """Serve a home node at `port` for the people of `provider` until the block ends."""
    address = f"http://127.0.0.1:{port}"
    settings: JsonObject = {
        "base_url": address,
        "provider": {"client_id": CLIENT_ID, "client_secret": None, "scope": "openid", **provider},
        "claims_file": "claims.json",
        "coordinators": ["relay-one"],
        "token_exchange": {"audience": SCRIPTS},
    }
    now = int(time.time())
    issuer = issuer_metadata(NORTH_ISSUER, [ec_jwk("north-1")], subject_issuers=(str(provider["issuer"]),))
    network = make_network(at=now, visa_issuers={NORTH: issuer})
    keys = network.keys[HOME]
    transport = HttpxTransport()
    home = open_home(
        settings=parse_home_settings(settings, read=lambda _: canonical_bytes(MAPPING)),
        organization=HOME,
        database=folder / "home.sqlite",
        keys=HomeKeys(keys["query_token"], keys["request"], HOME_KEY),
        bundle=lambda: network.bundle,
        transport=transport,
        clock=lambda: int(time.time()),
        entropy=Entropy(),
        run_blocking=run_inline,
    )
    app = FastAPI()
    app.include_router(build_home_router(home))
    app.include_router(build_portal_router(home))
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off", ws="none")
    )

    async def serve() -> None:
        await server.serve()
        await transport.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        with contextlib.closing(home):
            yield ForeignHome(address, home)
    finally:
        server.should_exit = True
        thread.join()
