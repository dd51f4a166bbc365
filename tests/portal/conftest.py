"""A portal in memory for the tests of this folder: home node, coordinator, a browser that is signed in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from concordat_node.portal import record_pages
from tests.factories.answers import demo_network
from tests.factories.home import TestHome, make_home
from tests.factories.node import PATIENT_MS
from tests.factories.portal import RELAY_ENDPOINT, Relay
from tests.portal.browsing import Browser


@pytest.fixture(autouse=True)
def patient_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page shows a record that comes, not that it is awaited, on a busy machine too."""
    monkeypatch.setattr(record_pages, "RECORD_WAIT_S", PATIENT_MS / 1_000)


@pytest.fixture
def relay() -> Relay:
    return Relay(demo_network())


@pytest.fixture
def at_home(tmp_path: Path, relay: Relay) -> Iterator[TestHome]:
    made = make_home(tmp_path, network=demo_network())
    made.transport.by_endpoint[RELAY_ENDPOINT] = relay
    yield made
    made.home.close()


@pytest.fixture
async def stranger(at_home: TestHome) -> AsyncIterator[httpx.AsyncClient]:
    async with at_home.client() as client:
        yield client


@pytest.fixture
async def browser(at_home: TestHome) -> AsyncIterator[Browser]:
    async with at_home.client() as client:
        await at_home.sign_in_browser(client)
        yield Browser(at_home, client)
        await at_home.home.stop()
