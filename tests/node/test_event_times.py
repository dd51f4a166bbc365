"""What a stream of events tells of time: the order of arrival, and no moment or duration (docs/architecture.md)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.factories.answers import demo_network
from tests.factories.home import TestHome, make_home
from tests.factories.relay import FakeCoordinator

ASK = {"sentence": "models about clinical trial", "purpose": {"code": "HMB"}}
NETWORK = demo_network()
TIMED = ("took", "_ms", "duration", "arrived", "_at")


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[TestHome]:
    made = make_home(tmp_path, network=NETWORK)
    made.transport.by_endpoint["https://relay-one.example"] = FakeCoordinator(NETWORK, clock=made.clock)
    yield made
    made.home.close()


@pytest.fixture
async def person(at_home: TestHome) -> AsyncIterator[httpx.AsyncClient]:
    async with at_home.client() as client:
        client.headers["authorization"] = f"Bearer {await at_home.sign_in(client)}"
        yield client


def names_in(value: Any) -> set[str]:
    """Return every member name of a document."""
    if isinstance(value, list):
        return set().union(*map(names_in, value))
    return set(value) | set().union(*map(names_in, value.values())) if isinstance(value, dict) else set()


async def test_an_event_of_an_organization_holds_no_time(person: httpx.AsyncClient) -> None:
    job = (await person.post("/v1/questions", json=ASK)).json()["job"]["id"]
    text = (await person.get(f"/v1/questions/{job}/events")).text
    events = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]
    answered = [json.loads(event["data"]) for event in events if event.get("event") == "organization"]
    assert len(answered) == len(NETWORK.bundle.organizations)
    assert all(set(data) == {"entry", "records"} for data in answered)
    assert [name for data in answered for name in names_in(data) if name.endswith(TIMED)] == []
    assert [event["id"] for event in events if "id" in event] == [str(n + 1) for n in range(len(answered) + 1)]


async def test_reading_a_stream_again_tells_the_same_whenever_that_is(
    at_home: TestHome, person: httpx.AsyncClient
) -> None:
    job = (await person.post("/v1/questions", json=ASK)).json()["job"]["id"]
    first = (await person.get(f"/v1/questions/{job}/events")).content
    at_home.clock.now += 20
    assert (await person.get(f"/v1/questions/{job}/events")).content == first
