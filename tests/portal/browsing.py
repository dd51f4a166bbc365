"""A browser without a screen: sends forms as a browser sends them from a page of the portal."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx

from tests.factories.home import BASE_URL, TestHome
from tests.factories.node import PATIENT_MS
from tests.factories.portal import SENTENCE

SAME_ORIGIN = {"origin": BASE_URL, "sec-fetch-site": "same-origin"}
_CSRF = re.compile(r'name="csrf" value="([A-Za-z0-9_-]+)"')
_RECORD = re.compile(r'href="([^"]+/record/[^"]+)"')


@dataclass
class Browser:
    """One person's browser at the portal."""

    at_home: TestHome
    client: httpx.AsyncClient

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def csrf(self) -> str:
        found = _CSRF.search((await self.get("/portal/")).text)
        assert found is not None
        return found[1]

    async def post(self, path: str, **fields: str) -> httpx.Response:
        """Send a form from a page of ours."""
        data = {"csrf": await self.csrf(), **fields}
        return await self.client.post(path, data=data, headers=SAME_ORIGIN)

    async def search(self, sentence: str = SENTENCE, **fields: str) -> str:
        """Ask, wait until it has been answered, and return the page's path."""
        sent = await self.post("/portal/search", **{"q": sentence, "purpose": "HMB", **fields})
        assert sent.status_code == 303, sent.text
        path: str = sent.headers["location"]
        await self.at_home.home.runner.settled(path.rpartition("/")[2], timeout_s=PATIENT_MS / 1_000)
        return path

    async def records(self, path: str) -> list[str]:
        """Return the paths of the records that a search page links."""
        return _RECORD.findall((await self.get(path)).text)


def code_in(page: httpx.Response) -> str:
    """Return the error code that a page shows."""
    codes = re.findall(r"<code>([a-z_]+)</code>", page.text)
    return str(codes[0]) if codes else ""
