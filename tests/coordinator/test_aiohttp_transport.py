"""The transport over sockets: deadline, byte cap, and what is never done for a peer."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from concordat_coordinator.aiohttp_transport import AiohttpTransport
from concordat_trust.errors import PeerFailure
from concordat_trust.wire.transport import (
    PeerAnswerInvalid,
    PeerAnswerTooLarge,
    PeerTimeout,
    PeerUnreachable,
    WireRequest,
    WireResponse,
)
from tests.coordinator.raw_server import Answer, bytes_of, raw_server

REQUEST = WireRequest("POST", "/graphql", {"content-type": "application/json", "authorization": "Bearer t"}, b"{}")
BYTES_MAX = 10_000


def _writes(data: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return answer


def _writes_and_closes(data: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return answer


async def _exchange(endpoint: str, *, deadline_s: float = 5.0, request: WireRequest = REQUEST) -> WireResponse:
    async with AiohttpTransport() as transport:
        return await transport.exchange(endpoint, request, deadline_s=deadline_s, bytes_max=BYTES_MAX)


async def _failure(answer: Answer, *, deadline_s: float = 5.0) -> PeerFailure:
    async with raw_server(answer) as endpoint:
        with pytest.raises(PeerFailure) as caught:
            await _exchange(endpoint, deadline_s=deadline_s)
    return caught.value


async def test_an_answer_arrives_whole_with_lower_case_headers() -> None:
    async with raw_server(_writes(bytes_of("200 OK", b'{"data":1}', "Content-Type: application/json"))) as endpoint:
        response = await _exchange(endpoint)
    assert (response.status, response.headers["content-type"], response.body) == (
        200,
        "application/json",
        b'{"data":1}',
    )


async def test_exactly_the_byte_limit_is_allowed_and_one_more_is_not() -> None:
    async with raw_server(_writes(bytes_of("200 OK", b"x" * BYTES_MAX))) as endpoint:
        assert len((await _exchange(endpoint)).body) == BYTES_MAX
    assert isinstance(await _failure(_writes(bytes_of("200 OK", b"x" * (BYTES_MAX + 1)))), PeerAnswerTooLarge)


async def test_an_endless_answer_is_cut_off_at_the_limit() -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            sent += 65_536
            await writer.drain()

    assert isinstance(await _failure(endless), PeerAnswerTooLarge)
    assert sent < 50_000_000


async def test_silence_is_a_timeout_at_the_deadline() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    started = time.monotonic()
    assert isinstance(await _failure(silent, deadline_s=0.2), PeerTimeout)
    assert time.monotonic() - started < 2


async def test_a_dribbling_answer_gets_no_new_deadline_with_every_byte() -> None:
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(1_000):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    assert isinstance(await _failure(dribble, deadline_s=0.3), PeerTimeout)


async def test_a_refused_connection_says_that_nothing_was_sent() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(PeerUnreachable) as caught:
            await _exchange(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert caught.value.fields["sent"] is False


async def test_a_connection_closed_without_an_answer_says_that_something_was_sent() -> None:
    error = await _failure(_writes_and_closes(b""))
    assert isinstance(error, PeerUnreachable)
    assert error.fields["sent"] is True


async def test_an_answer_cut_off_in_its_body_is_invalid() -> None:
    cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"
    assert isinstance(await _failure(_writes_and_closes(cut)), PeerAnswerInvalid)


async def test_something_that_is_not_http_is_invalid() -> None:
    assert isinstance(await _failure(_writes_and_closes(b"220 mail.example ESMTP\r\n\r\n")), PeerAnswerInvalid)


async def test_a_compressed_answer_is_invalid_because_nobody_asked_for_it() -> None:
    assert isinstance(await _failure(_writes(bytes_of("200 OK", b"x", "content-encoding: gzip"))), PeerAnswerInvalid)


async def test_a_redirect_is_not_followed() -> None:
    async with raw_server(_writes(bytes_of("302 Found", b"", "location: http://127.0.0.1:9/"))) as endpoint:
        assert (await _exchange(endpoint)).status == 302


async def test_the_proxy_of_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with raw_server(_writes(bytes_of("200 OK", b"{}"))) as endpoint:
        assert (await _exchange(endpoint)).status == 200


async def test_cookies_are_not_kept() -> None:
    heads: list[bytes] = []

    async def recording(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        await reader.readexactly(2)
        writer.write(bytes_of("200 OK", b"{}", "set-cookie: a=b"))
        await writer.drain()
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(bytes_of("200 OK", b"{}"))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(recording, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with AiohttpTransport() as transport:
        for _ in range(2):
            await transport.exchange(endpoint, REQUEST, deadline_s=5, bytes_max=BYTES_MAX)
    server.close()
    assert len(heads) == 2
    assert b"cookie" not in heads[1].lower()
    assert b"accept-encoding: identity" in heads[0].lower()


async def test_a_transport_that_was_never_entered_is_a_bug() -> None:
    with pytest.raises(RuntimeError):
        await AiohttpTransport().exchange("http://127.0.0.1:9", REQUEST, deadline_s=1, bytes_max=1)
