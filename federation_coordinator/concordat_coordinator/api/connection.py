"""One HTTP connection with a deadline on the head of every request.

uvicorn waits for a head as long as a sender likes, and every connection counts against `CONNECTIONS_MAX`: without this,
as many silent connections would keep everybody else out. A node has the same class; the two rooms share no
server code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS_MAX = 10.0
ABORT = "concordat.abort"
"""The name under which a request's scope holds what cuts its connection."""


def abort_of(scope: Scope) -> Callable[[], Any]:
    """Return what cuts the connection of a request at once, with whatever has not been sent."""
    extensions = scope.get("extensions") or {}
    abort: Callable[[], Any] = extensions.get(ABORT, {}).get("abort", lambda: None)
    return abort


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
        self.scope["extensions"] = {ABORT: {"abort": self.transport.abort}}
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
