"""GET /v1/search asks the network as POST /v1/questions does: one path, one answer, one stored job."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.factories.answers import demo_network
from tests.factories.home import TestHome, make_home
from tests.factories.relay import FakeCoordinator, FakeNode
from tests.factories.rest import code_of

SENTENCE = "models about clinical trial"
RELAY_AT, HOME_AT = "https://relay-one.example", "https://alma-university.example"


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[TestHome]:
    network = demo_network()
    made = make_home(tmp_path, network=network)
    made.transport.by_endpoint[RELAY_AT] = FakeCoordinator(network, clock=made.clock)
    made.transport.by_endpoint[HOME_AT] = FakeNode(network)
    yield made
    made.home.close()


@pytest.fixture
async def person(at_home: TestHome) -> AsyncIterator[httpx.AsyncClient]:
    async with at_home.client() as client:
        client.headers["authorization"] = f"Bearer {await at_home.sign_in(client)}"
        yield client


async def test_it_gives_the_answer_of_the_question(person: httpx.AsyncClient) -> None:
    purpose = {"code": "DS", "disease": "MONDO:0007254", "commercial": True, "method": "m", "project": "p"}
    body = {"sentence": SENTENCE, "purpose": purpose, "page_size": 2, "facets": ["task", "kind"]}
    posted = await person.post("/v1/questions", json=body)
    query = {
        "q": SENTENCE,
        "purpose": "DS",
        "disease": "MONDO:0007254",
        "commercial": "true",
        "method": "m",
        "project": "p",
        "page_size": "2",
        "facets": "task,kind",
    }
    found = await person.get("/v1/search", params=query)
    assert found.status_code == 200, found.text
    assert found.json()["hits"]
    for name in ("question", "purpose", "understood", "hits", "facets", "completeness"):
        assert found.json()[name] == posted.json()[name], name


async def test_its_answer_is_stored_as_that_of_a_question(person: httpx.AsyncClient) -> None:
    found = await person.get("/v1/search", params={"q": SENTENCE, "purpose": "HMB"})
    saved = await person.get(f"/v1/questions/{found.json()['job']['id']}/answer")
    assert saved.status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "q=x",
        "purpose=HMB",
        "q=x&purpose=HMB&purpose=GRU",
        "q=x&purpose=HMB&limit=5",
        "q=x&purpose=HMB&page_size=-1",
        "q=x&purpose=HMB&page_size=10000",
        "q=x&purpose=HMB&commercial=yes",
    ],
)
async def test_an_address_that_says_something_else_is_refused(person: httpx.AsyncClient, query: str) -> None:
    assert code_of(await person.get(f"/v1/search?{query}")) == (400, "query_malformed")


async def test_values_are_refused_as_those_of_a_question(person: httpx.AsyncClient) -> None:
    for name, value in (("page_size", "51"), ("purpose", "XYZ"), ("facets", "contact"), ("q", "x" * 5_000)):
        response = await person.get("/v1/search", params={"q": "x", "purpose": "HMB", name: value})
        assert 400 <= response.status_code < 500, name


async def test_it_needs_a_session(at_home: TestHome) -> None:
    async with at_home.client() as stranger:
        response = await stranger.get("/v1/search", params={"q": "x", "purpose": "HMB"})
    assert code_of(response) == (401, "not_signed_in")
