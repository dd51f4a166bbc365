"""Servers under measurement, each in a process of its own that tells its CPU time when it is asked.

A child binds a free port of 127.0.0.1 and says which. After that its pipe is asked for its CPU time (user and system,
of the whole process), or closed, which ends it: no child outlives its parent.
"""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from concordat_client.bench.errors import BenchProcessFailed

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0
Entry = Callable[..., None]


class Server:
    """A running child. `ports` are where it listens."""

    def __init__(self, name: str, pipe: Connection) -> None:
        self._name = name
        self._pipe = pipe
        ports: Sequence[int] = self._received()
        self.ports = tuple(ports)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process has used so far."""
        return float(self.tell(None))

    def tell(self, message: object) -> Any:
        """Tell the child something and return what it says, which is its CPU time. Raises: BenchProcessFailed."""
        try:
            self._pipe.send(message)
        except OSError as error:
            raise BenchProcessFailed(name=self._name) from error
        return self._received()

    def _received(self) -> Any:
        try:
            if self._pipe.poll(START_SECONDS_MAX):
                return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise BenchProcessFailed(name=self._name) from error
        raise BenchProcessFailed(name=self._name)


@contextmanager
def running(name: str, entry: Entry, *arguments: object) -> Iterator[Server]:
    """Run `entry(pipe, *arguments)` in a process of its own until the block ends. Raises: BenchProcessFailed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=entry, args=(theirs, *arguments), name=name, daemon=True)
    process.start()
    theirs.close()
    try:
        yield Server(name, ours)
    finally:
        ours.close()
        process.join(STOP_SECONDS_MAX)
        if process.is_alive():
            process.kill()
            process.join()


def bound() -> socket.socket:
    """Return a socket that listens on a free port of this machine."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    return listener
