"""The REST door of a registry on a real database, with a home door for its sessions and a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from concordat_node.home.settings import HomeSettings, parse_home_settings
from concordat_node.registration.api import build_registration_router
from concordat_node.registration.registration import Registration
from concordat_node.registry.engine import Database, open_database
from concordat_node.registry.migrate import upgrade
from concordat_node.registry.rules import Owner
from concordat_node.search.index_writer import ensure_index
from concordat_trust.ids import AssetKind
from tests.factories.answers import demo_network
from tests.factories.home import HOME, Clock, TestHome, home_settings_json, make_home
from tests.factories.registry import asset_fields

OWNER = Owner(HOME, b"0123456789abcdef0123456789abcdef")
ROOT = "/v1/registry"
ASSETS, AGREEMENTS, APPROVALS = f"{ROOT}/assets", f"{ROOT}/agreements", f"{ROOT}/approvals"
LATER = {"label": "2", "released": "2026-06-01"}


def registrar_settings() -> HomeSettings:
    """Return settings under which members of one group are registrars."""
    settings = home_settings_json()
    rules = {"claim": "groups", "rules": [{"is": "g-registry", "becomes": "registrar"}]}
    return parse_home_settings({**settings, "claims": {**settings["claims"], "registrar": rules}})  # type: ignore[dict-item]


@dataclass
class RestDoor:
    """A home door with the registry's addresses."""

    at_home: TestHome
    database: Database
    registration: Registration
    clock: Clock

    @asynccontextmanager
    async def client(self, *, is_registrar: bool = True, subject: str = "person-1") -> AsyncIterator[httpx.AsyncClient]:
        """Yield a client with a session."""
        self.at_home.provider.subject = subject
        self.at_home.provider.claims["groups"] = ["g-registry"] if is_registrar else ["g-other"]
        async with self.at_home.client() as client:
            client.headers["authorization"] = f"Bearer {await self.at_home.sign_in(client)}"
            yield client

    def close(self) -> None:
        self.at_home.home.close()
        self.database.close()


def make_rest_door(folder: Path, *, settings: HomeSettings | None = None, database: Database | None = None) -> RestDoor:
    """Return the door; `database` is the registry of another part of the test, else a new one."""
    network = demo_network()
    at_home = make_home(folder, network=network, settings=settings or registrar_settings())
    if database is None:
        path = folder / "registry.sqlite"
        path.write_bytes(_empty_registry())
        database = open_database(path, readers=1)
    clock = Clock()
    registration = Registration(
        database=database, owner=lambda: OWNER, statistics=lambda: network.bundle.statistics, clock=clock
    )
    at_home.app.include_router(build_registration_router(at_home.home, registration))
    return RestDoor(at_home, database, registration, clock)


@cache
def _empty_registry() -> bytes:
    """Return a migrated registry without entries; a migration takes longer than a test."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "registry.sqlite"
        database = open_database(path, readers=1)
        upgrade(database)
        ensure_index(database, demo_network().bundle.statistics)
        database.close()
        return path.read_bytes()


def asset_path(name: str = "arm-a", kind: AssetKind = "dataset") -> str:
    return f"{ASSETS}/{OWNER.asset_id(kind, name)}"


async def registered(client: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    """Register an asset and return the answer."""
    response = await client.post(ASSETS, json=asset_fields(**changes))
    assert response.status_code == 201, response.text
    return response


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def matching(response: httpx.Response, **more: str) -> Mapping[str, str]:
    """Return the headers of a change of what `response` showed."""
    return {"if-match": response.headers["etag"], **{name.replace("_", "-"): value for name, value in more.items()}}
