"""Whoever sends slowly, or nothing at all, does not hold a connection of the coordinator for long."""

from __future__ import annotations

import uvicorn

from concordat_coordinator.api.connection import HEAD_SECONDS_MAX, BoundedConnection
from concordat_coordinator.api.door import RelayDoor
from concordat_coordinator.api.http import BODY_SECONDS_MAX, build_app
from concordat_coordinator.app import CONNECTIONS_MAX, server_config
from concordat_coordinator.relay import RelayKeys, RelayService
from tests.coordinator.asks import network
from tests.factories.network import NOW
from tests.factories.node import RELAY, Entropy
from tests.factories.serving import sent, served
from tests.federation.memory_transport import MemoryTransport

HEAD = b"POST /graphql HTTP/1.1\r\nhost: relay\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
SHORT_S = 0.3


class Impatient(BoundedConnection):
    head_seconds_max = SHORT_S


def _relay() -> RelayService:
    keys = network().keys[RELAY]
    return RelayService(
        me=RELAY,
        keys=RelayKeys(request=keys["request"], delivery=keys["delivery"]),
        bundle=lambda: network().bundle,
        transport=MemoryTransport(0),
        clock=lambda: NOW,
        entropy=Entropy("relay"),
        limits=None,
    )


def config() -> uvicorn.Config:
    app = build_app(RelayDoor(_relay()), is_ready=lambda: True, body_seconds_max=SHORT_S)
    made = server_config(app, stop_grace_s=1)
    made.http = Impatient
    return made


async def test_a_body_that_never_ends_is_refused_and_the_connection_closed() -> None:
    async with served(config()) as address:
        answer, after_s = await sent(address, HEAD, b"x")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"relay_body_too_slow"' in answer
    assert b"connection: close" in answer.lower()
    assert SHORT_S <= after_s < 3


async def test_a_byte_now_and_then_does_not_extend_the_deadline() -> None:
    async with served(config()) as address:
        answer, after_s = await sent(address, HEAD, *[b"x"] * 100, pause_s=0.05)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert after_s < 3


async def test_a_body_that_nobody_reads_holds_no_connection_either() -> None:
    head = b"GET /livez HTTP/1.1\r\nhost: relay\r\ncontent-length: 1000\r\n\r\n"
    async with served(config()) as address:
        answer, after_s = await sent(address, head, *[b"x"] * 100, pause_s=0.05)
    assert b"alive" in answer
    assert after_s < 3


async def test_a_connection_without_a_request_is_closed() -> None:
    async with served(config()) as address:
        answer, after_s = await sent(address)
    assert (answer, after_s < 3) == (b"", True)


def test_a_coordinator_is_served_with_these_limits() -> None:
    app = build_app(RelayDoor(_relay()), is_ready=lambda: True)
    made = server_config(app, stop_grace_s=1)
    assert made.limit_concurrency == CONNECTIONS_MAX == 512
    assert made.http is BoundedConnection
    assert BoundedConnection.head_seconds_max == HEAD_SECONDS_MAX == BODY_SECONDS_MAX == 10.0
