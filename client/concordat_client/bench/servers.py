"""What is measured: the coordinator as it is served, and the frozen references, each the only work of its process."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection

import uvicorn
from fastapi import FastAPI

from concordat_client.bench.network import RELAY, BenchNetwork
from concordat_client.bench.processes import bound


def serve_coordinator(pipe: Connection, network: BenchNetwork) -> None:
    """Serve the coordinator of this network: its own door, relay, transport and server settings."""
    from concordat_coordinator.aiohttp_transport import AiohttpTransport
    from concordat_coordinator.api.door import RelayDoor
    from concordat_coordinator.api.http import build_app
    from concordat_coordinator.app import server_config
    from concordat_coordinator.relay import RelayKeys, RelayService

    bundle, transport = network.bundle(), AiohttpTransport()
    relay = RelayService(
        me=RELAY,
        keys=RelayKeys(request=network.key(RELAY, "request"), delivery=network.key(RELAY, "delivery")),
        bundle=lambda: bundle,
        transport=transport,
        clock=lambda: int(time.time()),
        entropy=secrets.token_bytes,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with transport:
            yield

    config = server_config(build_app(RelayDoor(relay), is_ready=lambda: True, lifespan=lifespan), stop_grace_s=1)
    config.lifespan = "on"
    _serve(pipe, config)


def serve_naive(pipe: Connection, endpoints: Sequence[str]) -> None:
    """Serve the first reference."""
    from concordat_client.bench.references.naive_strawberry_httpx import build_app

    _serve(pipe, uvicorn.Config(build_app(endpoints), http="httptools", ws="none", log_config=None, access_log=False))


def serve_forwarder(pipe: Connection, endpoints: Sequence[str]) -> None:
    """Serve the second reference."""
    from concordat_client.bench.references.raw_asgi_aiohttp import Forwarder

    app = Forwarder(endpoints)
    config = uvicorn.Config(app, http="httptools", ws="none", log_config=None, access_log=False, lifespan="on")
    _serve(pipe, config)


def _serve(pipe: Connection, config: uvicorn.Config) -> None:
    server, listener = uvicorn.Server(config), bound()
    threading.Thread(target=_listen, args=(pipe, server), daemon=True).start()
    pipe.send([listener.getsockname()[1]])
    server.run(sockets=[listener])


def _listen(pipe: Connection, server: uvicorn.Server) -> None:
    try:
        while True:
            pipe.recv()
            pipe.send(time.process_time())
    except (EOFError, OSError):
        server.should_exit = True
