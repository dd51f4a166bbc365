"""An in-memory `Transport` between parties of one process, with faults on request and a trace of what happened.

It keeps the contract of a real one: the deadline covers everything, the answer is counted while it arrives, and a
refused connection says that nothing was sent. Latency comes from the seed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from concordat_trust.wire.event_stream import is_event_stream
from concordat_trust.wire.transport import (
    Feed,
    PeerAnswerTooLarge,
    PeerTimeout,
    PeerUnreachable,
    WireRequest,
    WireResponse,
)
from tests.factories.streaming import STREAM_HEADERS, fed, read_whole

Handler = Callable[[WireRequest], Awaitable[WireResponse]]
Said = WireResponse | AsyncIterator[bytes]
Opened = Callable[[WireRequest], AbstractAsyncContextManager[Said]]
"""A party that answers piece by piece while it is entered, as `RelayDoor.opened` does."""
StreamFault = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]
CHUNK_BYTES = 65_536


class Fault(Protocol):
    """Stands between transport and party: calls the party, or does not, or changes what it said."""

    async def __call__(
        self, request: WireRequest, party: Handler, endpoint: str
    ) -> WireResponse | AsyncIterator[bytes]: ...


@dataclass
class Event:
    """One line of the trace."""

    at_ms: int
    endpoint: str
    what: str


@dataclass
class MemoryTransport:
    """Carries requests to the parties by endpoint. `faults` of an endpoint are used up one per exchange."""

    seed: int
    parties: dict[str, Handler] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    streams: dict[str, Opened] = field(default_factory=dict)
    stream_faults: dict[str, list[StreamFault]] = field(default_factory=dict)
    trace: list[Event] = field(default_factory=list)
    requests: list[tuple[str, WireRequest]] = field(default_factory=list)
    bytes_read: int = 0

    def __post_init__(self) -> None:
        self._latency = Random(self.seed)

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        self._note(endpoint, "asked")
        self.requests.append((endpoint, request))
        try:
            async with asyncio.timeout(deadline_s):
                await asyncio.sleep(self._latency.uniform(0.001, 0.030))
                response = await self._deliver(endpoint, request, bytes_max)
                await asyncio.sleep(self._latency.uniform(0.001, 0.030))
        except TimeoutError as error:
            self._note(endpoint, "timeout")
            raise PeerTimeout(endpoint=endpoint) from error
        self._note(endpoint, f"answered {response.status}")
        return response

    async def stream(
        self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int, feed: Feed
    ) -> WireResponse:
        self._note(endpoint, "asked")
        self.requests.append((endpoint, request))
        try:
            async with asyncio.timeout(deadline_s):
                await asyncio.sleep(self._latency.uniform(0.001, 0.030))
                return await self._streamed(endpoint, request, bytes_max, feed)
        except TimeoutError as error:
            self._note(endpoint, "timeout")
            raise PeerTimeout(endpoint=endpoint) from error

    async def _streamed(self, endpoint: str, request: WireRequest, bytes_max: int, feed: Feed) -> WireResponse:
        opened = self.streams.get(endpoint)
        if opened is None:
            return fed(await self._deliver(endpoint, request, bytes_max), feed)
        waiting = self.faults.get(endpoint)
        async with contextlib.AsyncExitStack() as stack:
            if waiting:
                answer = await waiting.pop(0)(request, _whole(opened), endpoint)
            else:
                answer = await stack.enter_async_context(opened(request))
            if isinstance(answer, WireResponse):
                if not is_event_stream(answer.headers.get("content-type", "")):
                    self._note(endpoint, f"answered {answer.status}")
                    return answer
                answer = _once(answer.body)
            return await self._fed(answer, endpoint, bytes_max, feed)

    async def _fed(self, pieces: AsyncIterator[bytes], endpoint: str, bytes_max: int, feed: Feed) -> WireResponse:
        count = 0
        for fault in self.stream_faults.pop(endpoint, []):
            pieces = fault(pieces)
        async for piece in pieces:
            count += len(piece)
            self.bytes_read += len(piece)
            if count > bytes_max:
                self._note(endpoint, "cut off")
                raise PeerAnswerTooLarge(endpoint=endpoint, bytes_max=bytes_max)
            await asyncio.sleep(self._latency.uniform(0.001, 0.030))
            if feed(piece):
                break
        self._note(endpoint, "streamed")
        return WireResponse(200, dict(STREAM_HEADERS), b"")

    async def _deliver(self, endpoint: str, request: WireRequest, bytes_max: int) -> WireResponse:
        party = self.parties.get(endpoint)
        if party is None:
            self._note(endpoint, "refused")
            raise PeerUnreachable(endpoint=endpoint, sent=False)
        waiting = self.faults.get(endpoint)
        if not waiting:
            answer: Said = await party(request)
        else:
            answer = await waiting.pop(0)(request, party, endpoint)
        return await self._bounded(answer, endpoint, bytes_max)

    async def _bounded(self, answer: Said, endpoint: str, bytes_max: int) -> WireResponse:
        if isinstance(answer, WireResponse):
            if len(answer.body) > bytes_max:
                raise PeerAnswerTooLarge(endpoint=endpoint, bytes_max=bytes_max)
            return answer
        body = bytearray()
        async for chunk in answer:
            body += chunk
            self.bytes_read += len(chunk)
            if len(body) > bytes_max:
                self._note(endpoint, "cut off")
                raise PeerAnswerTooLarge(endpoint=endpoint, bytes_max=bytes_max)
        return WireResponse(200, {"content-type": "application/json"}, bytes(body))

    def _note(self, endpoint: str, what: str) -> None:
        now_ms = round(asyncio.get_running_loop().time() * 1_000)
        self.trace.append(Event(now_ms, endpoint, what))


def _whole(opened: Opened) -> Handler:
    """Return a streaming party as one that answers at once, for faults that know no other."""

    async def handler(request: WireRequest) -> WireResponse:
        async with opened(request) as answer:
            if isinstance(answer, WireResponse):
                return answer
            return WireResponse(200, dict(STREAM_HEADERS), await read_whole(answer))

    return handler


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def delay(seconds: float) -> Fault:
    """The party answers, but later."""

    async def fault(request: WireRequest, party: Handler, endpoint: str) -> WireResponse:
        await asyncio.sleep(seconds)
        return await party(request)

    return fault


def hang() -> Fault:
    """The party never answers."""
    return delay(1_000_000)


def refuse() -> Fault:
    """Nothing listens: the connection fails before a byte is sent."""

    async def fault(request: WireRequest, party: Handler, endpoint: str) -> WireResponse:
        raise PeerUnreachable(endpoint=endpoint, sent=False)

    return fault


def reset() -> Fault:
    """The party did its work, and the connection breaks before the answer."""

    async def fault(request: WireRequest, party: Handler, endpoint: str) -> WireResponse:
        await party(request)
        raise PeerUnreachable(endpoint=endpoint, sent=True)

    return fault


def says(body: bytes, *, content_type: str = "application/graphql-response+json", status: int = 200) -> Fault:
    """Something answers in the party's place."""

    async def fault(request: WireRequest, party: Handler, endpoint: str) -> WireResponse:
        return WireResponse(status, {"content-type": content_type}, body)

    return fault


def endless(total_bytes: int) -> Fault:
    """An answer of `total_bytes`, made while it is read."""

    async def fault(request: WireRequest, party: Handler, endpoint: str) -> AsyncIterator[bytes]:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(total_bytes // CHUNK_BYTES):
                yield b" " * CHUNK_BYTES

        return chunks()

    return fault


def tamper(change: Callable[[bytes], bytes]) -> Fault:
    """The party's answer is changed on its way."""

    async def fault(request: WireRequest, party: Handler, endpoint: str) -> WireResponse:
        response = await party(request)
        return WireResponse(response.status, response.headers, change(response.body))

    return fault
