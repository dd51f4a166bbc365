"""Events with a sign of life where none come for a while, so that nobody on the way closes the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

HEARTBEAT_S = 12.0
Event = TypeVar("Event")


async def with_heartbeats(events: AsyncIterator[Event], *, every_s: float) -> AsyncGenerator[Event | None, None]:
    """Yield the events as they come, and None whenever none has come for `every_s`. The events go on meanwhile."""
    while True:
        waiting = asyncio.ensure_future(_next(events))
        try:
            while not (await asyncio.wait({waiting}, timeout=every_s))[0]:
                yield None
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        try:
            event = waiting.result()
        except StopAsyncIteration:
            return
        yield event


async def _next(events: AsyncIterator[Event]) -> Event:
    return await anext(events)
