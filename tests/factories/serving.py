"""An ASGI application on a real loopback socket, for tests of connections that do not behave."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

Address = tuple[str, int]


@asynccontextmanager
async def served(config: uvicorn.Config) -> AsyncIterator[Address]:
    """Yield where the configured server listens: 127.0.0.1 and a free port."""
    config.host, config.port, config.lifespan, config.log_config = "127.0.0.1", 0, "off", None
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield host, port
    finally:
        server.should_exit = True
        await task


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the end. Who goes on writing to a server that has closed gets a reset for it."""
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := await reader.read(65_536):
            received += piece
    return bytes(received)


async def sent(address: Address, *pieces: bytes, pause_s: float = 0.0) -> tuple[bytes, float]:
    """Return all that comes back until the server closes, and after how many seconds; give up after five."""
    reader, writer = await asyncio.open_connection(*address)
    started = time.monotonic()

    async def trickle() -> None:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause_s)

    trickling = asyncio.create_task(trickle())
    try:
        async with asyncio.timeout(5):
            return await _all_of(reader), time.monotonic() - started
    finally:
        trickling.cancel()
        await asyncio.gather(trickling, return_exceptions=True)
        writer.close()
