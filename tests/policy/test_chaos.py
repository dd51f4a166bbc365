"""An OPA that is dead, slow, or answers something else: the policy is unavailable or denies, and never permits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from concordat_node.policy.engine import PolicyUnavailable
from concordat_node.policy.opa_client import ANSWER_BYTES_MAX, OpaClient, PolicyUndefined
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_trust.canonical import JsonObject
from tests.factories.policy import decision_table

TABLE = decision_table()
PERMIT = {
    "verdict": "permit",
    "level": "FULL",
    "masks": {},
    "obligations": [],
    "reasons": [],
    "missing": [],
    "agreement_ids": [],
    "relay_may_read": True,
    "valid_until": None,
}


class Says:
    """A DecisionPoint that answers everything with one value."""

    revision = "00" * 32

    def __init__(self, value: object) -> None:
        self._value = value

    async def evaluate(self, rule: str, document: JsonObject) -> object:
        return self._value


WRONG: list[object] = [
    {},
    None,
    "permit",
    "",
    1,
    True,
    [],
    [[]],
    {"open": True},
    {"open": "permit"},
    {"open": PERMIT},
    {"open": PERMIT, "canary": PERMIT},
    {"open": PERMIT, "canary": {}},
    [PERMIT],
    [PERMIT, PERMIT],
    {"allow": True},
    {"result": {"open": PERMIT}},
]


@pytest.mark.parametrize("value", WRONG, ids=lambda value: json.dumps(value)[:40])
async def test_a_wrong_value_never_permits(value: object) -> None:
    engine, request = OpaPolicyEngine(Says(value)), TABLE.request("guest")
    for ask in (
        lambda: engine.decide_classes(request, {"open": TABLE.classes["open"]}),
        lambda: engine.decide_page(request, [TABLE.classes["open"]]),
        lambda: engine.scope(request),
    ):
        with pytest.raises(PolicyUnavailable):
            await ask()


async def test_a_partial_answer_denies_what_it_leaves_out() -> None:
    canary = PERMIT | {"verdict": "deny", "level": "NONE"}
    engine = OpaPolicyEngine(Says({"open": PERMIT, "broken": PERMIT | {"level": "NONE"}, "canary": canary}))
    classes = dict.fromkeys(("open", "broken", "left_out"), TABLE.classes["open"])
    decided = await engine.decide_classes(TABLE.request("guest"), classes)
    assert {name: decision.verdict for name, decision in decided.items()} == {
        "open": "permit",
        "broken": "deny",
        "left_out": "deny",
    }


class Server:
    """An HTTP server on a Unix socket that answers every request with fixed bytes, or as slowly as told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.body = b"{}"
        self.status = "200 OK"
        self.delay_s = 0.0
        self.requests = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(self.delay_s)
            head = f"HTTP/1.1 {self.status}\r\ncontent-length: {len(self.body)}\r\nconnection: close\r\n\r\n"
            writer.write(head.encode() + self.body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path / "opa.sock")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[OpaClient]:
    client = OpaClient(server.path, "token", timeout_s=0.2)
    yield client
    await client.close_connection()


async def test_the_result_is_returned(server: Server, client: OpaClient) -> None:
    server.body = b'{"result": {"x": 1}}'
    assert await client.evaluate("disclosure/scope", {}) == {"x": 1}


async def test_no_result_is_undefined_and_unavailable(server: Server, client: OpaClient) -> None:
    with pytest.raises(PolicyUndefined) as caught:
        await client.evaluate("disclosure/misspelt", {})
    assert caught.value.code == "policy_unavailable"
    assert caught.value.fields["cause"] == "undefined"


@pytest.mark.parametrize(
    "body", [b"", b"<html></html>", b"[]", b'"x"', b"1", b"null", b"\xff", b'{"result": ', b"[" * 100_000]
)
async def test_an_answer_that_is_no_json_object_is_malformed(server: Server, client: OpaClient, body: bytes) -> None:
    server.body = body
    with pytest.raises(PolicyUnavailable) as caught:
        await client.evaluate("disclosure/scope", {})
    assert caught.value.fields["cause"] == "malformed"


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "500 Internal Server Error", "202 Accepted"])
async def test_another_status_is_refused_even_with_a_result(server: Server, client: OpaClient, status: str) -> None:
    server.status, server.body = status, b'{"result": {"x": 1}}'
    with pytest.raises(PolicyUnavailable) as caught:
        await client.evaluate("disclosure/scope", {})
    assert caught.value.fields["cause"] == "refused"
    assert server.requests == 1


async def test_an_answer_that_comes_late_is_no_answer(server: Server, client: OpaClient) -> None:
    server.body, server.delay_s = b'{"result": 1}', 2.0
    started = asyncio.get_running_loop().time()
    with pytest.raises(PolicyUnavailable) as caught:
        await client.evaluate("disclosure/scope", {})
    assert caught.value.fields["cause"] == "timeout"
    assert asyncio.get_running_loop().time() - started < 1.5
    assert server.requests == 1


async def test_an_answer_without_end_is_cut_off(server: Server, client: OpaClient) -> None:
    server.body = b'{"result": "' + b"x" * ANSWER_BYTES_MAX + b'"}'
    slow = OpaClient(server.path, "token", timeout_s=20.0)
    with pytest.raises(PolicyUnavailable) as caught:
        await slow.evaluate("disclosure/scope", {})
    await slow.close_connection()
    assert caught.value.fields["cause"] == "malformed"


async def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    client = OpaClient(tmp_path / "nobody.sock", "token")
    with pytest.raises(PolicyUnavailable) as caught:
        await client.evaluate("disclosure/scope", {})
    await client.close_connection()
    assert caught.value.fields["cause"] == "unreachable"
    assert not await client.is_healthy()
    await client.close_connection()
