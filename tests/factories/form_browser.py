"""A browser without a screen for foreign sign-in pages: follows redirects, keeps cookies, fills in forms.

It knows no provider: a form with a password field is a sign-in, any other is agreed to as it stands.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from html.parser import HTMLParser
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx

STEPS_MAX = 30
TIMEOUT_S = 60.0
_NAMES = ("username", "login")


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, str, dict[str, str], set[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((told.get("action", ""), told.get("method", "get").lower(), {}, set()))
        elif tag == "input" and self.forms and told.get("name"):
            _, _, fields, kinds = self.forms[-1]
            kinds.add(told.get("type", "text"))
            if told.get("type") != "checkbox":
                fields[told["name"]] = told.get("value", "")


class FormBrowser:
    """One browser with its cookies; `visited` are the addresses it opened."""

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._password = password
        self.client = httpx.Client(trust_env=False, timeout=TIMEOUT_S, follow_redirects=False)
        self.visited: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def open(self, url: str) -> httpx.Response:
        """Return the first page that has no form to fill in, or is in the portal."""
        response = self._send("GET", url, None)
        for _ in range(STEPS_MAX):
            if "location" in response.headers:
                response = self._send("GET", urljoin(str(response.url), response.headers["location"]), None)
                continue
            forms = _Forms()
            forms.feed(response.text)
            if not forms.forms or "/portal/" in str(response.url):
                return response
            action, method, fields, kinds = forms.forms[0]
            if "password" in kinds:
                fields |= {name: self._username for name in _NAMES if name in fields} | {"password": self._password}
            response = self._send(method.upper(), urljoin(str(response.url), action), fields)
        raise AssertionError(f"the sign-in does not end: {self.visited[-5:]}")

    def _send(self, method: str, url: str, fields: dict[str, str] | None) -> httpx.Response:
        assert urlsplit(url).hostname == "127.0.0.1", url
        self.visited.append(url)
        response = self.client.request(method, url, data=fields)
        for cookie in self.client.cookies.jar:
            cookie.secure = False  # some providers set Secure on loopback too, and real browsers send these back
        return response


def browsing(username: str, password: str) -> Callable[[str], object]:
    """Return what opens an address in a browser and returns at once."""

    def browse(url: str) -> None:
        with FormBrowser(username, password) as browser:
            browser.open(url)

    return lambda url: threading.Thread(target=browse, args=(url,)).start()
