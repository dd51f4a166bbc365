"""Proving anew who one is: what is asked of the provider, what it must say, and what the network is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from concordat_node.home.claims import PersonClaims
from concordat_node.home.id_token import AGE_MAX_S, LEEWAY_S
from concordat_node.home.mint import told_claims
from concordat_node.home.person import SignIn
from concordat_node.home.sessions import Session
from concordat_node.home.settings import SESSION_ABSOLUTE_S
from concordat_node.home.step_up import ACR_VALUES_MAX
from tests.factories.home import CLI_REDIRECT, CLI_VERIFIER, HOME, TestHome, cli_query, confirmed, make_home
from tests.factories.network import CAPS, NOW, make_network


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[TestHome]:
    made = make_home(tmp_path)
    yield made
    made.home.close()


@pytest.fixture
async def browser(at_home: TestHome) -> AsyncIterator[httpx.AsyncClient]:
    async with at_home.client() as client:
        yield client


def query_of(response: httpx.Response) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))


async def finished(at_home: TestHome, browser: httpx.AsyncClient, **wanted: str) -> dict[str, str]:
    begun = await browser.get("/login/cli", params={**cli_query(), **wanted})
    answer = {"code": at_home.provider.authorize(begun.headers["location"]), "state": query_of(begun)["state"]}
    back = await browser.get("/login/callback", params=answer)
    if back.headers["location"] == "confirm":
        back = await confirmed(browser)
    assert back.headers["location"].startswith(CLI_REDIRECT + "?")
    return query_of(back)


def saying(at_home: TestHome, **claims: object) -> None:
    at_home.provider.change = lambda token: token.update(claims)


async def test_every_sign_in_asks_when_the_person_signed_in(browser: httpx.AsyncClient) -> None:
    query = query_of(await browser.get("/login/cli", params=cli_query()))
    assert query["max_age"] == str(SESSION_ABSOLUTE_S)
    assert not {"prompt", "acr_values"} & set(query)


async def test_a_step_up_asks_for_a_new_sign_in_in_the_named_ways(browser: httpx.AsyncClient) -> None:
    asked = {**cli_query(), "fresh": "1", "acr_values": "urn:mfa gold"}
    query = query_of(await browser.get("/login/cli", params=asked))
    assert (query["prompt"], query["acr_values"]) == ("login", "urn:mfa gold")
    portal = await browser.get("/portal/login", params={"fresh": "1"})
    assert query_of(portal)["prompt"] == "login"


@pytest.mark.parametrize(
    "wanted",
    [{"fresh": "0"}, {"acr_values": "a\nb\x01"}, {"acr_values": " ".join("abcdef"[: ACR_VALUES_MAX + 1])}],
)
async def test_a_malformed_step_up_is_refused(browser: httpx.AsyncClient, wanted: dict[str, str]) -> None:
    response = await browser.get("/login/cli", params={**cli_query(), **wanted})
    assert response.json()["error"]["code"] == "login_request_malformed"


@pytest.mark.parametrize(
    ("claims", "wanted", "code"),
    [
        ({}, {"fresh": "1"}, "id_token_auth_time"),
        ({"auth_time": NOW - LEEWAY_S - 1}, {"fresh": "1"}, "id_token_auth_time"),
        ({"auth_time": NOW + LEEWAY_S + 1}, {}, "id_token_auth_time"),
        ({"auth_time": NOW - SESSION_ABSOLUTE_S - AGE_MAX_S - 1}, {}, "id_token_auth_time"),
        ({"auth_time": NOW, "acr": "pwd"}, {"acr_values": "mfa"}, "id_token_acr"),
        ({"auth_time": NOW}, {"acr_values": "mfa"}, "id_token_acr"),
        ({"acr": "mfa"}, {"acr_values": "mfa"}, "id_token_auth_time"),
        ({"auth_time": "now"}, {}, "id_token_malformed"),
        ({"auth_time": -1}, {}, "id_token_malformed"),
        ({"acr": 2}, {}, "id_token_malformed"),
        ({"acr": ""}, {}, "id_token_malformed"),
        ({"acr": "x" * 201}, {}, "id_token_malformed"),
        ({"acr": "\ud800"}, {}, "id_token_malformed"),
    ],
)
async def test_a_provider_that_does_not_say_what_was_asked_signs_nobody_in(
    at_home: TestHome, browser: httpx.AsyncClient, claims: dict[str, object], wanted: dict[str, str], code: str
) -> None:
    saying(at_home, **claims)
    assert (await finished(at_home, browser, **wanted))["error"] == code


@pytest.mark.parametrize(
    ("claims", "wanted"),
    [
        ({}, {}),
        ({"auth_time": NOW - LEEWAY_S}, {"fresh": "1"}),
        ({"auth_time": NOW, "acr": "mfa"}, {"fresh": "1", "acr_values": "gold mfa"}),
        ({"auth_time": NOW - SESSION_ABSOLUTE_S - AGE_MAX_S}, {}),
    ],
)
async def test_what_was_asked_and_said_signs_in(
    at_home: TestHome, browser: httpx.AsyncClient, claims: dict[str, object], wanted: dict[str, str]
) -> None:
    saying(at_home, **claims)
    assert "code" in await finished(at_home, browser, **wanted)


async def test_the_page_that_asked_is_told_why_a_step_up_failed(at_home: TestHome, browser: httpx.AsyncClient) -> None:
    begun = await browser.get("/portal/login", params={"fresh": "1"})
    answer = {"code": at_home.provider.authorize(begun.headers["location"]), "state": query_of(begun)["state"]}
    back = await browser.get("/login/callback", params=answer)
    assert back.headers["location"] == "/portal/signin-failed?code=id_token_auth_time"


async def test_a_step_up_is_a_new_session_and_the_old_one_is_over(
    at_home: TestHome, browser: httpx.AsyncClient
) -> None:
    saying(at_home, auth_time=NOW)
    first = (await at_home.sign_in_browser(browser)).cookies["__Host-concordat_session"]
    begun = await browser.get("/portal/login", params={"fresh": "1"})
    answer = {"code": at_home.provider.authorize(begun.headers["location"]), "state": query_of(begun)["state"]}
    second = (await browser.get("/login/callback", params=answer)).cookies["__Host-concordat_session"]
    assert first != second
    async with at_home.client() as old:
        old.cookies.set("__Host-concordat_session", first)
        assert "Sign in with" in (await old.get("/portal/")).text


async def test_a_person_sees_what_the_network_is_told_of_the_sign_in(
    at_home: TestHome, browser: httpx.AsyncClient
) -> None:
    saying(at_home, auth_time=NOW - 5, acr="mfa")
    answer = await finished(at_home, browser)
    opened = await browser.post("/v1/session", json={"code": answer["code"], "code_verifier": CLI_VERIFIER})
    claims = opened.json()["claims"]
    # The network does not believe this organization's acr: it is not said.
    assert (claims["auth_time"], claims.get("acr")) == (NOW - 5, None)


def test_how_a_person_was_recognised_is_said_within_the_caps() -> None:
    network = make_network(may_assert={HOME: replace(CAPS, acr_values=frozenset({"mfa"}))})
    for acr, said in (("mfa", "mfa"), ("pwd", None), (None, None)):
        session = Session("s", "person-1", PersonClaims("staff", "researcher", 1), NOW + 100, SignIn(NOW, NOW - 5, acr))
        told = told_claims(session, network.bundle, HOME)
        assert (told.auth_time, told.acr) == (NOW - 5, said)


# Signing out, here and there.


async def test_signing_out_offers_to_sign_out_of_the_provider_too(
    at_home: TestHome, browser: httpx.AsyncClient
) -> None:
    at_home.provider.has_end_session = True
    await at_home.sign_in_browser(browser)
    page = await browser.get("/portal/")
    csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
    out = await browser.post("/portal/logout", data={"csrf": csrf}, headers={"origin": "https://home.alma.example"})
    assert out.headers["location"] == "/portal/?signed-out=here"
    shown = await browser.get(out.headers["location"])
    assert "/portal/logout/provider" in shown.text
    away = await browser.get("/portal/logout/provider")
    assert urlsplit(away.headers["location"])[:3] == ("https", "idp.alma.example", "/logout")
    assert query_of(away) == {
        "client_id": "concordat-home",
        "post_logout_redirect_uri": "https://home.alma.example/portal/?signed-out=yes",
    }


async def test_a_provider_without_such_a_place_is_not_mentioned(at_home: TestHome, browser: httpx.AsyncClient) -> None:
    away = await browser.get("/portal/logout/provider")
    assert away.headers["location"] == "/portal/?signed-out=yes"
    assert "/portal/logout/provider" not in (await browser.get(away.headers["location"])).text
