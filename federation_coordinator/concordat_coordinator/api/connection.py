"""One HTTP connection with a deadline on the head of every request.

uvicorn waits for a head as long as a sender likes, and every connection counts against `CONNECTIONS_MAX`: without this,
as many silent connections would keep everybody else out. A node has the same class; the two rooms share no
server code.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS_MAX = 10.0


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's connection, closed when nothing is being answered and no whole head has come in time."""

    head_seconds_max: ClassVar[float] = HEAD_SECONDS_MAX
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # uvicorn declares a cycle; there is none before the first request.
        is_answering = self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]
        if not is_answering and self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_seconds_max, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
