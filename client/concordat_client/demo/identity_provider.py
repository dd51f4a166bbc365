"""A small real OpenID provider for this machine: `concordat demo-provider --config FILE`.

It exists so that the demonstration and the tests sign in for real. It refuses to listen on anything but loopback, to
answer anybody but loopback, and to answer under another name than loopback's (DNS rebinding). Once ready it prints
one line of JSON with its issuer. Stop it with Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import html
import ipaddress
import json
import secrets
import signal
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET, AF_INET6
from types import FrameType
from typing import ClassVar
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from concordat_client.demo.provider_state import (
    LOOPBACK,
    OAuthRefused,
    ProviderConfig,
    ProviderConfigInvalid,
    ProviderNotLoopback,
    ProviderPortUnavailable,
    ProviderState,
    parse_config,
)
from concordat_trust.canonical import JsonObject

BODY_BYTES_MAX = 16_384
FIELDS_MAX = 30
SOCKET_TIMEOUT_S = 10
_SECURITY = {
    "cache-control": "no-store",
    # The form's answer redirects to the home node and on to the command line, both on loopback ports.
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
    "frame-ancestors 'none'; "
    "form-action 'self' http://127.0.0.1:* http://localhost:*",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Sign in · demonstration</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css"></head><body><main>
<h1>Demonstration sign-in</h1>
<p>The organization’s identity provider would be here. Its persons are fictional; the terminal that runs the
demonstration shows their names and passwords.</p>{message}
<form method="post" action="/authorize"><input type="hidden" name="login" value="{login}">
<p><label for="username">Name</label>
<input id="username" name="username" autocomplete="username" required></p>
<p><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required></p>
<p><button>Sign in</button></p></form></main></body></html>"""
_STYLE = """:root{color-scheme:light dark;
--ground:#fbfbf9;--ink:#1b2327;--soft:#525f66;--accent:#17546b;--on:#fff;--bad:#97271f}
@media (prefers-color-scheme:dark){
:root{--ground:#12181b;--ink:#e8eded;--soft:#a8b5ba;--accent:#86c5db;--on:#0d2129;--bad:#f2a59d}}
body{margin:0;background:var(--ground);color:var(--ink);font:1rem/1.55 system-ui,sans-serif}
main{max-width:24rem;margin:14vh auto;padding:0 1.2rem}h1{font-size:1.5rem;line-height:1.25;margin:0 0 .6rem}
p{margin:.8rem 0}label{display:block;font-weight:600}
input,button{font:inherit;width:100%;box-sizing:border-box;min-height:2.7rem;padding:.4rem .7rem;border-radius:8px}
input{border:1px solid var(--soft);background:transparent;color:inherit}
button{border:0;background:var(--accent);color:var(--on);font-weight:600;cursor:pointer}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}[role=alert]{color:var(--bad);font-weight:600}
"""


class ProviderServer(ThreadingHTTPServer):
    """The provider on its socket; `issuer` is known once it is made."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, config: ProviderConfig) -> None:
        if config.host not in LOOPBACK:
            raise ProviderNotLoopback(place=config.host)
        self.address_family = AF_INET6 if ":" in config.host else AF_INET
        super().__init__((config.host, config.port), _Handler)
        shown = f"[{config.host}]" if ":" in config.host else config.host
        self.issuer = f"http://{shown}:{self.server_address[1]}"
        self.state = ProviderState(
            config, issuer=self.issuer, clock=lambda: int(time.time()), entropy=secrets.token_bytes
        )


class _Handler(BaseHTTPRequestHandler):
    server: ProviderServer
    protocol_version = "HTTP/1.1"
    server_version = "concordat-demo-provider"
    sys_version = ""
    timeout: ClassVar[int] = SOCKET_TIMEOUT_S

    def do_GET(self) -> None:
        if not self._is_local():
            return
        path, query = self._target()
        state = self.server.state
        if path == "/.well-known/openid-configuration":
            self._json(200, state.discovery())
        elif path == "/style.css":
            self._answer(200, "text/css; charset=utf-8", _STYLE.encode("utf-8"))
        elif path == "/jwks":
            self._json(200, {"keys": [state.key.jwk()]})
        elif path == "/authorize":
            self._authorize(query)
        else:
            self._text(404, "not found")

    def do_POST(self) -> None:
        if not self._is_local():
            return
        form = self._form()
        if form is None:
            self._text(400, "a form of at most 16 kB is expected")
        elif self._target()[0] == "/authorize":
            self._sign_in(form)
        elif self._target()[0] == "/token":
            self._token(form)
        else:
            self._text(404, "not found")

    def _authorize(self, query: Mapping[str, str]) -> None:
        if not self.server.state.registered(query):
            self._text(400, "unknown client or redirect address")
            return
        try:
            self._page(200, self.server.state.begin(query), "")
        except OAuthRefused as error:
            answer = {"error": error.error, "error_description": error.description, "iss": self.server.issuer}
            if query.get("state"):
                answer["state"] = query["state"]
            self._redirect(f"{query['redirect_uri']}?{urlencode(answer)}")

    def _sign_in(self, form: Mapping[str, str]) -> None:
        login = form.get("login", "")
        try:
            location = self.server.state.sign_in(login, form.get("username", ""), form.get("password", ""))
        except OAuthRefused as error:
            self._text(400, error.description)
            return
        if location is None:
            self._page(401, login, '<p role="alert">Wrong name or password.</p>')
        else:
            self._redirect(location)

    def _token(self, form: Mapping[str, str]) -> None:
        try:
            self._json(200, self.server.state.redeem(form, self._basic()))
        except OAuthRefused as error:
            status = 401 if error.error == "invalid_client" else 400
            self._json(status, {"error": error.error, "error_description": error.description})

    def _is_local(self) -> bool:
        host = urlsplit(f"//{self.headers.get('host', '')}")
        if ipaddress.ip_address(self.client_address[0]).is_loopback and host.hostname in LOOPBACK:
            return True
        self.close_connection = True
        self._text(403, "this identity provider answers this machine only")
        return False

    def _target(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        return parts.path, _fields(parts.query) or {}

    def _form(self) -> dict[str, str] | None:
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            return None
        if self.headers.get_content_type() != "application/x-www-form-urlencoded":
            self.close_connection = True
            return None
        return _fields(self.rfile.read(int(length)).decode("utf-8", "replace"))

    def _basic(self) -> tuple[str, str] | None:
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, _, secret = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return unquote_plus(name), unquote_plus(secret)

    def _page(self, status: int, login: str, message: str) -> None:
        page = _PAGE.format(login=html.escape(login, quote=True), message=message)
        self._answer(status, "text/html; charset=utf-8", page.encode("utf-8"))

    def _json(self, status: int, value: JsonObject) -> None:
        self._answer(status, "application/json", json.dumps(value).encode("utf-8"))

    def _text(self, status: int, text: str) -> None:
        self._answer(status, "text/plain; charset=utf-8", text.encode("utf-8"))

    def _redirect(self, location: str) -> None:
        self._answer(303, "text/plain; charset=utf-8", b"", {"location": location})

    def _answer(self, status: int, media_type: str, body: bytes, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**_SECURITY, **(more or {}), "content-type": media_type}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Keep quiet: addresses of a sign-in carry codes."""


def _fields(text: str) -> dict[str, str] | None:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        return None
    fields = dict(pairs)
    # RFC 6749 §3.1: a parameter must not be there twice.
    return fields if len(fields) == len(pairs) else None


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    provider = subparsers.add_parser(
        "demo-provider",
        help="run the demonstration's identity provider, on this machine only",
        description="Sign fictional persons in, to try a home node out, until SIGINT or SIGTERM. It listens on "
        "loopback, answers nobody else, and redirects nowhere else.",
    )
    provider.add_argument("--config", type=Path, required=True, metavar="FILE", help="host, port, clients and persons")
    provider.add_argument("--json", action="store_true", help="one JSON object on standard output when it is ready")
    provider.set_defaults(run=run_provider)


def run_provider(options: argparse.Namespace) -> int:
    """Serve until stopped. Raises: ProviderConfigInvalid, ProviderNotLoopback, ProviderPortUnavailable."""
    config = parse_config(_read(options.config))
    try:
        server = ProviderServer(config)
    except OSError as error:
        raise ProviderPortUnavailable(host=config.host, port=config.port, problem=error.strerror) from error

    def stop(_signal: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    ready = json.dumps({"issuer": server.issuer}) if options.json else f"Identity provider on {server.issuer}"
    print(ready, flush=True)
    with server:
        server.serve_forever(poll_interval=0.1)
    return 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ProviderConfigInvalid(problem=f"{error.strerror}") from error
