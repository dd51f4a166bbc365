"""What can go wrong with a coordinator's stream on its way home."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from concordat_trust.wire.event_stream import COMPLETE, HEARTBEAT, encode_event
from tests.federation.memory_transport import StreamFault

FLOOD_BYTES = 2**21
EVENTS_BEFORE = 3
"""How many pieces a fault lets through: the opening comment and two organizations."""


def cut() -> StreamFault:
    """The connection ends in the middle of an event."""

    async def fault(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        count = 0
        async for piece in pieces:
            count += 1
            yield piece if count < EVENTS_BEFORE else piece[: len(piece) // 2]
            if count == EVENTS_BEFORE:
                return

    return fault


def _instead(*, after: int = EVENTS_BEFORE, more: list[bytes]) -> StreamFault:
    async def fault(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        count = 0
        async for piece in pieces:
            count += 1
            yield piece
            if count == after:
                for other in more:
                    yield other

    return fault


def garbage() -> StreamFault:
    """An event that is no GraphQL result stands between two good ones."""
    return _instead(more=[encode_event("next", b'{"data":{"askProgress":{"answer":7}}}')])


def not_json() -> StreamFault:
    return _instead(more=[encode_event("next", b"<html></html>")])


def early_end() -> StreamFault:
    """The stream says that it is complete before the delivery came."""
    return _instead(more=[encode_event(COMPLETE, b"")])


def nulls() -> StreamFault:
    return _instead(more=[encode_event("next", b'{"data":{"askProgress":null}}')])


def an_error() -> StreamFault:
    errors = b'{"errors":[{"message":"relay_failed","extensions":{"code":"relay_failed"}}]}'
    return _instead(more=[encode_event("next", errors)])


def doubled() -> StreamFault:
    """Every event comes twice."""

    async def fault(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece
            yield piece

    return fault


def dribbled() -> StreamFault:
    """Everything comes in pieces of a few hundred bytes."""

    async def fault(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            for start in range(0, len(piece), 700):
                yield piece[start : start + 700]

    return fault


def after_the_end() -> StreamFault:
    """More answers come after the stream was complete."""

    async def fault(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        seen = []
        async for piece in pieces:
            seen.append(piece)
            yield piece
        for piece in seen:
            yield piece

    return fault


def heartbeats() -> StreamFault:
    """Nothing but signs of life, for ever."""

    async def fault(_: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        while True:
            yield HEARTBEAT
            await asyncio.sleep(1)

    return fault


def flood() -> StreamFault:
    """One event of a gigabyte."""

    async def fault(_: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        yield b"event: next\ndata: "
        for _number in range(2**30 // FLOOD_BYTES):
            yield b" " * FLOOD_BYTES

    return fault
