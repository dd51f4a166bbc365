"""Running a node behind a socket: open the port first, announce when ready, stop without leaving anything.

Rules of this file:

* The port is bound before anything is started, so that a port in use costs nothing and says what to do.
* The first SIGINT or SIGTERM lets questions under way finish within `stop_grace_s`; a second one does not wait. Both
  end with exit code 0, and with the OPA child gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from concordat_node.api.connection import BoundedConnection
from concordat_node.app import Node, build_node
from concordat_node.errors import PortInUse
from concordat_node.settings import Settings
from concordat_node.tls import TlsFiles

BACKLOG = 512
CONNECTIONS_MAX = 512
"""Open connections; from this one on a request is answered 503 at once."""
KEEP_ALIVE_S = 75
Announce = Callable[[str], None]


def serve(settings: Settings, announce: Announce) -> None:
    """Serve until a signal; `announce` gets the address when questions are taken.

    Raises: PortInUse; what `build_node` and `Node.start` raise.
    """
    tls = tls_files(settings)
    with contextlib.closing(listen(settings.host, settings.port)) as listener:
        node = build_node(settings)
        asyncio.run(_run(node, listener, announce, tls))


def tls_files(settings: Settings) -> TlsFiles | None:
    """Return the certificate of the own port; None when a proxy stands before it. Raises: TlsFilesUnusable."""
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    return TlsFiles(settings.tls_certificate_file, settings.tls_key_file)


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket. Raises: PortInUse (also for an address that is not ours)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        problem = "is already in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise PortInUse(host=host, port=port, problem=problem) from error
    return listener


def server_config(app: ASGIApp, *, stop_grace_s: int, tls: TlsFiles | None = None) -> uvicorn.Config:
    """Return how the application is served: HTTP/1.1 only, bounded in connections and in every wait."""
    return uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=stop_grace_s,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls.context,
    )


async def _run(node: Node, listener: socket.socket, announce: Announce, tls: TlsFiles | None) -> None:
    config = server_config(node.app, stop_grace_s=node.settings.stop_grace_s, tls=tls)
    scheme = "http" if tls is None else "https"
    server = _Server(config, opened=lambda: announce(address_of(listener, scheme)))
    following = None if tls is None else asyncio.create_task(tls.follow(), name="tls-files")
    with _stopping_on_signals(asyncio.current_task(), server):
        try:
            await node.start()
            await server.serve(sockets=[listener])
        except asyncio.CancelledError:
            # A signal before the server took over: nothing was under way.
            return
        finally:
            if following is not None:
                following.cancel()
            await node.stop()


def address_of(listener: socket.socket, scheme: str = "http") -> str:
    """Return the address people and peers can use."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn with our own stop: a stop that was asked for is not a failure."""

    def __init__(self, config: uvicorn.Config, *, opened: Callable[[], None]) -> None:
        super().__init__(config)
        self._opened = opened

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._opened()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the handlers of `_stopping_on_signals` stay in place


@contextlib.contextmanager
def _stopping_on_signals(starting: asyncio.Task[None] | None, server: _Server) -> Iterator[None]:
    def stop() -> None:
        if not server.started and starting is not None:
            starting.cancel()
            return
        server.force_exit = server.should_exit
        server.should_exit = True

    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
