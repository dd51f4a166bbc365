"""Around every page: headers, no other origin, and no form that a page of this session did not send."""

from __future__ import annotations

import re

import httpx
import pytest

from concordat_node.portal.guard import SECURITY_POLICY
from concordat_node.portal.static_files import FOLDER, StaticFiles
from tests.factories.home import BASE_URL, TestHome
from tests.factories.portal import SENTENCE, Relay
from tests.portal.browsing import SAME_ORIGIN, Browser, code_in

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+\s*=|\sstyle\s*=|javascript:", re.IGNORECASE)
_EXTERNAL = re.compile(r"""(?:https?:)?//(?!www\.w3\.org/2000/svg)[a-z0-9.-]+|\burl\(|@import""", re.IGNORECASE)


async def _pages(browser: Browser) -> list[httpx.Response]:
    search = await browser.search()
    record = (await browser.records(search))[0]
    paths = ["/portal/", search, record, f"{search}/answer", "/portal/nowhere", "/portal/search/none"]
    return [await browser.get(path) for path in [*paths, "/portal/signin-failed", "/"]]


async def test_every_page_carries_the_whole_policy(browser: Browser) -> None:
    assert SECURITY_POLICY == POLICY
    for page in await _pages(browser):
        assert page.headers["content-security-policy"] == POLICY
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cross-origin-opener-policy"] == "same-origin"
        assert page.headers["cross-origin-resource-policy"] == "same-origin"
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["x-frame-options"] == "DENY"
        assert "geolocation=()" in page.headers["permissions-policy"]
        assert page.headers["strict-transport-security"].startswith("max-age=")


async def test_no_page_has_a_script_or_style_of_its_own_nor_names_another_origin(browser: Browser) -> None:
    pages = [page for page in await _pages(browser) if page.headers.get("content-type", "").startswith("text/html")]
    assert len(pages) == 6
    for page in pages:
        assert _INLINE.findall(page.text) == []
        assert _EXTERNAL.findall(page.text) == []


def test_our_own_files_name_no_other_origin() -> None:
    for path in FOLDER.iterdir():
        assert _EXTERNAL.findall(path.read_text("utf-8")) == [], path.name


async def test_our_own_files_are_cached_for_good_under_the_name_of_their_content(stranger: httpx.AsyncClient) -> None:
    files = StaticFiles()
    page = (await stranger.get("/portal/")).text
    for name, kind in (("portal.css", "text/css"), ("mark.svg", "image/svg+xml")):
        served = f"/portal/static/{files.name(name)}"
        assert served in page
        answer = await stranger.get(served)
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await stranger.get(f"/portal/static/{name}")).status_code == 404
    for name in ("..%2fapi.py", "portal.0000000000000000.css"):
        assert (await stranger.get(f"/portal/static/{name}")).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": BASE_URL + ".evil.example"},
        {"origin": BASE_URL.replace("https", "http")},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
        {"origin": BASE_URL, "sec-fetch-site": "cross-site"},
    ],
)
@pytest.mark.parametrize("path", ["/portal/search", "/portal/logout"])
async def test_a_form_of_another_origin_does_nothing(
    browser: Browser, relay: Relay, path: str, headers: dict[str, str]
) -> None:
    data = {"csrf": await browser.csrf(), "q": SENTENCE, "purpose": "HMB"}
    refused = await browser.client.post(path, data=data, headers=headers)
    assert (refused.status_code, code_in(refused)) == (403, "form_not_ours")
    assert relay.asked == 0
    assert "Ask 3 organizations" in (await browser.get("/portal/")).text


@pytest.mark.parametrize("headers", [{"origin": BASE_URL}, {"sec-fetch-site": "same-origin"}, SAME_ORIGIN])
async def test_either_word_of_the_browser_is_enough(browser: Browser, headers: dict[str, str]) -> None:
    data = {"csrf": await browser.csrf(), "q": SENTENCE, "purpose": "HMB"}
    assert (await browser.client.post("/portal/search", data=data, headers=headers)).status_code == 303


async def test_a_form_without_the_token_of_this_session_does_nothing(
    at_home: TestHome, browser: Browser, relay: Relay
) -> None:
    async with at_home.client() as other:
        await at_home.sign_in_browser(other)
        foreign = await Browser(at_home, other).csrf()
    for token in ("", "x", foreign):
        data = {"csrf": token, "q": SENTENCE, "purpose": "HMB"}
        refused = await browser.client.post("/portal/search", data=data, headers=SAME_ORIGIN)
        assert (refused.status_code, code_in(refused)) == (403, "form_not_ours")
    assert relay.asked == 0


@pytest.mark.parametrize("media_type", ["text/plain", "application/json", "multipart/form-data; boundary=x"])
async def test_only_a_form_is_a_form(browser: Browser, relay: Relay, media_type: str) -> None:
    body = f"csrf={await browser.csrf()}&q=x&purpose=HMB"
    headers = {**SAME_ORIGIN, "content-type": media_type}
    refused = await browser.client.post("/portal/search", content=body, headers=headers)
    assert (refused.status_code, relay.asked) == (415, 0)


async def test_nothing_is_asked_by_opening_an_address(browser: Browser, relay: Relay) -> None:
    await browser.get("/portal/?q=models+about+clinical+trial&purpose=HMB")
    assert (await browser.get("/portal/search?q=models&purpose=HMB")).status_code == 404
    assert relay.asked == 0
