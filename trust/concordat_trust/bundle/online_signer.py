"""The online signer: a process of its own that serves a repository folder and keeps its timestamp fresh.

Rules of this file:

* It holds one key, which confirms what keyholders and members signed and nothing else. It is not the coordinator.
* It serves GET for plain names below the folder and knows no other request. It listens on loopback unless told so.
* A new role in the folder is current within CHECK_INTERVAL_S; with nothing new, the timestamp is signed again every
  RESIGN_INTERVAL_S, long before it expires. A state that its roles did not sign is ignored, and the old one goes on.
"""

from __future__ import annotations

import http.client
import ipaddress
import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from concordat_trust.bundle.errors import OnlineSignerAddress, OnlineSignerNotLoopback
from concordat_trust.bundle.renewal import OnlineLifetimes, renew
from concordat_trust.bundle.store import FILE_BYTES_MAX, is_bundle_name, publish, read_repository
from concordat_trust.errors import ConcordatError
from concordat_trust.jwk import Signer

RESIGN_INTERVAL_S: Final = 120
CHECK_INTERVAL_S: Final = 2.0
CONNECTIONS_MAX: Final = 64
REQUEST_TIMEOUT_S: Final = 10.0
_log = logging.getLogger(__name__)


class OnlineSigner:
    """Signs the timestamp of one repository folder; `refresh` is called again and again by one thread."""

    def __init__(
        self,
        folder: Path,
        key: Signer,
        *,
        clock: Callable[[], int],
        lifetimes: OnlineLifetimes = OnlineLifetimes(),  # noqa: B008  # frozen
    ) -> None:
        self._folder = folder
        self._key = key
        self._clock = clock
        self._lifetimes = lifetimes
        self._names: frozenset[Path] = frozenset()
        self._signed_at: int | None = None

    def refresh(self) -> bool:
        """Sign again when a role is new or the time has come; tell whether anything was published.

        Raises: OnlineKeyUnlisted, BundleMalformed, BundleFileUnreadable, BundleDirectoryUnwritable.
        """
        now = self._clock()
        names = frozenset(path for path in self._folder.rglob("*") if is_bundle_name(path.name))
        is_due = self._signed_at is None or not 0 <= now - self._signed_at < RESIGN_INTERVAL_S
        if names == self._names and not is_due:
            return False
        new = renew(read_repository(self._folder), online=self._key, at=now, lifetimes=self._lifetimes)
        publish(self._folder, new)
        self._names = names | {self._folder / name for name in new}
        self._signed_at = now
        return True

    def run(self, stop: threading.Event) -> None:
        """Refresh until `stop`; what goes wrong is logged and tried again."""
        while not stop.wait(CHECK_INTERVAL_S):
            try:
                self.refresh()
            except ConcordatError as error:
                _log.error("online signer: %s", error)


class RepositoryServer(ThreadingHTTPServer):
    """Serves the files of one folder. Raises: OnlineSignerNotLoopback, OnlineSignerAddress."""

    daemon_threads = True

    def __init__(
        self,
        folder: Path,
        host: str,
        port: int,
        *,
        is_public: bool = False,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        if not is_public and not _is_loopback(host):
            raise OnlineSignerNotLoopback(host=host)
        self.folder = folder
        self._slots = threading.BoundedSemaphore(connections_max)
        try:
            super().__init__((host, port), RepositoryHandler)
        except (OSError, OverflowError) as error:
            raise OnlineSignerAddress(host=host, port=port, problem=str(error)) from error

    @property
    def url(self) -> str:
        """Where the repository is served, with a slash at the end."""
        host, port = self.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}/"

    def process_request(self, request: object, client_address: object) -> None:
        """Give the connection a thread, or close it when all are taken."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)  # type: ignore[arg-type]  # the library types it as a union of its own
            return
        super().process_request(request, client_address)  # type: ignore[arg-type]  # the same

    def process_request_thread(self, request: object, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]  # the same
        finally:
            self._slots.release()

    def handle_error(self, request: object, client_address: object) -> None:
        _log.debug("a client of the repository went away")


class RepositoryHandler(BaseHTTPRequestHandler):
    """GET of one plain name below the folder."""

    protocol_version = "HTTP/1.1"
    server_version = "concordat"
    sys_version = ""
    timeout = REQUEST_TIMEOUT_S
    wbufsize = 65_536  # header and body in one segment: two would wait 40 ms for each other
    disable_nagle_algorithm = True
    server: RepositoryServer

    def do_GET(self) -> None:  # the library looks the method up by this name
        name = self.path.removeprefix("/")
        path = self.server.folder / name
        if not is_bundle_name(name) or not path.is_file():
            self._answer(http.client.NOT_FOUND, b"")
            return
        with path.open("rb") as file:
            self._answer(http.client.OK, file.read(FILE_BYTES_MAX))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.send_header("content-type", "application/octet-stream")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        _log.debug(format, *args)


def serve(
    server: RepositoryServer, signer: OnlineSigner, stop: threading.Event, opened: Callable[[], None] = lambda: None
) -> None:
    """Serve and sign until `stop`, and leave no thread behind; `opened` is called once.

    The first signature is made before the first answer.

    Raises: as `OnlineSigner.refresh` for the first signature.
    """
    try:
        signer.refresh()
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        serving.start()
        try:
            opened()
            signer.run(stop)
        finally:
            server.shutdown()
            serving.join()
    finally:
        server.server_close()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
