"""The one address at which the browser hands the one-time code to the command line (RFC 8252 §7.3).

A server on 127.0.0.1 and a port of the system's choice, for one sign-in. It answers `/callback` with the right state
and nothing else; a wrong state is answered 400 and waited over, so that another page cannot end a sign-in.
"""

from __future__ import annotations

import hmac
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import ClassVar, Self
from urllib.parse import parse_qsl, urlsplit

from concordat_client.errors import LoginTimedOut

SOCKET_TIMEOUT_S = 5
_DONE = b"You are signed in. You can close this page and go back to the terminal.\n"
_FAILED = b"The sign-in was refused. Go back to the terminal; it says why.\n"


class LoopbackReceiver(HTTPServer):
    """Waits for the answer to one sign-in."""

    allow_reuse_address = False

    def __init__(self, state: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state
        self.answer: dict[str, str] | None = None

    @property
    def redirect_uri(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/callback"

    def __enter__(self) -> Self:
        return self

    def __exit__(  # the base class closes too, but says nothing about types
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about a browser that is gone; its answer was taken, or is waited for."""
        error = sys.exception()
        if not isinstance(error, OSError):
            raise RuntimeError("the sign-in's own answer failed") from error

    def wait(self, timeout_s: float) -> dict[str, str]:
        """Return {code} or {error}. Raises: LoginTimedOut."""
        ends_at = time.monotonic() + timeout_s
        while self.answer is None:
            self.timeout = ends_at - time.monotonic()
            if self.timeout <= 0:
                raise LoginTimedOut(timeout_s=int(timeout_s))
            self.handle_request()
        return self.answer


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackReceiver
    timeout: ClassVar[int] = SOCKET_TIMEOUT_S
    server_version = "concordat"
    sys_version = ""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        query = dict(pairs)
        is_ours = hmac.compare_digest(query.get("state", "").encode(), self.server.state.encode())
        if parts.path != "/callback" or len(pairs) != len(query):
            self._say(404, b"Not found.\n")
        elif not is_ours:
            self._say(400, b"This is not an answer to the sign-in that is under way.\n")
        else:
            self.server.answer = query
            self._say(200, _FAILED if "error" in query else _DONE)

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.send_header("content-security-policy", "default-src 'none'")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Keep quiet: the address carries the code."""
