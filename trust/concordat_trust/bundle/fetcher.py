"""Fetching repository files over HTTP for the TUF client: bounded, no redirects, no proxies of the environment.

Integrity does not come from the connection but from the signatures, so a mirror may be anybody. What the fetcher sees
to is that a mirror cannot hold us up: a deadline for every file, from its first byte to its last, and a limit on its
bytes. A byte of a header now and then would satisfy every timeout of a socket, so a timer of its own cuts the
connection: nodes are asked too, and one that is about to be suspended has every reason to keep others waiting.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from concordat_trust.bundle.tuf_client import DownloadError, DownloadHTTPError, FetcherInterface

FETCH_BYTES_MAX = 8_000_000
SOCKET_TIMEOUT_S = 10.0
FILE_DEADLINE_S = 30.0
CHUNK_BYTES = 65_536


class HttpFetcher(FetcherInterface):
    """Fetches over one kept connection at a time; not to be shared between threads."""

    def __init__(self, *, ca_file: str | None = None, timeout_s: float = SOCKET_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self._origin = ("", "", 0)
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Close the kept connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            return iter([self._get(url)])
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise DownloadError(f"{type(error).__name__} for {url}") from error

    def _get(self, url: str) -> bytes:
        parts = urlsplit(url)
        origin = (parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        is_kept = self._connection is not None and origin == self._origin
        try:
            return self._exchange(origin, parts.path)
        except (http.client.BadStatusLine, ConnectionError):
            if not is_kept:
                raise
            self.close()  # the server closed a kept connection: once more on a new one
            return self._exchange(origin, parts.path)

    def _exchange(self, origin: tuple[str, str, int], path: str) -> bytes:
        connection = self._connect(origin)
        if connection.sock is None:
            connection.connect()
        is_late = threading.Event()
        timer = threading.Timer(FILE_DEADLINE_S, _cut, (connection.sock, is_late))
        timer.daemon = True
        timer.start()
        try:
            data = self._received(connection, path)
        except (OSError, http.client.HTTPException):
            if not is_late.is_set():
                raise
        else:
            # Headers that are cut off look complete to the library, and the body then empty.
            if not is_late.is_set():
                return data
        finally:
            timer.cancel()
        self.close()
        raise DownloadError(f"{path} is too slow")

    def _received(self, connection: http.client.HTTPConnection, path: str) -> bytes:
        deadline = time.monotonic() + FILE_DEADLINE_S
        connection.request("GET", path, headers={"accept-encoding": "identity"})
        response = connection.getresponse()
        body = bytearray()
        while chunk := response.read1(CHUNK_BYTES):
            body += chunk
            if len(body) > FETCH_BYTES_MAX or time.monotonic() > deadline:
                self.close()
                raise DownloadError(f"{path} is too large or too slow")
        is_whole = response.length in (0, None)
        response.close()
        if not is_whole:
            self.close()
            raise DownloadError(f"{path} ended early")
        if response.status != http.client.OK:
            raise DownloadHTTPError(f"HTTP {response.status} for {path}", response.status)
        return bytes(body)

    def _connect(self, origin: tuple[str, str, int]) -> http.client.HTTPConnection:
        if self._connection is not None and origin == self._origin:
            return self._connection
        self.close()
        scheme, host, port = origin
        if scheme == "https":
            self._connection = http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=self._tls)
        elif scheme == "http":
            self._connection = http.client.HTTPConnection(host, port, timeout=self._timeout_s)
        else:
            raise ValueError("a mirror is reached over https or http")
        self._origin = origin
        return self._connection


def _cut(connected: socket.socket, is_late: threading.Event) -> None:
    is_late.set()
    # The plain socket below TLS: its reader wakes up and sees an end. It may be closed already.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


class RecordingFetcher(FetcherInterface):
    """Remembers what another fetcher brought, by name below `base`: files that the TUF client refused, to be named.

    Asks for no file twice, and for none once `is_late`.
    """

    def __init__(self, inner: FetcherInterface, base: str, *, is_late: Callable[[], bool]) -> None:
        self._inner = inner
        self._base = base
        self._is_late = is_late
        self.files: dict[str, bytes] = {}
        self._absent: dict[str, DownloadHTTPError] = {}

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.removeprefix(self._base)
        if name in self._absent:
            raise self._absent[name]
        if name in self.files:
            return iter([self.files[name]])
        if self._is_late():
            raise DownloadError(f"no time is left for {url}")
        try:
            data = b"".join(self._inner.fetch(url))
        except DownloadHTTPError as error:
            self._absent[name] = error
            raise
        if len(data) > FETCH_BYTES_MAX:
            raise DownloadError(f"{url} is too large")
        self.files[name] = data
        return iter([data])
