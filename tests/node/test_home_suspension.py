"""Suspension at the home door: what was stored is no longer shown, and a suspended organization's own door closes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from fastapi import FastAPI

from concordat_node.home.api import build_home_router
from concordat_node.home.errors import HomeBundleUnusable
from concordat_node.home.job_runner import JobRunner
from concordat_node.home.jobs import JobEvent
from concordat_node.home.stored_standing import still_shown
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.ids import OrgId
from tests.factories.answers import NORTH, VITALIS, demo_network
from tests.factories.home import HOME, TestHome, make_home
from tests.factories.relay import FakeCoordinator, FakeNode
from tests.factories.suspension import after_suspending

RELAY_AT, HOME_AT = "https://relay-one.example", "https://alma-university.example"
QUESTION = {"sentence": "models about clinical trial", "purpose": {"code": "HMB"}}
NETWORK = demo_network()
T = TypeVar("T")


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[TestHome]:
    made = make_home(tmp_path, network=NETWORK)
    made.transport.by_endpoint[RELAY_AT] = FakeCoordinator(NETWORK, clock=made.clock)
    made.transport.by_endpoint[HOME_AT] = FakeNode(NETWORK)
    yield made
    made.home.close()


@pytest.fixture
async def person(at_home: TestHome) -> AsyncIterator[httpx.AsyncClient]:
    async with at_home.client() as client:
        client.headers["authorization"] = f"Bearer {await at_home.sign_in(client)}"
        yield client


@pytest.fixture
async def stored(person: httpx.AsyncClient) -> str:
    """The address of a saved answer with records of every organization."""
    body = (await person.post("/v1/questions", json=QUESTION)).json()
    assert {hit["organization"] for hit in body["hits"]} >= {NORTH, VITALIS}
    path = f"/v1/questions/{body['job']['id']}/answer"
    assert (await person.get(path)).status_code == 200
    return path


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize("suspended", [NORTH, VITALIS])
async def test_a_stored_search_with_an_answer_of_a_suspended_organization_has_ended(
    at_home: TestHome, person: httpx.AsyncClient, stored: str, suspended: OrgId
) -> None:
    at_home.bundles[0] = after_suspending(NETWORK, suspended)
    refused = await person.get(stored)
    assert code_of(refused) == (410, "answer_suspended")
    assert refused.json()["error"]["message"].startswith(f"{suspended}, whose word is in this answer")


async def test_to_another_session_a_suspended_answer_is_one_that_never_was(
    at_home: TestHome, person: httpx.AsyncClient, stored: str
) -> None:
    at_home.bundles[0] = after_suspending(NETWORK, NORTH)
    async with at_home.client() as other:
        other.headers["authorization"] = f"Bearer {await at_home.sign_in(other)}"
        for path in (stored, stored.removesuffix("/answer"), stored.replace("/answer", "/events")):
            assert code_of(await other.get(path)) == (404, "job_not_found")
        del other.headers["authorization"]
        assert code_of(await other.get(stored)) == (401, "not_signed_in")


@pytest.mark.parametrize(
    ("suspended", "expected"), [(NORTH, (410, "answer_suspended")), (HOME, (403, "organization_suspended"))]
)
async def test_a_suspension_between_answer_and_reading_is_told_as_that(
    at_home: TestHome, person: httpx.AsyncClient, suspended: OrgId, expected: tuple[int, str]
) -> None:
    home, bearer = at_home.home, person.headers["authorization"].removeprefix("Bearer ")
    session = home.sessions.resolve(bearer, now=home.clock(), kind="program")

    async def run_blocking(function: Callable[[], T]) -> T:
        done = function()
        if [job.state for job in home.jobs.recent(session, now=home.clock(), count=1)] == ["done"]:
            at_home.bundles[0] = after_suspending(NETWORK, suspended)
        return done

    runner = JobRunner(asker=home.asker, jobs=home.jobs, clock=home.clock, run_blocking=run_blocking)
    app = FastAPI()
    app.include_router(build_home_router(replace(home, runner=runner)))
    async with replace(at_home, app=app).client() as client:
        client.headers["authorization"] = f"Bearer {bearer}"
        assert code_of(await client.post("/v1/questions", json=QUESTION)) == expected


async def test_a_search_of_others_is_still_served(at_home: TestHome, person: httpx.AsyncClient) -> None:
    at_home.bundles[0] = after_suspending(NETWORK, VITALIS)
    body = (await person.post("/v1/questions", json=QUESTION)).json()
    assert {entry["organization"] for entry in body["completeness"]["entries"]} == {HOME, NORTH}
    assert (await person.get(f"/v1/questions/{body['job']['id']}/answer")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/questions"), ("POST", "/v1/assets"), ("GET", "/v1/whoami"), ("GET", "stored")]
)
async def test_the_sessions_of_a_suspended_organization_open_nothing(
    at_home: TestHome, person: httpx.AsyncClient, stored: str, method: str, path: str
) -> None:
    at_home.bundles[0] = after_suspending(NETWORK, HOME)
    response = await person.request(method, stored if path == "stored" else path, json=QUESTION)
    assert code_of(response) == (403, "organization_suspended")


async def test_people_of_a_suspended_organization_sign_in_and_out_and_nothing_of_the_network_opens(
    at_home: TestHome, person: httpx.AsyncClient
) -> None:
    # What is local goes on: their registry is their own (tests/node/test_rest.py), and it needs a session.
    at_home.bundles[0] = after_suspending(NETWORK, HOME)
    async with at_home.client() as another:
        another.headers["authorization"] = f"Bearer {await at_home.sign_in(another)}"
        assert code_of(await another.post("/v1/questions", json=QUESTION)) == (403, "organization_suspended")
    assert (await person.delete("/v1/session")).status_code == 204


@pytest.mark.parametrize("suffix", ["", "/events", "/answer"])
async def test_no_way_to_a_stored_search_stays_open(
    at_home: TestHome, person: httpx.AsyncClient, stored: str, suffix: str
) -> None:
    at_home.bundles[0] = after_suspending(NETWORK, NORTH)
    assert code_of(await person.get(stored.removesuffix("/answer") + suffix)) == (410, "answer_suspended")


# Events that were stored before a suspension.

WITHOUT_NORTH = after_suspending(NETWORK, NORTH)


def told(org: OrgId, *, proved: bool = True) -> JobEvent:
    entry: JsonObject = {"organization": org, "proved": proved, "status": "OK" if proved else "TIMEOUT"}
    records: list[Json] = [{"title": f"a record of {org}"}]
    return JobEvent(1, "organization", canonical_bytes({"entry": entry, "records": records if proved else []}))


def finished(*orgs: OrgId) -> JobEvent:
    entries: list[Json] = [{"organization": org, "proved": True} for org in orgs]
    return JobEvent(2, "done", canonical_bytes({"completeness": {"entries": entries}}))


def test_an_event_of_a_suspended_organization_stays_in_its_place_and_says_nothing_of_its_answer() -> None:
    before = (told(NORTH), told(VITALIS), finished(VITALIS))
    shown = still_shown(before, WITHOUT_NORTH)
    assert shown[1:] == before[1:]
    event = parse_object(shown[0].data, bytes_max=10_000)
    assert (shown[0].seq, shown[0].name, event["records"]) == (1, "organization", [])
    entry = event["entry"]
    assert isinstance(entry, dict)
    assert (entry["status"], entry["code"], entry["said_by"]) == ("UNTRUSTED", "organization_suspended", "home")


def test_what_others_report_of_a_suspended_organization_stays() -> None:
    assert still_shown([told(NORTH, proved=False)], WITHOUT_NORTH) == (told(NORTH, proved=False),)


def test_a_stream_ends_with_why_its_result_is_not_shown() -> None:
    shown = still_shown([told(VITALIS), finished(VITALIS, NORTH)], WITHOUT_NORTH)
    last = shown[-1]
    assert (last.seq, last.name, last.is_last) == (2, "failed", True)
    failure = parse_object(last.data, bytes_max=10_000)
    assert (failure["code"], set(failure)) == ("answer_suspended", {"code", "message", "hint"})
    assert shown[0] == told(VITALIS)


def test_nothing_stored_is_shown_without_a_bundle_in_force() -> None:
    with pytest.raises(HomeBundleUnusable):
        still_shown([told(VITALIS)], None)


def test_while_nobody_is_suspended_events_are_shown_as_they_were_stored() -> None:
    before = (told(NORTH), finished(NORTH, VITALIS))
    assert still_shown(before, NETWORK.bundle) == before
