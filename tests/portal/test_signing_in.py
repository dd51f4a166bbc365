"""A browser signs in at its own provider, in its own session, and goes on where it was, and nowhere else."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_node.home.browser_login import NEXT_LENGTH_MAX, own_path
from tests.factories.home import TestHome
from tests.portal.browsing import SAME_ORIGIN, Browser, code_in

SESSION = "__Host-concordat_session"


def _answered(begun: httpx.Response, at_home: TestHome) -> dict[str, str]:
    location = begun.headers["location"]
    state = dict(parse_qsl(urlsplit(location).query))["state"]
    return {"code": at_home.provider.authorize(location), "state": state}


async def test_a_stranger_sees_the_way_to_sign_in_and_nothing_else(stranger: httpx.AsyncClient) -> None:
    page = await stranger.get("/portal/")
    assert page.status_code == 200
    assert "Sign in with Alma University" in page.text
    assert "Ask 3 organizations" not in page.text


async def test_the_session_cookie_is_for_this_host_over_https_and_no_script(
    at_home: TestHome, stranger: httpx.AsyncClient
) -> None:
    last = await at_home.sign_in_browser(stranger)
    assert (last.status_code, last.headers["location"]) == (303, "/portal/")
    (cookie,) = [c for c in last.headers.get_list("set-cookie") if c.startswith(SESSION)]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert attributes == {"httponly", "path=/", "samesite=lax", "secure"}
    assert "Ask 3 organizations" in (await stranger.get("/portal/")).text


async def test_a_sign_in_always_opens_a_new_session_and_ends_the_old_one(
    at_home: TestHome, stranger: httpx.AsyncClient
) -> None:
    stranger.cookies.set(SESSION, "planted-by-somebody-else", domain="home.alma.example", path="/")
    await at_home.sign_in_browser(stranger)
    first = stranger.cookies[SESSION]
    await at_home.sign_in_browser(stranger)
    assert len({"planted-by-somebody-else", first, stranger.cookies[SESSION]}) == 3
    async with at_home.client() as thief:
        for token in ("planted-by-somebody-else", first):
            thief.cookies.set(SESSION, token, domain="home.alma.example", path="/")
            assert "Sign in with" in (await thief.get("/portal/")).text


async def test_nobody_is_signed_in_by_an_answer_that_another_browser_asked_for(
    at_home: TestHome, stranger: httpx.AsyncClient
) -> None:
    begun = await stranger.get("/portal/login")
    query = _answered(begun, at_home)
    async with at_home.client() as victim:
        for _ in range(2):
            answer = await victim.get("/login/callback", params=query)
            assert answer.status_code == 400
            assert SESSION not in victim.cookies
            await victim.get("/portal/login")  # the second time the victim has a sign-in of its own under way


async def test_an_answer_works_once(at_home: TestHome, stranger: httpx.AsyncClient) -> None:
    query = _answered(await stranger.get("/portal/login"), at_home)
    cookie = stranger.cookies["concordat_browser_login"]
    assert (await stranger.get("/login/callback", params=query)).headers["location"] == "/portal/"
    async with at_home.client() as again:
        again.cookies.set("concordat_browser_login", cookie, domain="home.alma.example", path="/login")
        query["code"] = at_home.provider.authorize("https://idp.alma.example/?nonce=x&state=" + query["state"])
        refused = await again.get("/login/callback", params=query)
        assert "/portal/signin-failed?code=" in refused.headers["location"]
        assert SESSION not in again.cookies


async def test_a_refusal_of_the_provider_is_a_page_in_words(at_home: TestHome, stranger: httpx.AsyncClient) -> None:
    at_home.provider.claims = {"affiliation": "nobody", "role": "researcher"}
    refused = await at_home.sign_in_browser(stranger)
    assert refused.headers["location"] == "/portal/signin-failed?code=person_not_mapped"
    page = await stranger.get(refused.headers["location"])
    assert (page.status_code, code_in(page)) == (403, "person_not_mapped")
    assert SESSION not in stranger.cookies


async def test_a_code_in_the_address_is_shown_only_when_it_is_one_of_ours(stranger: httpx.AsyncClient) -> None:
    page = await stranger.get("/portal/signin-failed", params={"code": "call_0800_scam"})
    assert "call_0800_scam" not in page.text


async def test_the_command_line_signs_in_beside_a_browser_that_has_begun(
    at_home: TestHome, stranger: httpx.AsyncClient
) -> None:
    await stranger.get("/portal/login")
    token = await at_home.sign_in(stranger)
    told = await stranger.get("/v1/whoami", headers={"authorization": f"Bearer {token}"})
    assert told.json()["subject"] == "person-1"


async def test_a_cookie_opens_no_api_and_a_bearer_opens_no_page(at_home: TestHome, browser: Browser) -> None:
    cookie = browser.client.cookies[SESSION]
    for headers in ({}, {"authorization": f"Bearer {cookie}"}):
        assert (await browser.client.get("/v1/whoami", headers=headers)).status_code == 401
    async with at_home.client() as program:
        bearer = await at_home.sign_in(program)
        program.cookies.set(SESSION, bearer, domain="home.alma.example", path="/")
        program.headers["authorization"] = f"Bearer {bearer}"
        assert "Sign in with" in (await program.get("/portal/")).text


async def test_signing_out_ends_the_session_and_everything_kept_for_it(browser: Browser) -> None:
    path, cookie = await browser.search(), browser.client.cookies[SESSION]
    out = await browser.post("/portal/logout")
    assert (out.status_code, out.headers["location"]) == (303, "/portal/?signed-out=yes")
    browser.client.cookies.set(SESSION, cookie, domain="home.alma.example", path="/")
    assert (await browser.get(path)).status_code == 401


async def test_an_ended_session_is_told_and_the_sentence_is_not_lost(at_home: TestHome, browser: Browser) -> None:
    csrf = await browser.csrf()
    at_home.clock.now += at_home.home.settings.session_idle_s
    data = {"csrf": csrf, "q": "models about sepsis & more", "purpose": "HMB"}
    page = await browser.client.post("/portal/search", data=data, headers=SAME_ORIGIN)
    assert page.status_code == 401
    assert "Your session has ended" in page.text
    assert "q%3Dmodels%2Babout%2Bsepsis%2B%2526%2Bmore" in page.text


@pytest.mark.parametrize(
    "place", ["/portal/search/abc", "/portal/?q=models+%26", "/portal/search/a/record/urn:concordat:x:model:y"]
)
async def test_a_person_goes_on_where_they_were(at_home: TestHome, stranger: httpx.AsyncClient, place: str) -> None:
    assert (await at_home.sign_in_browser(stranger, next_path=place)).headers["location"] == place


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example/",
        "//evil.example/portal/",
        "/\\evil.example",
        "/portal//evil.example",
        "/portal/../v1/whoami",
        "/portal/\r\nset-cookie: a=b",
        "/portal/\t/evil",
        "/portal/%2e%2e/evil",
        "/portal/search/.%2E/%2e./%2E%2e/evil",
        "/portalevil/",
        "javascript:alert(1)",
        "/portal/" + "x" * NEXT_LENGTH_MAX,
        "",
    ],
)
async def test_nobody_is_sent_anywhere_else(at_home: TestHome, stranger: httpx.AsyncClient, place: str) -> None:
    assert (await at_home.sign_in_browser(stranger, next_path=place)).headers["location"] == "/portal/"


def test_a_place_is_kept_up_to_its_limit() -> None:
    longest = "/portal/" + "x" * (NEXT_LENGTH_MAX - len("/portal/"))
    assert own_path(longest, "/portal") == longest
    assert own_path(longest + "x", "/portal") == "/portal/"


@given(st.text(alphabet="/\\.:?@%#a\t\r\n é", max_size=40))
def test_whatever_is_wanted_the_way_stays_inside_the_portal(rest: str) -> None:
    for wanted in (rest, f"/portal{rest}", f"/portal/{rest}"):
        place = own_path(wanted, "/portal")
        assert place.startswith("/portal/")
        assert "//" not in place
        assert "\\" not in place
        assert "/.." not in place
        assert place.isprintable()
