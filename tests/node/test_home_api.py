"""The routes of the home door: who may ask, what comes back, what is kept, and what bad input gets."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from concordat_node.home.http_status import status_of
from concordat_node.home.requests import BODY_BYTES_MAX
from concordat_trust.answer import verify_saved_answer
from concordat_trust.bundle import TrustedBundle, verify_bundle
from concordat_trust.bundle.renewal import renew
from concordat_trust.bundle.repository import sign_suspended
from concordat_trust.errors import all_error_classes
from concordat_trust.ids import OrgId
from tests.factories.answers import NORTH, VITALIS, asset_id, demo_network, make_asset
from tests.factories.home import HOME, TestHome, make_home
from tests.factories.network import NOW
from tests.factories.relay import Away, FakeCoordinator, FakeNode

RELAY_AT, HOME_AT = "https://relay-one.example", "https://alma-university.example"
PURPOSE = {"code": "HMB"}
SENTENCE = "models about clinical trial"


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


async def asked(person: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    response = await person.post("/v1/questions", json={"sentence": SENTENCE, "purpose": PURPOSE, **changes})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def test_a_question_comes_back_with_all_that_is_known_of_it(person: httpx.AsyncClient) -> None:
    body = await asked(person, facets=["task"])
    assert len(body["hits"]) == 4
    assert body["facets"] == {"task": {"classification": 3, "regression": 1}}
    assert body["completeness"]["complete"] is True
    assert {entry["organization"] for entry in body["completeness"]["entries"]} == {HOME, NORTH, VITALIS}
    assert [chip["meaning"] for chip in body["understood"]["chips"]] == ["kind is model"]
    assert body["understood"]["text"] == "clinical trial"
    assert body["question"]["text"] == "clinical trial"
    assert (body["merge"], body["findings"], body["coordinator"]) == ("match", [], "relay-one")
    assert body["organizations"][NORTH]["legal_name"] == "North Hospital"
    assert body["purpose"]["code"] == "HMB"


async def test_the_saved_answer_verifies_and_is_the_one_that_was_shown(
    at_home: TestHome, person: httpx.AsyncClient
) -> None:
    body = await asked(person)
    saved = await person.get(f"/v1/questions/{body['job']['id']}/answer")
    assert saved.headers["cache-control"] == "no-store"
    verified = verify_saved_answer(saved.content, bundle_at=lambda _at: at_home.network.bundle)
    assert [hit.record["id"] for hit in verified.merged.hits] == [hit["record"]["id"] for hit in body["hits"]]


async def test_reading_a_stored_search_never_asks_the_network_again(
    at_home: TestHome, person: httpx.AsyncClient
) -> None:
    coordinator = at_home.transport.by_endpoint[RELAY_AT]
    assert isinstance(coordinator, FakeCoordinator)
    body = await asked(person)
    for _ in range(3):
        await person.get(f"/v1/questions/{body['job']['id']}/answer")
    assert len(coordinator.tokens) == 1


async def test_a_stored_search_is_nobody_elses_and_ends_with_the_session(
    at_home: TestHome, person: httpx.AsyncClient
) -> None:
    body = await asked(person)
    path = f"/v1/questions/{body['job']['id']}/answer"
    async with at_home.client() as other:
        assert code_of(await other.get(path)) == (401, "not_signed_in")
        other.headers["authorization"] = f"Bearer {await at_home.sign_in(other)}"
        assert code_of(await other.get(path)) == (404, "job_not_found")
    assert (await person.delete("/v1/session")).status_code == 204
    assert code_of(await person.get(path)) == (401, "not_signed_in")


async def test_a_question_can_be_left_alone_and_come_back_to(at_home: TestHome, person: httpx.AsyncClient) -> None:
    body = {"sentence": SENTENCE, "purpose": PURPOSE}
    begun = await person.post("/v1/questions", json=body, headers={"prefer": "respond-async"})
    assert (begun.status_code, begun.json()["job"]["state"]) == (202, "running")
    place = f"/v1/{begun.headers['location']}"
    events = await person.get(f"{place}/events")
    assert events.headers["content-type"].startswith("text/event-stream")
    named = re.findall(r"^id: (\d+)\nevent: (\w+)$", events.text, re.MULTILINE)
    assert named == [("1", "organization"), ("2", "organization"), ("3", "organization"), ("4", "done")]
    resumed = await person.get(f"{place}/events", headers={"last-event-id": "3"})
    assert re.findall(r"^id: (\d+)$", resumed.text, re.MULTILINE) == ["4"]
    assert (await person.get(f"{place}/events", headers={"last-event-id": "4"})).status_code == 204
    told = (await person.get(place)).json()
    assert (told["state"], told["failure"], len(told["result"]["hits"])) == ("done", None, 4)
    coordinator = at_home.transport.by_endpoint[RELAY_AT]
    assert isinstance(coordinator, FakeCoordinator)
    assert len(coordinator.tokens) == 1


def without(organization: OrgId) -> TrustedBundle:
    """Return the bundle of the same network in which one organization is suspended."""
    network = demo_network()
    signer = network.signing.keyholders[0]
    files = {**network.files, **sign_suspended({organization: 2}, signer=signer, version=2, at=NOW)}
    files |= renew(files, online=network.signing.online, at=NOW)
    return verify_bundle(files, root_sha256=network.root_sha256, at=NOW)


async def test_a_stored_search_ends_when_somebody_in_it_may_no_longer_speak(
    at_home: TestHome, person: httpx.AsyncClient
) -> None:
    place = f"/v1/questions/{(await asked(person))['job']['id']}"
    assert (await person.get(place)).status_code == 200
    at_home.bundles[0] = without(VITALIS)
    for gone in (place, f"{place}/events", f"{place}/answer"):
        assert code_of(await person.get(gone)) == (410, "answer_suspended")


async def test_a_suspended_home_shows_no_stored_search(at_home: TestHome, person: httpx.AsyncClient) -> None:
    place = f"/v1/questions/{(await asked(person))['job']['id']}"
    at_home.bundles[0] = without(HOME)
    assert code_of(await person.get(place))[1] == "organization_suspended"


async def test_a_database_that_fails_is_an_answer_with_a_code_and_nothing_of_its_text(
    at_home: TestHome, person: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with at_home.home.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE session RENAME TO away")
    response = await person.get("/v1/whoami")
    assert code_of(response) == (503, "home_storage_failed")
    assert "session" not in response.json()["error"]["message"]
    assert "OperationalError" in caplog.text
    assert "SELECT" not in caplog.text + response.text


async def test_a_stored_search_ends_when_an_answer_in_it_does(at_home: TestHome, person: httpx.AsyncClient) -> None:
    coordinator = at_home.transport.by_endpoint[RELAY_AT]
    assert isinstance(coordinator, FakeCoordinator)
    coordinator.attested = {NORTH: {"valid_until": NOW + 50}}
    body = await asked(person)
    assert body["job"]["valid_until"] == NOW + 50
    at_home.clock.now = NOW + 50
    assert code_of(await person.get(f"/v1/questions/{body['job']['id']}/answer")) == (404, "job_not_found")


async def test_a_typed_question_is_asked_as_it_is(person: httpx.AsyncClient) -> None:
    wanted = {"op": "eq", "field": "kind", "value": "model"}
    response = await person.post(
        "/v1/questions", json={"question": {"text": "clinical trial", "filter": wanted}, "purpose": PURPOSE}
    )
    assert response.json()["question"]["filter"] == wanted
    assert response.json()["understood"] is None


async def test_assets_come_by_id(at_home: TestHome, person: httpx.AsyncClient) -> None:
    record = make_asset(NORTH, "sepsis")
    at_home.transport.by_endpoint[RELAY_AT] = FakeCoordinator(at_home.network, cards={NORTH: [record]})
    response = await person.post("/v1/assets", json={"ids": [record["id"]], "purpose": PURPOSE})
    assert [hit["record"]["id"] for hit in response.json()["hits"]] == [record["id"]]
    assert response.json()["question"]["operation"] == "assets"


async def test_without_a_coordinator_the_answer_says_whom_nobody_asked(
    at_home: TestHome, person: httpx.AsyncClient
) -> None:
    at_home.transport.by_endpoint[RELAY_AT] = Away()
    body = await asked(person)
    assert (body["merge"], body["coordinator"]) == ("not_compared", None)
    statuses = {entry["organization"]: entry["code"] for entry in body["completeness"]["entries"]}
    assert statuses == {HOME: None, NORTH: "coordinator_unreachable", VITALIS: "coordinator_unreachable"}
    assert body["total"] is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/whoami"),
        ("DELETE", "/v1/session"),
        ("POST", "/v1/questions"),
        ("GET", "/v1/questions/x"),
        ("GET", "/v1/questions/x/events"),
        ("GET", "/v1/questions/x/answer"),
        ("POST", "/v1/assets"),
    ],
)
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic dTpw"])
async def test_who_is_not_signed_in_gets_nothing_else(
    at_home: TestHome, method: str, path: str, authorization: str | None
) -> None:
    async with at_home.client() as stranger:
        headers = {} if authorization is None else {"authorization": authorization}
        response = await stranger.request(method, path, headers=headers, content=b"{" if method == "POST" else None)
        assert code_of(response) == (401, "not_signed_in")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"purpose": PURPOSE}, 400, "document_malformed"),
        ({"sentence": "x", "question": {"text": "x"}, "purpose": PURPOSE}, 400, "document_malformed"),
        ({"sentence": "x"}, 400, "document_malformed"),
        ({"sentence": 1, "purpose": PURPOSE}, 400, "document_malformed"),
        ({"sentence": "x", "purpose": {"code": "fun"}}, 422, "purpose_unknown"),
        ({"sentence": "x", "purpose": {"code": 1}}, 400, "document_malformed"),
        ({"sentence": "x", "purpose": {"code": "DS"}}, 422, "question_malformed"),
        ({"sentence": "x", "purpose": {**PURPOSE, "more": 1}}, 400, "document_malformed"),
        ({"sentence": "x", "purpose": PURPOSE, "more": 1}, 400, "document_malformed"),
        ({"sentence": "x", "purpose": PURPOSE, "page_size": 51}, 422, "page_size_invalid"),
        ({"sentence": "x", "purpose": PURPOSE, "page_size": 0}, 422, "page_size_invalid"),
        ({"sentence": "x", "purpose": PURPOSE, "page_size": "9"}, 400, "document_malformed"),
        ({"sentence": "x" * 501, "purpose": PURPOSE}, 422, "sentence_too_long"),
        ({"sentence": "x", "purpose": PURPOSE, "facets": ["secret"]}, 422, "field_unsupported"),
        ({"sentence": "x", "purpose": PURPOSE, "sort": {"by": "price"}}, 422, "sort_unknown"),
        ({"sentence": "x", "purpose": PURPOSE, "sort": {"by": "metric", "order": "asc"}}, 422, "sort_unknown"),
        ({"sentence": "lisence:MIT", "purpose": PURPOSE}, 422, "filter_field_unknown"),
        (
            {"question": {"filter": {"op": "eq", "field": "x", "value": "y"}}, "purpose": PURPOSE},
            422,
            "field_unsupported",
        ),
        ({"question": {"more": 1}, "purpose": PURPOSE}, 400, "document_malformed"),
        ({"sentence": "x", "purpose": PURPOSE, "page_size": 1.5}, 400, "number_not_canonical"),
    ],
)
async def test_a_bad_question_has_a_code(person: httpx.AsyncClient, body: object, status: int, code: str) -> None:
    assert code_of(await person.post("/v1/questions", json=body)) == (status, code)


@pytest.mark.parametrize(
    ("ids", "status", "code"),
    [
        ([], 400, "document_malformed"),
        ([asset_id(NORTH, "a")] * 2, 400, "document_malformed"),
        (["urn:concordat:north-hospital:model:x"], 400, "asset_id_invalid"),
        ([asset_id("stranger", "a")], 422, "asset_organization_unknown"),
        ([asset_id(NORTH, str(i)) for i in range(51)], 400, "document_malformed"),
    ],
)
async def test_bad_ids_have_a_code(person: httpx.AsyncClient, ids: list[str], status: int, code: str) -> None:
    assert code_of(await person.post("/v1/assets", json={"ids": ids, "purpose": PURPOSE})) == (status, code)


async def test_a_body_is_read_up_to_its_limit(person: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    at_limit = b'{"sentence":"x","purpose":{"code":"HMB"}}'.ljust(BODY_BYTES_MAX)
    assert (await person.post("/v1/questions", content=at_limit, headers=headers)).status_code == 200
    assert code_of(await person.post("/v1/questions", content=at_limit + b" ", headers=headers)) == (
        413,
        "json_too_large",
    )


async def test_without_a_valid_bundle_nothing_is_asked(at_home: TestHome, person: httpx.AsyncClient) -> None:
    at_home.clock.now = at_home.network.bundle.expires_at - 1
    assert (await person.get("/v1/whoami")).status_code == 200
    at_home.clock.now += 1
    response = await person.post("/v1/questions", json={"sentence": "x", "purpose": PURPOSE})
    assert code_of(response) == (503, "home_bundle_unusable")


async def test_every_answer_forbids_caching(person: httpx.AsyncClient) -> None:
    for response in (await person.get("/v1/whoami"), await person.get("/v1/questions/x/answer")):
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"


def test_every_error_has_a_status() -> None:
    statuses = {cls.code: status_of(cls()) for cls in all_error_classes()}
    assert set(statuses.values()) <= {400, 401, 403, 404, 409, 410, 412, 413, 415, 422, 428, 429, 502, 503}
    assert statuses["organization_suspended"] == 403
