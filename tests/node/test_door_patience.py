"""Whoever sends slowly, or nothing at all, does not hold a connection of the node for long."""

from __future__ import annotations

import asyncio

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from concordat_node.api.connection import HEAD_SECONDS_MAX, BoundedConnection
from concordat_node.api.http import BODY_SECONDS_MAX, node_app
from concordat_node.serve import CONNECTIONS_MAX, server_config
from tests.factories.network import make_network
from tests.factories.node import make_node
from tests.factories.serving import sent, served

NETWORK = make_network()
HEAD = b"POST /graphql HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
SHORT_S = 0.3


class Impatient(BoundedConnection):
    head_seconds_max = SHORT_S


def application(body_seconds_max: float = SHORT_S) -> ASGIApp:
    door = make_node(NETWORK, "north-hospital").door
    return node_app(door, is_ready=lambda: True, request_bytes_max=10_000, body_seconds_max=body_seconds_max)


def config(app: ASGIApp | None = None) -> uvicorn.Config:
    made = server_config(app or application(), stop_grace_s=1)
    made.http = Impatient
    return made


async def test_a_body_that_never_ends_is_refused_and_the_connection_closed() -> None:
    async with served(config()) as address:
        answer, after_s = await sent(address, HEAD, b"x")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_too_slow"' in answer
    assert b"connection: close" in answer.lower()
    assert SHORT_S <= after_s < 3


async def test_a_byte_now_and_then_does_not_extend_the_deadline() -> None:
    async with served(config()) as address:
        answer, after_s = await sent(address, HEAD, *[b"x"] * 100, pause_s=0.05)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert after_s < 3


async def test_a_body_within_the_deadline_is_read() -> None:
    async with served(config(application(body_seconds_max=4))) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(HEAD + b"x" * 500)
        await asyncio.sleep(0.1)
        writer.write(b"x" * 500)
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")  # content_digest_mismatch: it was read
        writer.close()


async def test_a_connection_without_a_request_is_closed() -> None:
    async with served(config()) as address:
        answer, after_s = await sent(address)
        assert (answer, after_s < 3) == (b"", True)
        answer, after_s = await sent(
            address, *[b"x-a: 1\r\n" if n else b"GET / HTTP/1.1\r\n" for n in range(100)], pause_s=0.05
        )
        assert (answer, after_s < 3) == (b"", True)


async def test_a_second_request_on_a_connection_has_the_same_deadline() -> None:
    async with served(config()) as address:
        answer, after_s = await sent(address, b"GET /livez HTTP/1.1\r\nhost: node\r\n\r\n", b"GET /li", pause_s=0.1)
    assert answer.endswith(b"alive\n")
    assert after_s < 3


async def test_a_long_answer_is_not_cut_off_by_the_deadline_of_the_head() -> None:
    async def slow(_: Scope, __: Receive, send: Send) -> None:
        await asyncio.sleep(3 * SHORT_S)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async with served(config(slow)) as address:
        request = b"GET / HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n"
        answer, _ = await sent(address, request)
    assert b"done" in answer


async def test_one_connection_too_many_is_told_so_and_others_go_on() -> None:
    made = config(application(body_seconds_max=4))
    made.limit_concurrency = 3
    async with served(made) as address:
        held = [await asyncio.open_connection(*address) for _ in range(2)]
        for _, writer in held:
            writer.write(HEAD)
        await asyncio.sleep(0.05)
        request = b"GET /livez HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n"
        assert (await sent(address, request))[0].startswith(b"HTTP/1.1 503 ")
        held.pop()[1].close()
        await asyncio.sleep(0.05)
        assert (await sent(address, request))[0].startswith(b"HTTP/1.1 200 ")
        for _, writer in held:
            writer.close()


def test_a_node_is_served_with_these_limits() -> None:
    made = server_config(application(), stop_grace_s=1)
    assert made.limit_concurrency == CONNECTIONS_MAX == 512
    assert made.http is BoundedConnection
    assert BoundedConnection.head_seconds_max == HEAD_SECONDS_MAX == BODY_SECONDS_MAX == 10.0
