"""The stream on a real socket: read by a stock client, ended when its reader goes away or is too slow."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
import uvicorn

from concordat_coordinator.api.connection import ABORT
from concordat_coordinator.api.door import READER_GRACE_S, RelayDoor
from concordat_coordinator.api.event_answer import EventAnswer
from concordat_coordinator.api.heartbeat import with_heartbeats
from concordat_coordinator.api.http import build_app
from concordat_coordinator.app import server_config
from concordat_coordinator.cost import Limits
from concordat_coordinator.relay import RelayKeys, RelayService
from concordat_trust.wire.coordinator_documents import COORDINATOR_ASK_PROGRESS_ID
from concordat_trust.wire.transport import WireRequest, WireResponse
from tests.coordinator.asks import AskDraft, network
from tests.factories.network import NOW
from tests.factories.node import NORTH, RELAY, Entropy
from tests.factories.serving import Address, served
from tests.factories.streaming import results_in
from tests.factories.web import INSTALL_SECONDS_MAX, WEB, run_node
from tests.federation.memory_transport import MemoryTransport
from tests.federation.virtual_clock import simulate

PROGRESS = AskDraft(document_id=COORDINATOR_ASK_PROGRESS_ID, deadline_ms=60_000)
LIVES_S = 5.0


@dataclass
class Waiting:
    """A node that answers when it is told to, and knows when nobody waits any more."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    given_up: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: WireRequest) -> WireResponse:
        self.asked.set()
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        return WireResponse(200, {}, b"")


@dataclass
class Served:
    """A coordinator on a socket, and what is behind it."""

    address: Address
    relay: RelayService
    north: Waiting

    @property
    def url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}/graphql"


def _relay(transport: MemoryTransport, **limits: Any) -> RelayService:
    keys = network().keys[RELAY]
    return RelayService(
        me=RELAY,
        keys=RelayKeys(request=keys["request"], delivery=keys["delivery"]),
        bundle=lambda: network().bundle,
        transport=transport,
        clock=lambda: NOW,
        entropy=Entropy("relay"),
        limits=Limits(**limits),
    )


@asynccontextmanager
async def _serving(*, seconds_max: float | None = None) -> AsyncIterator[Served]:
    north = Waiting()
    relay = _relay(MemoryTransport(0, {network().bundle.member(NORTH).endpoint: north.handle}))
    door = RelayDoor(relay) if seconds_max is None else _Hurried(relay, seconds_max)
    async with served(_config(door)) as address:
        try:
            yield Served(address, relay, north)
        finally:
            north.released.set()


class _Hurried(RelayDoor):
    """The same door with less time for a reader."""

    def __init__(self, relay: RelayService, seconds_max: float) -> None:
        super().__init__(relay)
        self._seconds_max = seconds_max

    @property
    def stream_seconds_max(self) -> float:
        return self._seconds_max


def _config(door: RelayDoor) -> uvicorn.Config:
    return server_config(build_app(door, is_ready=lambda: True), stop_grace_s=1)


def _headers(request: WireRequest) -> dict[str, str]:
    return {**request.headers, "accept": "text/event-stream"}


async def _until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIVES_S):
        while not is_true():
            await asyncio.sleep(0.01)


async def test_a_stream_is_sent_event_by_event_with_headers_that_keep_it_flowing() -> None:
    request = PROGRESS.request()
    async with _serving() as coordinator, httpx.AsyncClient(trust_env=False) as client:
        stream = client.stream("POST", coordinator.url, content=request.body, headers=_headers(request))
        async with stream as response:
            assert response.status_code == 200
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-accel-buffering"] == "no"
            received = bytearray()
            async for piece in response.aiter_raw():
                received += piece
                if received.count(b"event: next") == 2:  # the two organizations that cannot be reached
                    assert not coordinator.north.released.is_set()
                    coordinator.north.released.set()
    assert len(results_in(bytes(received))) == 4


async def test_a_refusal_is_no_stream() -> None:
    request = replace(PROGRESS, signer=NORTH).request()
    async with _serving() as coordinator, httpx.AsyncClient(trust_env=False) as client:
        response = await client.post(coordinator.url, content=request.body, headers=_headers(request))
    assert response.status_code == 400
    assert response.json()["errors"][0]["message"] == "relay_home_mismatch"


def _raw(request: WireRequest) -> bytes:
    lines = [f"{name}: {value}" for name, value in _headers(request).items()]
    head = "\r\n".join(["POST /graphql HTTP/1.1", "host: relay", f"content-length: {len(request.body)}", *lines])
    return head.encode() + b"\r\n\r\n" + request.body


async def test_a_reader_that_goes_away_ends_the_question_at_the_nodes() -> None:
    async with _serving() as coordinator:
        reader, writer = await asyncio.open_connection(*coordinator.address)
        writer.write(_raw(PROGRESS.request()))
        await reader.readuntil(b":\n\n")
        await coordinator.north.asked.wait()
        assert coordinator.relay.asks_running == 1
        writer.close()
        async with asyncio.timeout(LIVES_S):
            await coordinator.north.given_up.wait()
        await _until(lambda: coordinator.relay.asks_running == 0)


async def test_a_stream_that_lasts_too_long_is_cut_and_holds_no_place() -> None:
    async with _serving(seconds_max=0.5) as coordinator:
        reader, writer = await asyncio.open_connection(*coordinator.address)
        writer.write(_raw(PROGRESS.request()))
        async with asyncio.timeout(LIVES_S):
            received = await _all_of(reader)
        assert b"event: complete" not in received
        assert coordinator.north.given_up.is_set()
        assert coordinator.relay.asks_running == 0
        writer.close()


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):  # cut, not closed in order
        while piece := await reader.read(65_536):
            received += piece
    return received


async def test_a_reader_that_takes_nothing_is_cut_although_everything_is_there() -> None:
    """Sockets hold megabytes before a sender has to wait, so here the server's side of waiting is played."""
    relay, cut, sent = _relay(MemoryTransport(0)), asyncio.Event(), []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message["type"])
        if len(sent) == 3:
            await asyncio.Event().wait()

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        return {}

    scope = {"type": "http", "extensions": {ABORT: {"abort": cut.set}}}
    await EventAnswer(_Hurried(relay, 0.3), PROGRESS.request())(scope, receive, send)
    assert sent == ["http.response.start", "http.response.body", "http.response.body"]
    assert cut.is_set()
    assert relay.asks_running == 0


def test_a_reader_gets_the_longest_deadline_and_a_little_more() -> None:
    relay = _relay(MemoryTransport(0), deadline_ms_max=7_000)
    assert RelayDoor(relay).stream_seconds_max == 7.0 + READER_GRACE_S == 12.0


def test_signs_of_life_come_when_nothing_else_does() -> None:
    async def events() -> AsyncIterator[str]:
        await asyncio.sleep(25)
        yield "one"
        yield "two"

    async def main() -> list[tuple[float, str | None]]:
        loop = asyncio.get_running_loop()
        return [(loop.time(), event) async for event in with_heartbeats(events(), every_s=10)]

    assert simulate(0, main()) == [(10, None), (20, None), (25, "one"), (25, "two")]


@pytest.mark.timeout(INSTALL_SECONDS_MAX)
async def test_a_stock_client_reads_the_stream() -> None:
    request = replace(PROGRESS, content_type="application/json; charset=utf-8").request()
    async with _serving() as coordinator:
        coordinator.north.released.set()
        done = await asyncio.to_thread(
            run_node,
            WEB / "stream.cjs",
            coordinator.url,
            request.body.decode(),
            json.dumps({name: value for name, value in request.headers.items() if name != "content-type"}),
            timeout_s=60,
        )
    assert done.returncode == 0, done.stderr
    *events, complete = [json.loads(line) for line in done.stdout.splitlines()]
    assert complete == {"complete": True}
    *told, last = [event["next"]["data"]["askProgress"] for event in events]
    assert {event["answer"]["organization"] for event in told} == {"alma-university", "north-hospital", "vitalis"}
    assert last["answer"] is None
    assert last["delivery"].count(".") == 2


@pytest.mark.timeout(INSTALL_SECONDS_MAX)
async def test_a_stock_client_is_told_of_a_refusal() -> None:
    request = replace(PROGRESS, content_type="application/json; charset=utf-8", presenter=NORTH).request()
    async with _serving() as coordinator:
        headers = json.dumps({name: value for name, value in request.headers.items() if name != "content-type"})
        script, body = WEB / "stream.cjs", request.body.decode()
        done = await asyncio.to_thread(run_node, script, coordinator.url, body, headers, timeout_s=60)
    [refused] = [json.loads(line) for line in done.stdout.splitlines()]
    assert "401" in refused["error"]
