"""A mirror, or a node, that sends a byte now and then holds up no poll: every file has one deadline."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from concordat_trust.bundle import fetcher as fetching
from concordat_trust.bundle.fetcher import HttpFetcher
from concordat_trust.bundle.tuf_client import DownloadError

DEADLINE_S = 0.4
GIVEN_UP_S = 5.0
STATUS = b"HTTP/1.1 200 OK\r\n"


@contextlib.contextmanager
def dribbling(head: bytes, drop: bytes) -> Iterator[str]:
    """Yield the address of a server that sends `head` and then `drop` for ever, on every connection."""
    stop, listener = threading.Event(), socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            connection.sendall(head)
            while not stop.wait(0.02):
                connection.sendall(drop)

    def listen() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        stop.set()
        listener.close()


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b"H"),
        (STATUS, b"x"),
        (STATUS + b"content-length: 1000\r\n\r\n", b"x"),
        (STATUS + b"transfer-encoding: chunked\r\n\r\n", b"0"),
        (STATUS + b"transfer-encoding: chunked\r\n\r\n1;", b"x"),
    ],
)
def test_a_byte_now_and_then_extends_no_deadline(monkeypatch: pytest.MonkeyPatch, head: bytes, drop: bytes) -> None:
    monkeypatch.setattr(fetching, "FILE_DEADLINE_S", DEADLINE_S)
    outcome: list[BaseException] = []

    def fetch(url: str) -> None:
        with contextlib.closing(HttpFetcher()) as fetcher:
            try:
                fetcher.download_bytes(f"{url}timestamp.json", 1_000_000)
            except BaseException as error:  # noqa: BLE001  # looked at below
                outcome.append(error)

    with dribbling(head, drop) as url:
        before = time.monotonic()
        thread = threading.Thread(target=fetch, args=(url,), daemon=True)
        thread.start()
        thread.join(GIVEN_UP_S)
        assert not thread.is_alive()
    assert isinstance(outcome[0], DownloadError)
    assert time.monotonic() - before >= DEADLINE_S
