"""The door and its HTTP shell: one path, one method, refusals with a code and nothing more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from concordat_coordinator.api.door import RelayDoor
from concordat_coordinator.api.http import build_app, read_bounded
from concordat_coordinator.api.schema import SCHEMA, AskContext
from concordat_coordinator.cost import Limits
from concordat_coordinator.errors import CoordinatorNotReady
from concordat_coordinator.relay import RelayKeys, RelayService
from concordat_trust import jose
from concordat_trust.bundle import TrustedBundle
from concordat_trust.canonical import JsonObject
from concordat_trust.wire.coordinator_documents import (
    COORDINATOR_ASK,
    COORDINATOR_ASK_PROGRESS,
    COORDINATOR_ASK_PROGRESS_ID,
)
from concordat_trust.wire.transport import WireRequest, WireResponse
from tests.coordinator.asks import AskDraft, network
from tests.factories.network import NOW
from tests.factories.node import NORTH, RELAY, Entropy, make_asset, make_node
from tests.factories.streaming import read_whole, results_in
from tests.federation.memory_transport import MemoryTransport

PROGRESS = AskDraft(document_id=COORDINATOR_ASK_PROGRESS_ID)


def _bundle() -> TrustedBundle:
    return network().bundle


def _relay(
    transport: MemoryTransport | None = None, *, limits: Limits | None = None, bundle: Callable[[], Any] = _bundle
) -> RelayService:
    keys = network().keys[RELAY]
    return RelayService(
        me=RELAY,
        keys=RelayKeys(request=keys["request"], delivery=keys["delivery"]),
        bundle=bundle,
        transport=transport or MemoryTransport(0),
        clock=lambda: NOW,
        entropy=Entropy("relay"),
        limits=limits,
    )


def _code(response: WireResponse) -> tuple[int, str]:
    document = json.loads(response.body)
    assert "data" not in document
    [error] = document["errors"]
    assert error == {"message": error["message"], "extensions": {"code": error["message"]}}
    return response.status, str(error["message"])


async def _handle(request: WireRequest, **options: Any) -> WireResponse:
    return await RelayDoor(_relay(**options)).handle(request)


async def test_an_answer_names_every_organization_even_when_nobody_can_be_reached() -> None:
    response = await _handle(AskDraft().request())
    assert (response.status, response.headers["content-type"]) == (200, "application/graphql-response+json")
    answer = json.loads(response.body)["data"]["ask"]
    assert [(entry["organization"], entry["status"]) for entry in answer["answers"]] == [
        ("alma-university", "UNREACHABLE"),
        ("north-hospital", "UNREACHABLE"),
        ("vitalis", "UNREACHABLE"),
    ]
    assert json.loads(answer["merged"])["completeness"]["answered"] == 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"path": "/"}, (404, "not_found")),
        ({"path": "/graphql/"}, (404, "not_found")),
        ({"path": "/graphql?query={}"}, (404, "not_found")),
        ({"method": "GET"}, (405, "method_not_allowed")),
        ({"body": b"{}"}, (400, "content_digest_mismatch")),
        ({"headers": {}}, (400, "content_digest_mismatch")),
        ({"body": b"x" * 3_000_000}, (413, "relay_ask_too_large")),
    ],
)
async def test_whatever_is_no_question_is_refused_with_a_code(change: Any, expected: tuple[int, str]) -> None:
    assert _code(await _handle(replace(AskDraft().request(), **change))) == expected


@pytest.mark.parametrize(
    ("draft", "expected"),
    [
        (AskDraft(receiver=NORTH), (401, "request_signature_invalid")),
        (AskDraft(presenter=NORTH), (401, "token_presenter")),
        (AskDraft(signer=NORTH), (400, "relay_home_mismatch")),
        (AskDraft(document_id="00"), (400, "relay_document_unknown")),
        (AskDraft(deadline_ms=1), (400, "relay_deadline_out_of_range")),
    ],
)
async def test_a_refusal_has_a_status_by_who_must_act(draft: AskDraft, expected: tuple[int, str]) -> None:
    assert _code(await _handle(draft.request())) == expected


async def test_a_relay_without_a_bundle_is_not_ready() -> None:
    def none() -> TrustedBundle:
        raise CoordinatorNotReady

    response = await _handle(AskDraft().request(), bundle=none)
    assert _code(response) == (503, "coordinator_not_ready")
    assert response.headers["retry-after"] == "1"


async def test_a_relay_that_is_full_refuses_at_once() -> None:
    assert _code(await _handle(AskDraft().request(), limits=Limits(asks_parallel_max=0))) == (
        503,
        "coordinator_overloaded",
    )


async def test_a_relay_that_stops_takes_no_question() -> None:
    relay = _relay()
    relay.stop()
    assert _code(await RelayDoor(relay).handle(AskDraft().request())) == (503, "coordinator_stopping")


async def test_a_bug_leaves_as_a_code_and_never_as_a_text(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> TrustedBundle:
        raise ZeroDivisionError("CANARY /secret/path")

    response = await _handle(AskDraft().request(), bundle=broken)
    assert _code(response) == (500, "relay_failed")
    assert b"CANARY" not in response.body
    assert "ZeroDivisionError at" in caplog.text
    assert "CANARY" not in caplog.text


def _with_a_node(**options: Any) -> RelayDoor:
    node = make_node(network(), NORTH, [make_asset("one"), make_asset("two")])
    transport = MemoryTransport(0, {network().bundle.member(NORTH).endpoint: node.handle})
    return RelayDoor(_relay(transport, **options))


def _context(given: JsonObject, events: list[JsonObject]) -> AskContext:
    async def ask(question: str, parts: str, deadline_ms: int) -> JsonObject:
        return given

    async def progress(question: str, parts: str, deadline_ms: int) -> AsyncIterator[JsonObject]:
        for event in events:
            yield event

    return AskContext(ask, progress)


VARIABLES: dict[str, Any] = {"question": "", "parts": "", "deadlineMs": 1}


async def test_the_schema_and_the_fast_path_give_one_answer() -> None:
    response = await _with_a_node().handle(AskDraft().request())
    given: JsonObject = json.loads(response.body)["data"]["ask"]
    executed = await SCHEMA.execute(COORDINATOR_ASK, VARIABLES, context_value=_context(given, []))
    assert executed.errors is None
    assert executed.data == {"ask": given}
    answers = given["answers"]
    assert isinstance(answers, list)
    results = [answer["results"] for answer in answers if isinstance(answer, dict)]
    assert [len(result) for result in results if isinstance(result, list)] == [2]


async def _streamed(door: RelayDoor, draft: AskDraft = PROGRESS) -> list[Any]:
    async with door.opened(draft.request()) as answer:
        return results_in(await read_whole(answer))


async def test_the_schema_and_the_stream_give_the_same_events() -> None:
    results = await _streamed(_with_a_node())
    context = _context({}, [result["data"]["askProgress"] for result in results])
    subscribed = await SCHEMA.subscribe(COORDINATOR_ASK_PROGRESS, VARIABLES, context_value=context)
    assert not hasattr(subscribed, "errors")
    executed = [event async for event in subscribed]
    assert [event.errors for event in executed] == [None] * 4
    assert [{"data": event.data} for event in executed] == results


async def test_a_stream_tells_of_each_organization_once_and_ends_with_the_delivery() -> None:
    *told, last = [result["data"]["askProgress"] for result in await _streamed(_with_a_node())]
    assert {event["answer"]["organization"]: event["answer"]["status"] for event in told} == {
        "alma-university": "UNREACHABLE",
        "north-hospital": "OK",
        "vitalis": "UNREACHABLE",
    }
    assert len(told) == 3
    assert all((event["delivery"], event["merged"]) == (None, None) for event in told)
    assert last["answer"] is None
    stated = jose.unverified_claims(last["delivery"], bytes_max=100_000)
    assert [item["org"] for item in stated["answers"]] == ["alma-university", "north-hospital", "vitalis"]  # type: ignore[index,union-attr,call-overload]
    assert json.loads(last["merged"])["completeness"]["answered"] == 1


async def test_the_stream_opens_with_a_comment_before_any_node_has_answered() -> None:
    async with _with_a_node().opened(PROGRESS.request()) as answer:
        assert not isinstance(answer, WireResponse)
        assert await anext(answer) == b":\n\n"


@pytest.mark.parametrize(
    ("draft", "expected"),
    [
        (AskDraft(), (406, "relay_document_not_acceptable")),
        (replace(PROGRESS, signer=NORTH), (400, "relay_home_mismatch")),
        (replace(PROGRESS, presenter=NORTH), (401, "token_presenter")),
        (replace(PROGRESS, receiver=NORTH), (401, "request_signature_invalid")),
        (replace(PROGRESS, document_id="00"), (400, "relay_document_unknown")),
        (replace(PROGRESS, deadline_ms=60_001), (400, "relay_deadline_out_of_range")),
        (replace(PROGRESS, path="/"), (404, "not_found")),
    ],
)
async def test_what_is_refused_at_once_is_refused_as_a_stream(draft: AskDraft, expected: tuple[int, str]) -> None:
    relay = _relay()
    async with RelayDoor(relay).opened(draft.request()) as answer:
        assert isinstance(answer, WireResponse)
        assert _code(answer) == expected
    assert relay.asks_running == 0


async def test_a_stream_that_was_meant_is_not_answered_at_once() -> None:
    assert _code(await _handle(PROGRESS.request())) == (406, "relay_document_not_acceptable")


async def test_a_stream_counts_as_a_question_while_it_is_open() -> None:
    door = _with_a_node(limits=Limits(asks_parallel_max=1))
    async with door.opened(PROGRESS.request()), door.opened(PROGRESS.request()) as second:
        assert isinstance(second, WireResponse)
        assert _code(second) == (503, "coordinator_overloaded")
        assert _code(await door.handle(AskDraft().request())) == (503, "coordinator_overloaded")
    assert len(await _streamed(door)) == 4


async def test_a_bug_under_way_is_an_event_with_a_code_and_never_a_text(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(request: WireRequest) -> WireResponse:
        raise ZeroDivisionError("CANARY /secret/path")

    transport = MemoryTransport(0, {network().bundle.member(NORTH).endpoint: broken})
    relay = _relay(transport)
    results = await _streamed(RelayDoor(relay))
    assert results[-1] == {"errors": [{"message": "relay_failed", "extensions": {"code": "relay_failed"}}]}
    assert "CANARY" not in caplog.text + json.dumps(results)
    assert "ZeroDivisionError at" in caplog.text
    assert relay.asks_running == 0


async def _client(app: Any, call: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://relay-one.example") as client:
        return await call(client)


def _app(*, is_ready: bool = True, limits: Limits | None = None) -> Any:
    return build_app(RelayDoor(_relay(limits=limits)), is_ready=lambda: is_ready)


async def test_a_question_over_http_is_answered_like_one_at_the_door() -> None:
    request = AskDraft().request()
    response = await _client(
        _app(), lambda client: client.post("/graphql", content=request.body, headers=dict(request.headers))
    )
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["data"]["ask"]["delivery"]


async def test_a_query_in_the_address_is_no_question() -> None:
    request = AskDraft().request()
    response = await _client(
        _app(), lambda client: client.post("/graphql?x=1", content=request.body, headers=dict(request.headers))
    )
    assert response.status_code == 404


async def test_an_identity_header_that_comes_twice_is_refused() -> None:
    request = AskDraft().request()
    headers = [*request.headers.items(), ("authorization", "Bearer other")]
    response = await _client(_app(), lambda client: client.post("/graphql", content=request.body, headers=headers))
    assert (response.status_code, response.json()["errors"][0]["message"]) == (400, "relay_header_repeated")


async def test_a_head_past_its_limit_is_refused() -> None:
    headers = {"x-filler": "x" * 131_072}
    response = await _client(_app(), lambda client: client.post("/graphql", content=b"{}", headers=headers))
    assert (response.status_code, response.headers["connection"]) == (413, "close")


async def test_a_body_past_the_limit_is_not_read_to_its_end() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1_000
            yield b"x" * 1_000
            await asyncio.sleep(0)

    assert await read_bounded(endless(), 10_000) is None
    assert read == 11_000


async def test_exactly_the_limit_is_read() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 5_000
        yield b"x" * 5_000

    assert await read_bounded(chunks(), 10_000) == b"x" * 10_000


async def test_a_body_past_the_limit_is_refused_over_http() -> None:
    app = _app(limits=Limits(request_bytes_max=100))
    response = await _client(app, lambda client: client.post("/graphql", content=b"x" * 101))
    assert (response.status_code, response.json()["errors"][0]["message"]) == (413, "relay_ask_too_large")


@pytest.mark.parametrize(("is_ready", "status"), [(True, 200), (False, 503)])
async def test_ready_is_not_the_same_as_alive(is_ready: bool, status: int) -> None:
    app = _app(is_ready=is_ready)
    assert (await _client(app, lambda client: client.get("/livez"))).status_code == 200
    assert (await _client(app, lambda client: client.get("/readyz"))).status_code == status


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc", "/graphiql"])
async def test_there_is_nothing_else_to_look_at(path: str) -> None:
    assert (await _client(_app(), lambda client: client.get(path))).status_code == 404


async def test_a_question_by_get_is_not_allowed() -> None:
    assert (await _client(_app(), lambda client: client.get("/graphql"))).status_code == 405
