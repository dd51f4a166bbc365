"""Asking: a closed loop of so many questions at a time, over one pool of connections."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from concordat_client.bench.answers import BenchRound
from concordat_client.bench.errors import BenchAnswerWrong
from concordat_client.bench.processes import Server
from concordat_trust.encoding import b64u

CONCURRENCY = 4
REQUEST_SECONDS_MAX = 70.0
Ask = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Asker:
    """Sends requests and returns whole answers. Raises: BenchAnswerWrong for any but 200."""

    session: aiohttp.ClientSession

    async def post(self, server: str, url: str, body: bytes, headers: dict[str, str]) -> bytes:
        async with self.session.post(url, data=body, headers=headers) as response:
            answer = await response.read()
            if response.status != 200:
                raise BenchAnswerWrong(server=server, problem=f"HTTP status {response.status}: {answer[:200]!r}")
            return answer

    def of_coordinator(self, server: Server, asked: BenchRound) -> Ask:
        """Return what asks the coordinator; every request has a signature of its own."""

        async def ask() -> bytes:
            headers = asked.signed_headers(created=int(time.time()), nonce=b64u(secrets.token_bytes(16)))
            return await self.post("the coordinator", f"{server.url}/graphql", asked.body, headers)

        return ask

    def of(self, name: str, url: str, body: bytes) -> Ask:
        """Return what asks a reference, or a node."""

        async def ask() -> bytes:
            return await self.post(name, url, body, {"content-type": "application/json"})

        return ask


@asynccontextmanager
async def asking() -> AsyncIterator[Asker]:
    """Yield an asker with its own connections."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS_MAX)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        yield Asker(session)


async def cpu_ms(server: Server, ask: Ask, *, questions: int, concurrency: int = CONCURRENCY) -> float:
    """Return the CPU milliseconds that one question costs the server."""
    before = server.cpu_seconds()
    left = iter(range(questions))

    async def worker() -> None:
        for _ in left:
            await ask()

    await asyncio.gather(*(worker() for _ in range(min(concurrency, questions))))
    return (server.cpu_seconds() - before) * 1_000 / questions


async def seconds(ask: Ask, *, questions: int) -> list[float]:
    """Return how long each of so many questions took, one after the other."""
    took = []
    for _ in range(questions):
        began_at = time.perf_counter()
        await ask()
        took.append(time.perf_counter() - began_at)
    return took
