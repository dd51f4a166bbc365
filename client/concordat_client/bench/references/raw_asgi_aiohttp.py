"""Frozen reference 2: the least that a relay in Python can do. Do not improve it.

Raw ASGI and aiohttp: the body goes to every node as it came, the bodies that come back leave as one JSON list. Nothing
is parsed, checked, merged or signed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import aiohttp

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Forwarder:
    """An ASGI application."""

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._endpoints = tuple(endpoints)
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        session = self._session
        assert session is not None  # noqa: S101 - the server starts the lifespan first
        answers = await asyncio.gather(*(_ask(session, endpoint, body) for endpoint in self._endpoints))
        answer = b"[" + b",".join(answers) + b"]"
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False) as session:
            self._session = session
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def _ask(session: aiohttp.ClientSession, endpoint: str, body: bytes) -> bytes:
    async with session.post(f"{endpoint}/graphql", data=body, headers={"content-type": "application/json"}) as response:
        return await response.read()
