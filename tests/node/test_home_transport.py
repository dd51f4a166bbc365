"""The home node's transport against servers that dribble, flood, redirect, compress, and are not there."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from concordat_node.home.httpx_transport import HttpxTransport
from concordat_trust.errors import PeerFailure
from concordat_trust.wire.transport import (
    PeerAnswerInvalid,
    PeerAnswerTooLarge,
    PeerOverloaded,
    PeerTimeout,
    PeerUnreachable,
    WireRequest,
    WireResponse,
)

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REQUEST = WireRequest("POST", "/graphql", {"content-type": "application/json"}, b"{}")


@contextlib.asynccontextmanager
async def serving(behaviour: Behaviour) -> AsyncIterator[str]:
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            # Closing with the body unread would reset the connection, and sometimes outrun the answer.
            await reader.readexactly(len(REQUEST.body))
            await behaviour(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side left, or the test is over
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.get_running_loop().create_task(handle(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    async with server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            for task in handlers:
                task.cancel()
            await asyncio.gather(*handlers)


def says(head: str, body: bytes = b"") -> Behaviour:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return behave


async def exchange(behaviour: Behaviour, *, deadline_s: float = 5.0, bytes_max: int = 100) -> WireResponse:
    async with serving(behaviour) as endpoint, HttpxTransport() as transport:
        return await transport.exchange(endpoint, REQUEST, deadline_s=deadline_s, bytes_max=bytes_max)


async def test_an_answer_comes_back_with_lower_case_headers() -> None:
    response = await exchange(says("200 OK\r\nX-Some: Thing", b"hello"))
    assert (response.status, response.body, response.headers["x-some"]) == (200, b"hello", "Thing")


async def test_an_answer_at_the_limit_is_read_and_one_past_it_is_not() -> None:
    assert len((await exchange(says("200 OK", b"x" * 100))).body) == 100
    with pytest.raises(PeerAnswerTooLarge):
        await exchange(says("200 OK", b"x" * 101))


async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"400\r\n" + b"x" * 0x400 + b"\r\n")
        await writer.drain()


async def dribble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def silence(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def cut_off(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nxxx")
    await writer.drain()


async def not_http(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello, I am not a web server\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (flood, PeerAnswerTooLarge),
        (dribble, PeerTimeout),
        (silence, PeerTimeout),
        (cut_off, PeerAnswerInvalid),
        (not_http, PeerAnswerInvalid),
        (says("302 Found\r\nlocation: http://127.0.0.1:9/"), PeerAnswerInvalid),
        (says("200 OK\r\ncontent-encoding: gzip", gzip.compress(b"x" * 10_000)), PeerAnswerInvalid),
        (says("503 Service Unavailable"), PeerOverloaded),
        (says("429 Too Many Requests"), PeerOverloaded),
    ],
)
async def test_a_bad_server_is_one_error_within_the_deadline(behaviour: Behaviour, error: type[PeerFailure]) -> None:
    started = asyncio.get_running_loop().time()
    with pytest.raises(error):
        await exchange(behaviour, deadline_s=0.5, bytes_max=100_000 if behaviour is flood else 2_000)
    assert asyncio.get_running_loop().time() - started < 5


async def stream(behaviour: Behaviour, *, deadline_s: float = 5.0, pieces_max: int = 2) -> tuple[WireResponse, bytes]:
    """Return the answer and what was fed of it, by a reader that has enough after `pieces_max` events."""
    taken = bytearray()

    def feed(piece: bytes) -> bool:
        taken.extend(piece)
        return taken.count(b"\n\n") >= pieces_max

    async with serving(behaviour) as endpoint, HttpxTransport() as transport:
        return await transport.stream(endpoint, REQUEST, deadline_s=deadline_s, bytes_max=100, feed=feed), bytes(taken)


def events(*, pause_s: float = 0.0, head: str = "content-type: text/event-stream") -> Behaviour:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        while True:
            writer.write(b"9\r\ndata: x\n\n\r\n")
            await writer.drain()
            await asyncio.sleep(pause_s)

    return behave


async def test_a_stream_is_fed_until_its_reader_has_enough() -> None:
    response, taken = await stream(events(pause_s=0.05), pieces_max=3)
    assert (response.status, response.body) == (200, b"")
    assert taken == b"data: x\n\n" * 3


async def test_an_endless_stream_ends_at_the_cap_and_a_slow_one_at_the_deadline() -> None:
    with pytest.raises(PeerAnswerTooLarge):
        await stream(events(), pieces_max=1_000)
    with pytest.raises(PeerTimeout):
        await stream(events(pause_s=0.2), pieces_max=1_000, deadline_s=0.5)


async def test_what_is_no_stream_is_returned_and_not_fed() -> None:
    response, taken = await stream(says("400 Bad Request\r\ncontent-type: text/event-stream", b"refused"))
    assert (response.status, response.body, taken) == (400, b"refused", b"")
    response, taken = await stream(says("200 OK\r\ncontent-type: application/json", b"{}"))
    assert (response.body, taken) == (b"{}", b"")


async def test_a_stream_that_comes_encoded_is_not_read() -> None:
    with pytest.raises(PeerAnswerInvalid):
        await stream(events(head="content-type: text/event-stream\r\ncontent-encoding: gzip"))


async def test_a_reader_that_refuses_ends_the_stream_with_its_reason() -> None:
    def feed(_: bytes) -> bool:
        raise PeerAnswerInvalid(endpoint="here")

    async with serving(events()) as endpoint, HttpxTransport() as transport:
        with pytest.raises(PeerAnswerInvalid, match="here"):
            await transport.stream(endpoint, REQUEST, deadline_s=5, bytes_max=100, feed=feed)


async def test_nobody_there_is_unreachable_and_nothing_was_sent() -> None:
    async with HttpxTransport() as transport:
        with pytest.raises(PeerUnreachable) as refused:
            await transport.exchange("http://127.0.0.1:9", REQUEST, deadline_s=5, bytes_max=10)
    assert refused.value.fields["sent"] is False


@pytest.mark.parametrize("endpoint", ["http://node.example", "ftp://127.0.0.1", "https://user@node.example"])
async def test_a_question_never_goes_out_in_the_clear(endpoint: str) -> None:
    async with HttpxTransport() as transport:
        with pytest.raises(PeerUnreachable):
            await transport.exchange(endpoint, REQUEST, deadline_s=5, bytes_max=10)


async def test_the_environments_proxy_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await exchange(says("200 OK", b"direct"))).body == b"direct"
