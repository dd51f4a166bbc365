"""The door: bounded, masked, equal to the golden schema, and over HTTP the same as without."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import httpx
import pytest
from graphql import GraphQLObjectType, build_schema, lexicographic_sort_schema, parse, print_schema

from concordat_node.api.http import node_app
from concordat_node.api.wire_schema import SCHEMA, DoorContext, answer_data, check_documents
from concordat_node.policy.engine import DecisionRequest, Scope
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.records import ASSET_FIELDS, CARD_FIELDS, LINEAGE_FIELDS
from concordat_trust.wire import documents
from concordat_trust.wire.documents import DOCUMENT_IDS, DOCUMENTS, SEARCH, document_id
from concordat_trust.wire.transport import WireRequest
from tests.factories.network import make_network
from tests.factories.node import (
    Asking,
    PrescribedEngine,
    TestNode,
    answer_of,
    asking,
    asset_id,
    attributes_of,
    make_asset,
    make_assets_question,
    make_lineage_question,
    make_node,
    make_question,
    refused_code,
)

T = TypeVar("T")

NETWORK = make_network()
RECORDS = (make_asset("a"), make_asset("b", attributes_of(relay_may_read=False)))


def good(**changes: Any) -> Asking:
    return asking(NETWORK, make_question(NETWORK), **changes)


def golden() -> str:
    from importlib.resources import files

    return files("concordat_trust.wire").joinpath("node.graphql").read_text()


def test_the_schema_is_the_golden_one() -> None:
    assert print_schema(lexicographic_sort_schema(SCHEMA._schema)) == print_schema(
        lexicographic_sort_schema(build_schema(golden()))
    )


def test_the_wire_types_have_exactly_the_fields_of_the_records() -> None:
    schema = build_schema(golden())
    for name, fields in (("Card", CARD_FIELDS), ("Asset", ASSET_FIELDS), ("LineageVertex", LINEAGE_FIELDS)):
        declared = schema.type_map[name]
        assert isinstance(declared, GraphQLObjectType)
        assert tuple(declared.fields) == fields


def test_a_trusted_document_fits_the_schema_and_asks_for_every_field() -> None:
    check_documents()
    for text in DOCUMENTS.values():
        assert "fragment CardFields" in text
        for field in (*ASSET_FIELDS, *LINEAGE_FIELDS):
            assert field in text


def test_document_ids_are_what_peers_agreed_on() -> None:
    """A changed letter is another document: change these only together with a release that reads both."""
    assert DOCUMENT_IDS == {
        "search": "c25f59a07d7ae638d1002377b4c739a30c07c42f6da7c3059501886d8c3802ea",
        "assets": "ac35536b1b032470647d617aea0f3fd52dd4c7e6d4754e7a3ab70ff14781ab8a",
        "lineage": "307fec7055a276cf01c6c63ee3d4867c1b0fa7acc75fb4d87c4197ad370badad",
        "ask": "122853027cd6f3dcbca2b2945453b770989130e25baee7c3163d9e59694d0117",
        "askProgress": "59cfd284f1f700817bcb4e8d76958d39a12cc4f990cb161ad6d587b293787f4b",
    }
    assert all(document_id(text) == DOCUMENT_IDS[name] for name, text in DOCUMENTS.items())
    assert len(parse(documents.ASK).definitions) == 7


@pytest.mark.parametrize("operation", ["search", "assets", "lineage"])
async def test_the_schema_and_the_fast_path_give_one_answer(operation: str) -> None:
    node = make_node(NETWORK, "north-hospital", RECORDS)
    given = []
    inner = node.door._answering.answer

    async def kept(admitted: Any) -> Any:
        given.append(await inner(admitted))
        return given[-1]

    node.door._answering.answer = kept  # type: ignore[method-assign]  # to get hold of the answer, which it passes on
    questions = {"search": make_question, "assets": make_assets_question, "lineage": make_lineage_question}
    question = questions[operation](NETWORK)
    ids = () if operation == "search" else (str(asset_id("a")), str(asset_id("b")))
    answer_of(await node.handle(asking(NETWORK, question, ids=ids).request()), operation)
    result = await SCHEMA.execute(
        DOCUMENTS[operation],
        variable_values={"question": "{}", "part": "{}"},
        context_value=DoorContext(given[0]),
    )
    assert result.errors is None
    assert result.data is not None
    assert canonical_bytes(dict(result.data)) == canonical_bytes(answer_data(operation, given[0]))


async def test_a_raw_record_in_place_of_a_released_one_is_an_error_of_the_schema() -> None:
    from concordat_node.answering.given import GivenAnswer

    raw: Any = (RECORDS[0].record,)
    result = await SCHEMA.execute(
        SEARCH,
        variable_values={"question": "{}", "part": "{}"},
        context_value=DoorContext(GivenAnswer("jws", raw, "{}")),
    )
    assert result.errors
    assert "a title" not in str(result.data)


async def test_more_questions_at_once_than_allowed_are_node_overloaded() -> None:
    release = asyncio.Event()

    class Slow(PrescribedEngine):
        async def scope(self, request: DecisionRequest) -> Scope:
            await release.wait()
            return await super().scope(request)

    node = make_node(NETWORK, "north-hospital", RECORDS, engine=Slow(), questions_max=2)
    waiting = [asyncio.create_task(node.handle(good(token_id=c * 22).request())) for c in "ab"]
    await asyncio.sleep(0)
    response = await node.handle(good().request())
    assert refused_code(response) == "node_overloaded"
    assert response.headers["retry-after"] == "1"
    release.set()
    assert [(await task).status for task in waiting] == [200, 200]
    # The refused question consumed nothing and can be asked again.
    assert (await node.handle(good().request())).status == 200


@pytest.mark.parametrize(("header", "ours_ms"), [("20", 10_000), (None, 20), ("9000", 20)])
async def test_the_shorter_of_both_times_ends_the_answer(header: str | None, ours_ms: int) -> None:
    class Stuck(PrescribedEngine):
        async def scope(self, request: DecisionRequest) -> Scope:
            await asyncio.sleep(30)
            raise AssertionError

    node = make_node(NETWORK, "north-hospital", RECORDS, engine=Stuck(), answer_timeout_ms=ours_ms)
    assert refused_code(await node.handle(replace(good(), timeout_ms=header).request())) == "answer_timeout"
    assert node.ledger.count() == 0


async def test_a_bug_leaves_as_node_failed_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: Callable[[], T]) -> T:
        raise ValueError("secret title of a hidden record")

    node = make_node(NETWORK, "north-hospital", RECORDS, run_blocking=broken)
    response = await node.handle(good().request())
    assert refused_code(response) == "node_failed"
    assert b"secret" not in response.body
    # The log names the bug's type and place, and quotes it no more than the answer does.
    assert "NodeFailed [node_failed]" in caplog.text
    assert "ValueError at" in caplog.text
    assert "secret" not in caplog.text


async def test_a_finer_code_does_not_leave() -> None:
    response = await make_node(NETWORK, "north-hospital").handle(good().request(token="a.b.c"))
    assert refused_code(response) == "token_malformed"


async def test_without_a_bundle_every_question_is_bundle_stale() -> None:
    node = make_node(NETWORK, "north-hospital", RECORDS)
    node.bundle = None
    assert refused_code(await node.handle(good().request())) == "bundle_stale"


def over_http(node: TestNode, *, request_bytes_max: int = 131_072, is_ready: bool = True) -> httpx.AsyncClient:
    app = node_app(node.door, is_ready=lambda: is_ready, request_bytes_max=request_bytes_max)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://north-hospital.example")


async def post(client: httpx.AsyncClient, request: WireRequest, **options: Any) -> httpx.Response:
    return await client.post(request.path, content=request.body, headers=dict(request.headers), **options)


async def test_http_gives_what_the_door_gives() -> None:
    async with over_http(make_node(NETWORK, "north-hospital", RECORDS)) as client:
        response = await post(client, good().request())
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/graphql-response+json"
        body: JsonObject = response.json()
        assert list(body) == ["data"]
        replay = await post(client, good().request())
        assert (replay.status_code, replay.json()["errors"][0]["message"]) == (409, "token_replayed")


async def test_a_body_over_the_limit_is_refused_before_it_is_read_whole() -> None:
    read = 0

    async def endless() -> Any:
        nonlocal read
        while read < 1_000_000:
            read += 10_000
            yield b"x" * 10_000

    async with over_http(make_node(NETWORK, "north-hospital"), request_bytes_max=20_000) as client:
        response = await client.post("/graphql", content=endless())
        assert response.status_code == 413
        assert response.json()["errors"][0]["message"] == "body_too_large"
        assert read <= 30_000
        declared = await client.post("/graphql", content=b"x" * 20_001)
        assert declared.status_code == 413
        at_the_limit = await client.post("/graphql", content=b"x" * 20_000)
        assert at_the_limit.json()["errors"][0]["message"] == "content_digest_mismatch"


async def test_a_header_that_is_there_twice_is_request_malformed() -> None:
    request = good().request()
    headers = [*request.headers.items(), ("authorization", request.headers["authorization"])]
    async with over_http(make_node(NETWORK, "north-hospital")) as client:
        response = await client.post("/graphql", content=request.body, headers=headers)
        assert response.json()["errors"][0]["message"] == "request_malformed"


async def test_a_query_string_get_or_unknown_path_reaches_no_door() -> None:
    request = good().request()
    async with over_http(make_node(NETWORK, "north-hospital")) as client:
        response = await post(client, request, params={"query": "{ search }"})
        assert response.json()["errors"][0]["message"] == "request_malformed"
        assert (await client.get("/graphql")).status_code == 405
        for path in ("/docs", "/openapi.json", "/redoc", "/graphiql"):
            assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize(("is_ready", "status"), [(True, 200), (False, 503)])
async def test_health_says_alive_and_ready_apart(is_ready: bool, status: int) -> None:
    async with over_http(make_node(NETWORK, "north-hospital"), is_ready=is_ready) as client:
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code == status
