"""HTTP around the doors: a body limit, their routes, two health checks, and the home door's routes if there are any.

Rules of this file:

* The body is read whole before anything parses it, counted while it arrives and refused at the limit;
  `content-length` is believed only when it is too large. It has a deadline from its first byte to its last, so that
  a byte now and then holds no connection.
* A header that is there twice is refused: two readers could take different ones for the signed one.
* Nothing is decided here. Introspection, playground and OpenAPI pages do not exist.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from concordat_node.access.refusals import BodyTooSlow, refusal
from concordat_node.api.door import NodeDoor
from concordat_trust.bundle.serving import BUNDLE_PATH, ServedBundle
from concordat_trust.join_ping import PATH as PING_PATH
from concordat_trust.peer_message import PATH as PEER_PATH
from concordat_trust.wire.transport import WireRequest, WireResponse

Handle = Callable[[WireRequest], Awaitable[WireResponse]]
"""A door: the answer or the refusal for a request, never an exception."""
HEADER_BYTES_MAX = 131_072
BODY_SECONDS_MAX = 10.0
_SINGLE: Final = frozenset(
    {
        "authorization",
        "concordat-timeout-ms",
        "content-digest",
        "content-length",
        "content-type",
        "host",
        "signature",
        "signature-input",
        "transfer-encoding",
    }
)


class BodyLimit:
    """Pure ASGI: refuses bodies over `bytes_max` or `seconds_max` and headers that are doubled or too large."""

    def __init__(self, app: ASGIApp, *, bytes_max: int, seconds_max: float) -> None:
        self._app = app
        self._bytes_max = bytes_max
        self._seconds_max = seconds_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = _header_problem(scope, self._bytes_max)
        if problem is not None:
            await _send(refusal(problem), send)
            return
        try:
            async with asyncio.timeout(self._seconds_max):
                body = await _whole_body(receive, self._bytes_max)
        except TimeoutError:
            await _send(refusal(BodyTooSlow.code), send)
            return
        if body is None:
            await _send(refusal("body_too_large"), send)
            return
        await self._app(scope, _replaying(body, receive), send)


def node_app(
    door: NodeDoor,
    *,
    is_ready: Callable[[], bool],
    request_bytes_max: int,
    body_seconds_max: float = BODY_SECONDS_MAX,
    routers: Sequence[APIRouter] = (),
    peers: Handle | None = None,
    pings: Handle | None = None,
    bundle: ServedBundle | None = None,
    bundle_words: Callable[[], str] = lambda: "",
) -> ASGIApp:
    """Return the ASGI application of a node."""
    app = FastAPI(title="Concordat node", docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/graphql")
    async def graphql(request: Request) -> Response:
        return await _handled(request, door.handle)

    for path, handle in ((PEER_PATH, peers), (PING_PATH, pings)):
        if handle is not None:
            app.add_api_route(path, _route(handle), methods=["POST"])

    if bundle is not None:
        served = bundle

        @app.get(BUNDLE_PATH + "{name:path}")
        async def bundle_file(name: str) -> Response:
            data = served.file(name)
            headers = {"cache-control": "no-store"}
            return Response(data or b"", 404 if data is None else 200, headers, media_type="application/octet-stream")

    @app.get("/livez")
    async def livez() -> Response:
        return Response("alive\n", media_type="text/plain")

    @app.get("/readyz")
    async def readyz() -> Response:
        ready = is_ready()
        text = ("ready\n" if ready else "not ready\n") + bundle_words()
        return Response(text, 200 if ready else 503, media_type="text/plain")

    for router in routers:
        app.include_router(router)
    return BodyLimit(app, bytes_max=request_bytes_max, seconds_max=body_seconds_max)


def _route(handle: Handle) -> Callable[[Request], Awaitable[Response]]:
    async def route(request: Request) -> Response:
        return await _handled(request, handle)

    return route


async def _handled(request: Request, handle: Handle) -> Response:
    headers = {name.lower(): value for name, value in request.headers.items()}
    path = request.scope["raw_path"].decode("latin-1") if request.scope.get("raw_path") else request.url.path
    if request.scope.get("query_string"):
        return _response(refusal("request_malformed"))
    return _response(await handle(WireRequest(request.method, path, headers, await request.body())))


def _header_problem(scope: Scope, bytes_max: int) -> str | None:
    names = [name.decode("latin-1").lower() for name, _ in scope["headers"]]
    single = [name for name in names if name in _SINGLE]
    if len(single) != len(set(single)):
        return "request_malformed"
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES_MAX:
        return "request_malformed"
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 18:
        return "request_malformed"
    return "body_too_large" if int(length) > bytes_max else None


async def _whole_body(receive: Receive, bytes_max: int) -> bytes | None:
    """Return the body, or None as soon as it is longer than `bytes_max`."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > bytes_max:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replaying(body: bytes, receive: Receive) -> Receive:
    is_read = False

    async def replayed() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _response(answer: WireResponse) -> Response:
    return Response(answer.body, answer.status, headers=dict(answer.headers))


async def _send(answer: WireResponse, send: Send) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    # The rest of the body is not read; the connection cannot be used again.
    headers += [(b"content-length", str(len(answer.body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
