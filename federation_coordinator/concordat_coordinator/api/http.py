"""The thin HTTP shell around the door: bytes in, bytes out, nothing decided.

Rules of this file:

* The body is counted while it is read; past the limit it is refused without being kept. It has a deadline from its
  first byte to its last, so that a byte now and then holds no connection.
* A header that carries identity must be there once. Two of them mean that somebody between here and the sender reads
  another one than we do.
* Who accepts an event stream gets one (`event_answer`); it is ended when its reader goes away or takes too long.
* /livez says that the process runs, /readyz that it can relay: a trust bundle that is valid now, and not stopping.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI, Request, Response

from concordat_coordinator.admission import PATH
from concordat_coordinator.api.door import RelayDoor, refused
from concordat_coordinator.api.event_answer import EventAnswer, response_of
from concordat_coordinator.errors import AskTooLarge, BodyTooSlow, RelayHeaderRepeated
from concordat_trust.errors import ConcordatError
from concordat_trust.wire.event_stream import is_event_stream
from concordat_trust.wire.transport import WireRequest, WireResponse

HEADERS_BYTES_MAX = 131_072
BODY_SECONDS_MAX = 10.0
SINGLE_HEADERS = ("authorization", "content-type", "content-digest", "signature", "signature-input", "host")
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build_app(
    door: RelayDoor,
    *,
    is_ready: Callable[[], bool],
    body_seconds_max: float = BODY_SECONDS_MAX,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """Return the application; `is_ready` is asked at every /readyz."""
    app = FastAPI(title="Concordat coordinator", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)

    async def livez() -> Response:
        return _plain(200, "alive")

    async def readyz() -> Response:
        return _plain(200, "ready") if is_ready() else _plain(503, "not ready")

    async def graphql(request: Request) -> Response:
        asked = await _asked(request, door, body_seconds_max)
        if isinstance(asked, WireResponse):
            return response_of(asked)
        if is_event_stream(asked.headers.get("accept", "")):
            return EventAnswer(door, asked)
        return response_of(await door.handle(asked))

    options: dict[str, Any] = {"include_in_schema": False, "response_model": None}
    app.add_api_route("/livez", livez, methods=["GET"], **options)
    app.add_api_route("/readyz", readyz, methods=["GET"], **options)
    app.add_api_route(PATH, graphql, methods=["POST"], **options)
    return app


async def _asked(request: Request, door: RelayDoor, body_seconds_max: float) -> WireRequest | WireResponse:
    """Return the request as the door takes it, or why it is not read."""
    raw = request.headers.raw
    names = [name.decode("latin-1").lower() for name, _ in raw]
    if any(names.count(name) > 1 for name in SINGLE_HEADERS):
        return _unread(RelayHeaderRepeated())
    headers_bytes = sum(len(name) + len(value) for name, value in raw)
    if headers_bytes > HEADERS_BYTES_MAX:
        return _unread(AskTooLarge(what="head", size=headers_bytes, size_max=HEADERS_BYTES_MAX))
    try:
        body = await read_bounded(request.stream(), door.body_bytes_max, seconds_max=body_seconds_max)
    except TimeoutError:
        return _unread(BodyTooSlow(seconds_max=int(body_seconds_max)))
    if body is None:
        return _unread(AskTooLarge(what="request", size=door.body_bytes_max + 1, size_max=door.body_bytes_max))
    path = request.scope.get("raw_path") or request.url.path.encode("utf-8")
    if request.url.query:
        path += b"?" + request.scope["query_string"]  # no such path: a query is not covered by the signature
    headers = {name: request.headers[name] for name in set(names)}
    return WireRequest(request.method, path.decode("latin-1"), headers, body)


async def read_bounded(
    chunks: AsyncIterator[bytes], bytes_max: int, *, seconds_max: float = BODY_SECONDS_MAX
) -> bytes | None:
    """Return the whole body, or None when it is longer than `bytes_max`. Raises: TimeoutError after `seconds_max`."""
    body = bytearray()
    async with asyncio.timeout(seconds_max):
        async for chunk in chunks:
            body += chunk
            if len(body) > bytes_max:
                return None
    return bytes(body)


def _unread(error: ConcordatError) -> WireResponse:
    # What is left of the body is never read, so the connection cannot carry another request.
    refusal = refused(error)
    return WireResponse(refusal.status, {**refusal.headers, "connection": "close"}, refusal.body)


def _plain(status: int, text: str) -> Response:
    return Response(content=text, status_code=status, media_type="text/plain")
