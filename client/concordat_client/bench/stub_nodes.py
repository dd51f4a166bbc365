"""Nodes that say what they were told to say: many listeners in one process, with no work of their own.

Each listener has one answer. A request is read to its end, its content is not looked at, and the answer leaves after
the delay that is set.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection

from concordat_client.bench.processes import bound

_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)


class _Said:
    """What the listeners say, and after how long."""

    def __init__(self, count: int) -> None:
        self.answers = [b""] * count
        self.delay_s = 0.0

    def told(self, message: object) -> None:
        match message:
            case ("answers", int(first), list(answers)):
                self.answers[first : first + len(answers)] = [_response(answer) for answer in answers]
            case ("delay", float(delay_s)):
                self.delay_s = delay_s
            case _:
                pass  # only asked how much CPU time was used


class _Node(asyncio.Protocol):
    def __init__(self, said: _Said, place: int) -> None:
        self._said = said
        self._place = place
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it is one, for TCP
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._buffer, 0, head)
        size = head + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < size:
            return
        del self._buffer[:size]
        if self._said.delay_s:
            asyncio.get_running_loop().call_later(self._said.delay_s, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        self._transport.write(self._said.answers[self._place])


def serve_nodes(pipe: Connection, count: int) -> None:
    """Serve `count` nodes until the pipe is closed. The pipe takes answers and the delay."""
    asyncio.run(_serve(pipe, count))


async def _serve(pipe: Connection, count: int) -> None:
    loop, said = asyncio.get_running_loop(), _Said(count)
    listeners = [bound() for _ in range(count)]
    servers = [
        await loop.create_server(partial(_Node, said, place), sock=listener) for place, listener in enumerate(listeners)
    ]
    closed = asyncio.Event()
    threading.Thread(target=_listen, args=(pipe, said, loop, closed), daemon=True).start()
    pipe.send([listener.getsockname()[1] for listener in listeners])
    await closed.wait()
    for server in servers:
        server.close()


def _listen(pipe: Connection, said: _Said, loop: asyncio.AbstractEventLoop, closed: asyncio.Event) -> None:
    try:
        while True:
            message = pipe.recv()
            said.told(message)
            pipe.send(time.process_time())
    except (EOFError, OSError):
        loop.call_soon_threadsafe(closed.set)


def _response(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/graphql-response+json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def messages(first: int, answers: Sequence[bytes]) -> tuple[str, int, list[bytes]]:
    """Return what tells the listeners from `first` on what to say."""
    return ("answers", first, list(answers))
