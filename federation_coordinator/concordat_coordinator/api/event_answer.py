"""An answer that is sent piece by piece, for as long as its reader is there and keeps up.

Rules of this file:

* One event is in flight at a time: the server makes the sender wait while the reader's buffer is full. What waits to be
  sent is bounded by the question's own limits, as in an answer that is sent at once.
* A reader that goes away, or has not taken everything in time, ends the question: nothing asks on for nobody. The
  connection of a slow one is cut, because an orderly close would wait for it.
"""

from __future__ import annotations

import asyncio

from fastapi import Response
from starlette.types import Receive, Scope, Send

from concordat_coordinator.api.connection import abort_of
from concordat_coordinator.api.door import RelayDoor
from concordat_trust.wire.event_stream import EVENT_STREAM
from concordat_trust.wire.transport import WireRequest, WireResponse

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_STREAM_HEADERS = {"content-type": f"{EVENT_STREAM}; charset=utf-8", "x-accel-buffering": "no"}


class EventAnswer(Response):
    """The stream of one question, or its refusal."""

    def __init__(self, door: RelayDoor, request: WireRequest) -> None:
        super().__init__()
        self._door = door
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or until the reader is gone or out of time."""
        sending = asyncio.create_task(self._send(scope, receive, send))
        gone = asyncio.create_task(_gone(receive))
        both = {sending, gone}
        try:
            done, _ = await asyncio.wait(
                both, timeout=self._door.stream_seconds_max, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        if not done:
            abort_of(scope)()
            await asyncio.sleep(0)  # the server hears of it before this returns
        elif sending in done:
            sending.result()

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._door.opened(self._request) as answer:
            if isinstance(answer, WireResponse):
                await response_of(answer)(scope, receive, send)
                return
            headers = [(name.encode(), value.encode()) for name, value in {**_HEADERS, **_STREAM_HEADERS}.items()]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async for piece in answer:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def response_of(response: WireResponse) -> Response:
    """Return an answer that is sent at once."""
    return Response(content=response.body, status_code=response.status, headers={**response.headers, **_HEADERS})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # the body has been read; what else comes is not ours
