"""POST /v1/lineage of a home door over real nodes and a real relay: a stored job, for its own session alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from concordat_coordinator.api.door import RelayDoor
from concordat_coordinator.relay import RelayKeys, RelayService
from concordat_node.home.api import build_home_router
from concordat_node.home.ask import Asker
from concordat_node.home.job_runner import JobRunner
from concordat_node.home.mint import HomeKeys
from concordat_trust.lineage_walk import DEPTH_MAX
from concordat_trust.saved_walk import verify_saved_walk
from tests.factories.deciding import PrescribedEngine
from tests.factories.home import TestHome, make_home
from tests.factories.node import PATIENT_MS, Clock, Entropy, asset_id, make_node
from tests.federation.consortium import HOME, RELAY
from tests.federation.memory_transport import MemoryTransport
from tests.federation.test_lineage_across_organizations import ARM, BASE, BUNDLE, NETWORK, RECORDS, SECRET, TUNED

ASKED: dict[str, Any] = {"id": str(TUNED), "direction": "up", "purpose": {"code": "GRU"}}


def an_asker() -> Asker:
    """Return what asks a relay in front of three real nodes."""
    to_nodes, from_home = MemoryTransport(1), MemoryTransport(2)
    for org, records in RECORDS.items():
        node = make_node(NETWORK, org, records, engine=PrescribedEngine(), entropy=Entropy(org))
        to_nodes.parties[BUNDLE.member(org).endpoint] = node.handle
    keys = NETWORK.keys[RELAY]
    relay = RelayService(
        me=RELAY,
        keys=RelayKeys(request=keys["request"], delivery=keys["delivery"]),
        bundle=lambda: BUNDLE,
        transport=to_nodes,
        clock=Clock(),
        entropy=Entropy("relay"),
    )
    door, at = RelayDoor(relay), BUNDLE.member(RELAY).endpoint
    from_home.parties[at], from_home.streams[at] = door.handle, door.opened
    own = NETWORK.keys[HOME]
    return Asker(
        organization=HOME,
        coordinators=(RELAY,),
        deadline_ms=PATIENT_MS,
        keys=HomeKeys(query_token=own["query_token"], request=own["request"], pseudonym=b"p" * 32),
        transport=from_home,
        clock=Clock(),
        entropy=Entropy("asker"),
        in_force=lambda: BUNDLE,
    )


@pytest.fixture
async def at_home(tmp_path: Path) -> AsyncIterator[TestHome]:
    made = make_home(tmp_path, network=NETWORK)
    asker, home = an_asker(), made.home
    runner = JobRunner(asker=asker, jobs=home.jobs, clock=home.clock, run_blocking=home.run_blocking)
    app = FastAPI()
    app.include_router(build_home_router(replace(home, asker=asker, runner=runner)))
    yield replace(made, app=app)
    await runner.close()
    home.close()


@pytest.fixture
async def person(at_home: TestHome) -> AsyncIterator[httpx.AsyncClient]:
    async with at_home.client() as client:
        client.headers["authorization"] = f"Bearer {await at_home.sign_in(client)}"
        yield client


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def test_a_walk_comes_back_with_its_picture_and_every_round(person: httpx.AsyncClient) -> None:
    response = await person.post("/v1/lineage", json=ASKED)
    assert response.status_code == 200, response.text
    body = response.json()
    states = {vertex["id"]: vertex["state"] for vertex in body["picture"]["vertices"]}
    assert states == {str(TUNED): "shown", str(BASE): "shown", str(ARM): "shown"}
    assert [each["asked"] for each in body["rounds"]] == [[str(TUNED)], [str(BASE)], [str(ARM)]]
    assert all(each["completeness"]["complete"] and each["findings"] == [] for each in body["rounds"])
    assert body["completeness"]["complete"] is True
    assert (body["completeness"]["asked"], body["completeness"]["answered"]) == (3, 3)


async def test_the_saved_walk_is_the_one_that_was_shown_and_holds(person: httpx.AsyncClient) -> None:
    body = (await person.post("/v1/lineage", json={**ASKED, "id": str(ARM), "direction": "down"})).json()
    saved = await person.get(f"/v1/questions/{body['job']['id']}/answer")
    verified = verify_saved_walk(saved.content, bundle_at=lambda _: BUNDLE)
    assert verified.picture.to_json() == body["picture"]


@pytest.mark.parametrize(
    ("path", "asked"),
    [("/v1/lineage", ASKED), ("/v1/assets", {"ids": [str(TUNED)], "purpose": {"code": "GRU"}})],
)
async def test_what_is_no_search_has_no_next_page(person: httpx.AsyncClient, path: str, asked: dict[str, Any]) -> None:
    body = (await person.post(path, json=asked)).json()
    following = await person.post(f"/v1/questions/{body['job']['id']}/next", json={})
    assert code_of(following) == (409, "next_page_missing")


async def test_a_walk_belongs_to_the_session_that_asked(at_home: TestHome, person: httpx.AsyncClient) -> None:
    body = (await person.post("/v1/lineage", json=ASKED)).json()
    async with at_home.client() as other:
        other.headers["authorization"] = f"Bearer {await at_home.sign_in(other)}"
        assert code_of(await other.get(f"/v1/questions/{body['job']['id']}/answer")) == (404, "job_not_found")
        del other.headers["authorization"]
        assert code_of(await other.post("/v1/lineage", json=ASKED)) == (401, "not_signed_in")


async def test_what_is_hidden_and_what_never_was_look_the_same(person: httpx.AsyncClient) -> None:
    told = []
    for asset in (SECRET, asset_id("vitalis-nowhere", org=SECRET.org)):
        body = (await person.post("/v1/lineage", json={**ASKED, "id": str(asset)})).json()
        told.append(str(body["picture"]).replace(str(asset), "ID"))
        assert body["picture"]["whole"] is True
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"id": "urn:concordat:x"}, 400, "asset_id_invalid"),
        ({"id": str(TUNED).replace("vitalis", "nobody")}, 422, "asset_organization_unknown"),
        ({"direction": "sideways"}, 400, "document_malformed"),
        ({"depth": 0}, 400, "document_malformed"),
        ({"depth": DEPTH_MAX + 1}, 400, "document_malformed"),
        ({"note": "x"}, 400, "document_malformed"),
        ({"purpose": {"code": "XYZ"}}, 422, "purpose_unknown"),
    ],
)
async def test_bad_input_is_named(person: httpx.AsyncClient, changes: dict[str, Any], status: int, code: str) -> None:
    assert code_of(await person.post("/v1/lineage", json={**ASKED, **changes})) == (status, code)


async def test_the_deepest_walk_that_may_be_asked_for_is_walked(person: httpx.AsyncClient) -> None:
    response = await person.post("/v1/lineage", json={**ASKED, "depth": DEPTH_MAX})
    assert response.json()["picture"]["depth_max"] == DEPTH_MAX
