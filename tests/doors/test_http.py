"""GraphQL over HTTP at the federation doors beyond the audit: who may ask, how it is sent, what an error may say."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import httpx
import pytest

from concordat_node.doors.door import REQUESTS_MAX, REQUESTS_PER_PERSON_MAX, FederationDoor
from concordat_node.doors.http_request import BODY_BYTES_MAX, QUERY_BYTES_MAX, HttpRequest, HttpResponse, accepted
from concordat_node.home.sessions import Session, SessionKind, SessionStore
from concordat_trust.ids import OrgId
from concordat_trust.wire.transport import WireRequest, WireResponse
from tests.factories.doors import NETWORK_PATH, SUBGRAPH_PATH, Institution
from tests.factories.node import asset_id
from tests.federation.consortium import HOME

PATHS = [NETWORK_PATH, SUBGRAPH_PATH]
RESPONSE = "application/graphql-response+json"


def code_of(response: httpx.Response | HttpResponse) -> str:
    body = json.loads(response.content if isinstance(response, httpx.Response) else response.body)
    (error,) = body["errors"]
    return str(error["extensions"]["code"])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("query", ["{ __typename }", "{ _service { sdl } }", "{", "{ search { total } }"])
async def test_who_is_not_signed_in_learns_nothing_not_even_of_the_query(
    query: str, path: str, asked: Institution
) -> None:
    for token in (None, "", "unknown", "x" * 1_000):
        response = await asked.post(query, token=token, path=path)
        assert (response.status_code, code_of(response)) == (401, "not_signed_in")
        assert response.headers["www-authenticate"].startswith("Bearer")
    assert asked.questions() == []


async def test_a_session_that_was_closed_asks_no_more(institution: Institution) -> None:
    token = institution.sign_in("leaver")
    assert (await institution.post("{ __typename }", token=token)).status_code == 200
    institution.home.home.sessions.close(token)
    assert (await institution.post("{ __typename }", token=token)).status_code == 401


async def test_a_doubled_token_or_purpose_is_neither(institution: Institution, token: str) -> None:
    other = institution.sign_in("bob")
    async with institution.client() as client:
        headers = [("content-type", "application/json"), ("authorization", f"Bearer {token}")]
        both = [*headers, ("authorization", f"Bearer {other}")]
        response = await client.post(NETWORK_PATH, content=b'{"query":"{__typename}"}', headers=both)
        assert response.status_code == 401
        twice = [*headers, ("concordat-purpose", "GRU"), ("concordat-purpose", "HMB")]
        response = await client.post(NETWORK_PATH, content=b'{"query":"{__typename}"}', headers=twice)
        assert (response.status_code, code_of(response)) == (400, "purpose_malformed")


@pytest.mark.parametrize(
    "purpose", ["", "NOPE", "GRU,HMB", "{}", '{"code":"DS"}', '{"code":"GRU","more":1}', '{"code":', "x" * 2_000]
)
async def test_a_purpose_that_is_none_refuses_the_request(purpose: str, institution: Institution, token: str) -> None:
    response = await institution.post("{ __typename }", token=token, purpose=purpose)
    assert (response.status_code, code_of(response)) == (400, "purpose_malformed")


async def test_a_purpose_may_be_a_code_or_the_whole_object(asked: Institution, token: str) -> None:
    for purpose in ("HMB", '{"code": "DS", "disease": "MONDO:0007254"}'):
        await asked.data("{ search(first: 1) { total } }", token=token, purpose=purpose, path=SUBGRAPH_PATH)
    purposes = [question["purpose"] for _org, question, _part in asked.questions()]
    assert [(p["code"], p["disease"]) for p in purposes] == [("HMB", None), ("DS", "MONDO:0007254")]  # type: ignore[call-overload,index]


async def test_a_body_is_read_up_to_its_limit(institution: Institution, token: str) -> None:
    def body_of(size: int) -> bytes:
        start, end = b'{"query":"{__typename}","extensions":{"x":"', b'"}}'
        return start + b"a" * (size - len(start) - len(end)) + end

    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    async with institution.client() as client:
        at = await client.post(NETWORK_PATH, content=body_of(BODY_BYTES_MAX), headers=headers)
        past = await client.post(NETWORK_PATH, content=body_of(BODY_BYTES_MAX + 1), headers=headers)
    assert at.status_code == 200
    assert (past.status_code, code_of(past)) == (413, "graphql_body_too_large")


async def test_an_address_is_read_up_to_its_limit(institution: Institution, token: str) -> None:
    door = FederationDoor(institution.home.home, "network")
    headers = {"authorization": f"Bearer {token}"}
    start = b"query=%7B__typename%7D&x="
    at = await door.handle(HttpRequest("GET", start + b"a" * (QUERY_BYTES_MAX - len(start)), headers, b""))
    past = await door.handle(HttpRequest("GET", start + b"a" * (QUERY_BYTES_MAX - len(start) + 1), headers, b""))
    assert at.status == 200
    assert (past.status, code_of(past)) == (413, "graphql_body_too_large")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_other_methods_are_refused(method: str, institution: Institution, token: str) -> None:
    async with institution.client() as client:
        response = await client.request(method, NETWORK_PATH, headers={"authorization": f"Bearer {token}"})
    assert (response.status_code, code_of(response)) == (405, "graphql_method_refused")
    assert response.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        (RESPONSE, RESPONSE),
        (f"{RESPONSE};q=0.5, application/json", "application/json"),
        (f"application/json;q=0.5, {RESPONSE}", RESPONSE),
        (f"text/html, {RESPONSE};charset=utf-8", RESPONSE),
    ],
)
def test_the_caller_chooses_the_media_type(accept: str | None, given: str) -> None:
    assert accepted(accept) == given


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "application/json;q=x"])
async def test_what_the_caller_would_not_take_is_not_sent(accept: str, institution: Institution, token: str) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}", "accept": accept}
    async with institution.client() as client:
        response = await client.post(NETWORK_PATH, content=b'{"query":"{__typename}"}', headers=headers)
    assert (response.status_code, code_of(response)) == (406, "graphql_not_acceptable")


async def test_answers_are_never_stored_and_differ_by_person_and_purpose(institution: Institution, token: str) -> None:
    for asker in (token, None):
        response = await institution.post("{ __typename }", token=asker)
        assert response.headers["cache-control"] == "no-store"
        assert {"authorization", "concordat-purpose"} <= set(response.headers["vary"].split(", "))
        assert response.headers["x-content-type-options"] == "nosniff"


async def test_the_answer_stands_in_the_order_of_the_selection(institution: Institution, token: str) -> None:
    response = await institution.post("{ search { total findings { code } hits { organization } exact } }", token=token)
    assert list(response.json()["data"]["search"]) == ["total", "findings", "hits", "exact"]


class Broken:
    """A transport with a bug in it, whose text must not leave."""

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        raise ValueError("secret detail of a bug")


class Hanging:
    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        await asyncio.sleep(3_600)
        raise AssertionError


def request_of(token: str, query: str) -> HttpRequest:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "concordat-purpose": "GRU"}
    return HttpRequest("POST", b"", headers | {"accept": RESPONSE}, json.dumps({"query": query}).encode())


def endpoints(institution: Institution) -> list[str]:
    members = institution.network.bundle
    return [members.member(OrgId.parse(name)).endpoint for name in ("relay-one", "alma-university")]


@pytest.mark.parametrize("query", ["{ search { total } }", '{ model(id: "ID") { title } }'])
async def test_a_bug_leaves_as_a_code_and_not_as_its_text(query: str, institution: Institution) -> None:
    token = institution.sign_in("bug-finder")
    held = dict(institution.home.transport.by_endpoint)
    institution.home.transport.by_endpoint |= dict.fromkeys(endpoints(institution), Broken())
    try:
        sent = query.replace("ID", str(asset_id("alma-university-sepsis", org=HOME)))
        response = await FederationDoor(institution.home.home, "network").handle(request_of(token, sent))
    finally:
        institution.home.transport.by_endpoint |= held
    assert b"secret" not in response.body
    assert code_of(response) == "door_failed"


async def test_a_request_has_a_deadline_and_leaves_nothing_behind(institution: Institution, token: str) -> None:
    held = dict(institution.home.transport.by_endpoint)
    institution.home.transport.by_endpoint |= dict.fromkeys(endpoints(institution), Hanging())
    before = len(asyncio.all_tasks())
    try:
        door = FederationDoor(institution.home.home, "network", seconds_max=0.05)
        response = await door.handle(request_of(token, "{ search { total } }"))
        await asyncio.sleep(0)
    finally:
        institution.home.transport.by_endpoint |= held
    assert (response.status, code_of(response)) == (504, "door_timeout")
    assert len(asyncio.all_tasks()) == before


async def test_a_door_answers_so_many_requests_at_once_and_then_again(institution: Institution, token: str) -> None:
    held = dict(institution.home.transport.by_endpoint)
    institution.home.transport.by_endpoint |= dict.fromkeys(endpoints(institution), Hanging())
    door = FederationDoor(institution.home.home, "network", seconds_max=0.2)
    try:
        tokens = [institution.sign_in(f"person-{number % 5}") for number in range(REQUESTS_MAX + 1)]
        many = [door.handle(request_of(each, "{ search { total } }")) for each in tokens]
        answers = await asyncio.gather(*many)
    finally:
        institution.home.transport.by_endpoint |= held
    assert sorted(answer.status for answer in answers) == [503, *[504] * REQUESTS_MAX]
    assert (await door.handle(request_of(token, "{ __typename }"))).status == 200


async def test_one_person_leaves_room_for_the_others(institution: Institution, token: str) -> None:
    held = dict(institution.home.transport.by_endpoint)
    institution.home.transport.by_endpoint |= dict.fromkeys(endpoints(institution), Hanging())
    door = FederationDoor(institution.home.home, "network", seconds_max=0.2)
    greedy = [institution.sign_in("greedy") for _ in range(REQUESTS_PER_PERSON_MAX + 1)]
    try:
        many = [door.handle(request_of(each, "{ search { total } }")) for each in (*greedy, token)]
        answers = await asyncio.gather(*many)
    finally:
        institution.home.transport.by_endpoint |= held
    assert sorted(answer.status for answer in answers) == [503, *[504] * (REQUESTS_PER_PERSON_MAX + 1)]
    assert answers[-1].status == 504
    assert (await door.handle(request_of(greedy[0], "{ __typename }"))).status == 200


class BrokenSessions(SessionStore):
    def resolve(self, token: str, *, now: int, kind: SessionKind = "program") -> Session:
        raise ValueError("a path of this machine")


async def test_a_failing_store_is_told_as_a_code(institution: Institution) -> None:
    home = institution.home.home
    broken = BrokenSessions(home.engine, idle_s=60, absolute_s=60, entropy=bytes)
    response = await FederationDoor(replace(home, sessions=broken), "network").handle(request_of("any", "{ a }"))
    assert (response.status, code_of(response)) == (500, "door_failed")
    assert b"machine" not in response.body
