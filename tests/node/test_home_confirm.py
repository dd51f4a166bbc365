"""No command line is signed in behind a person's back: the page between the identity provider and the code."""

from __future__ import annotations

import html
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from concordat_node.home.errors import LoginStateInvalid
from concordat_node.home.login_cookies import LoginCookies
from concordat_node.home.pending import CONFIRM_S, PENDING_S, ClientRequest, Confirmation, PendingLogin
from concordat_trust.canonical import JsonObject
from tests.factories.home import (
    CLI_REDIRECT,
    CLI_STATE,
    HOME_KEY,
    Entropy,
    TestHome,
    cli_query,
    confirmed,
    form_of,
    make_home,
)
from tests.factories.network import NOW

CLIENT = ClientRequest(CLI_REDIRECT, "c" * 43, CLI_STATE)
PENDING = PendingLogin("s" * 43, "n" * 43, "v" * 43, CLIENT, NOW + PENDING_S)
CONFIRMATION = Confirmation("s" * 43, "f" * 43, CLIENT, NOW + CONFIRM_S)


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[TestHome]:
    made = make_home(tmp_path)
    yield made
    made.home.close()


@pytest.fixture
async def browser(at_home: TestHome) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has come back from the identity provider."""
    async with at_home.client() as client:
        await come_back(at_home, client)
        yield client


async def come_back(at_home: TestHome, client: httpx.AsyncClient, **query: str) -> httpx.Response:
    begun = await client.get("/login/cli", params={**cli_query(), **query})
    location = begun.headers["location"]
    state = dict(parse_qsl(urlsplit(location).query))["state"]
    answer = {"code": at_home.provider.authorize(location), "state": state}
    return await client.get("/login/callback", params=answer)


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, str(response.json()["error"]["code"])


REFUSED = (400, "login_state_invalid")


async def test_the_page_names_the_port_and_the_person(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/login/confirm")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Sign this command line in?" in page.text
    assert "It listens on 127.0.0.1:43210." in page.text
    assert "Only continue if you started it yourself." in page.text
    assert "person-1" in page.text
    assert "alma-university" in page.text


async def test_the_page_runs_nothing_and_is_shown_in_no_frame(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/login/confirm")
    assert page.headers["content-security-policy"].split("; ") == [
        "default-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self' http://127.0.0.1:43210",
    ]
    assert page.headers["cache-control"] == "no-store"
    assert not any(word in page.text.lower() for word in ("<script", "<style", "style=", "http://", "https://"))


async def test_a_subject_is_shown_as_text(at_home: TestHome) -> None:
    at_home.provider.subject = "<script>alert('x')</script>&\"{0}{person}"
    async with at_home.client() as client:
        await come_back(at_home, client)
        page = await client.get("/login/confirm")
    assert "<script" not in page.text
    assert html.escape(at_home.provider.subject) in page.text


async def test_no_code_leaves_before_the_person_continues(at_home: TestHome) -> None:
    async with at_home.client() as client:
        back = await come_back(at_home, client)
        assert (back.status_code, back.headers["location"]) == (303, "confirm")
        sealed = client.cookies["concordat_login"]
        cookie = back.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("httponly", "samesite=lax", "secure", "path=/login"))
        with at_home.home.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM login_code").scalar_one() == 0
        answer = await confirmed(client)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"{CLI_REDIRECT}?code=")
        assert "concordat_login" not in client.cookies
        assert len(sealed) < 4_000


async def test_the_page_can_be_read_again_and_continued_once(browser: httpx.AsyncClient) -> None:
    form = form_of(await browser.get("/login/confirm"))
    assert form == form_of(await browser.get("/login/confirm"))
    cookie = {"cookie": f"concordat_login={browser.cookies['concordat_login']}"}
    assert (await browser.post("/login/confirm", data=form)).status_code == 303
    assert code_of(await browser.post("/login/confirm", data=form, headers=cookie)) == REFUSED
    assert code_of(await browser.get("/login/confirm", headers=cookie)) == REFUSED


@pytest.mark.parametrize(
    "form", [{"other": "x"}, {"confirmation": ""}, {"confirmation": "x" * 43}, {"confirmation": "ü"}]
)
async def test_a_form_that_is_not_of_the_page_is_refused(browser: httpx.AsyncClient, form: dict[str, str]) -> None:
    assert code_of(await browser.post("/login/confirm", data=form)) == REFUSED
    assert (await confirmed(browser)).status_code == 303


async def test_another_site_without_the_cookie_cannot_continue(at_home: TestHome, browser: httpx.AsyncClient) -> None:
    form = form_of(await browser.get("/login/confirm"))
    async with at_home.client() as other:
        assert code_of(await other.post("/login/confirm", data=form)) == REFUSED
        await come_back(at_home, other)
        assert code_of(await other.post("/login/confirm", data=form)) == REFUSED


@pytest.mark.parametrize(
    ("content", "media_type", "expected"),
    [
        (b"{}", "application/json", (415, "content_type_unsupported")),
        (b"confirmation=a&confirmation=b", "application/x-www-form-urlencoded", (400, "login_request_malformed")),
        (b"&".join([b"a=b"] * 100), "application/x-www-form-urlencoded", (400, "login_request_malformed")),
        (b"\xff=%ff", "application/x-www-form-urlencoded", REFUSED),
    ],
)
async def test_a_body_that_is_not_the_form_is_refused(
    browser: httpx.AsyncClient, content: bytes, media_type: str, expected: tuple[int, str]
) -> None:
    answer = await browser.post("/login/confirm", content=content, headers={"content-type": media_type})
    assert code_of(answer) == expected


async def test_a_page_that_lies_open_too_long_is_refused(at_home: TestHome, browser: httpx.AsyncClient) -> None:
    form = form_of(await browser.get("/login/confirm"))
    at_home.clock.now += CONFIRM_S
    assert code_of(await browser.post("/login/confirm", data=form)) == REFUSED


async def test_a_sign_in_that_the_provider_has_not_completed_has_no_page(at_home: TestHome) -> None:
    async with at_home.client() as client:
        await client.get("/login/cli", params=cli_query())
        assert code_of(await client.get("/login/confirm")) == REFUSED


async def test_an_ipv6_loopback_is_named_and_reached(at_home: TestHome) -> None:
    async with at_home.client() as client:
        await come_back(at_home, client, redirect_uri="http://[::1]:43210/callback")
        page = await client.get("/login/confirm")
        assert "It listens on [::1]:43210." in page.text
        # CSP has no form for IPv6 addresses (CSP3 §2.3.1, host-source).
        assert page.headers["content-security-policy"].endswith("form-action 'self' http:")
        assert (await confirmed(client)).headers["location"].startswith("http://[::1]:43210/callback?code=")


def cookies(key: bytes = HOME_KEY, label: str = "cookies") -> LoginCookies:
    return LoginCookies(key, entropy=Entropy(label))


def test_a_cookie_gives_back_what_was_sealed_and_shows_nothing_of_it() -> None:
    sealed = cookies().seal(PENDING)
    assert cookies().pending(sealed, now=NOW) == PENDING
    assert cookies().confirmation(cookies().seal(CONFIRMATION), now=NOW) == CONFIRMATION
    assert cookies(label="other").seal(PENDING) != sealed
    assert "nnnn" not in sealed


@pytest.mark.parametrize(
    "broken",
    [
        lambda sealed: "",
        lambda sealed: "x",
        lambda sealed: sealed[:-1],
        lambda sealed: sealed + "AAAA",
        lambda sealed: sealed[:60],
        lambda sealed: ("B" if sealed[0] == "A" else "A") + sealed[1:],
        lambda sealed: sealed[:80] + ("B" if sealed[80] == "A" else "A") + sealed[81:],
        lambda sealed: sealed + "=",
        lambda sealed: "A" * 10_000,
        lambda sealed: "ü" + sealed[1:],
    ],
)
def test_a_cookie_that_was_changed_is_refused(broken: object) -> None:
    assert callable(broken)
    with pytest.raises(LoginStateInvalid):
        cookies().pending(broken(cookies().seal(PENDING)), now=NOW)


def test_a_cookie_of_another_key_purpose_or_time_is_refused() -> None:
    with pytest.raises(LoginStateInvalid):
        cookies(bytes(32)).pending(cookies().seal(PENDING), now=NOW)
    with pytest.raises(LoginStateInvalid):
        cookies().confirmation(cookies().seal(PENDING), now=NOW)
    with pytest.raises(LoginStateInvalid):
        cookies().pending(cookies().seal(CONFIRMATION), now=NOW)
    cookies().pending(cookies().seal(PENDING), now=PENDING.ends_at - 1)
    with pytest.raises(LoginStateInvalid):
        cookies().pending(cookies().seal(PENDING), now=PENDING.ends_at)


def test_the_purpose_binds_a_cookie_whatever_its_fields_are() -> None:
    fields: JsonObject = {
        "client_challenge": CLIENT.challenge,
        "client_redirect": CLIENT.redirect_uri,
        "client_state": CLIENT.state,
        "ends_at": CONFIRMATION.ends_at,
        "form": CONFIRMATION.form,
        "state": CONFIRMATION.state,
    }
    assert cookies().confirmation(cookies()._sealed("confirmation", fields), now=NOW) == CONFIRMATION
    with pytest.raises(LoginStateInvalid):
        cookies().confirmation(cookies()._sealed("pending", fields), now=NOW)
