"""Signing in with a provider that is not ours: panva's oidc-provider from npm, unchanged."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from concordat_client.home_client import HomeClient
from concordat_client.login import exchange, sign_in
from concordat_trust.canonical import JsonObject
from concordat_trust.encoding import b64u
from tests.factories.foreign_provider import CLIENT_ID, PERSON_CLAIMS, SCRIPTS, ForeignHome, free_port, home_in_front_of
from tests.factories.form_browser import FormBrowser, browsing
from tests.factories.visas import make_visa
from tests.factories.web import INSTALL_SECONDS_MAX, WEB, node_server

pytestmark = pytest.mark.timeout(INSTALL_SECONDS_MAX)
SCRIPT_REDIRECT = "http://127.0.0.1:1/callback"


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ForeignHome, str]]:
    """A home node, and the address of its provider."""
    folder, port, home_port = tmp_path_factory.mktemp("panva"), free_port(), free_port()
    home = f"http://127.0.0.1:{home_port}"

    def client(client_id: str, redirect: str) -> JsonObject:
        return {
            "client_id": client_id,
            "token_endpoint_auth_method": "none",
            "redirect_uris": [redirect],
            "post_logout_redirect_uris": [f"{home}/portal/?signed-out=yes"],
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
        }

    now = int(time.time())
    visa = make_visa(sub="ada", iat=now, exp=now + 600)
    persons = {"ada": {**PERSON_CLAIMS, "ga4gh_passport_v1": [visa]}, "bob": {"groups": []}}
    clients = [client(CLIENT_ID, f"{home}/login/callback"), client(SCRIPTS, SCRIPT_REDIRECT)]
    config = folder / "provider.json"
    config.write_text(json.dumps({"port": port, "clients": clients, "persons": persons}))
    with node_server(WEB / "provider.cjs", str(config)) as issuer:
        scope = "openid ga4gh_passport_v1"
        provider: JsonObject = {"issuer": issuer, "scope": scope, "userinfo": True, "algorithm": "RS256"}
        with home_in_front_of(folder, home_port, provider) as served:
            yield served, issuer


def test_a_person_signs_in_and_is_mapped(foreign: tuple[ForeignHome, str]) -> None:
    session = sign_in(foreign[0].address, open_url=browsing("ada", "any"), timeout_s=60)
    with HomeClient.of(session) as client:
        told = client.whoami()
    claims = told["claims"]
    assert isinstance(claims, dict)
    assert (claims["affiliation"], claims["role"], claims["clearance"]) == ("staff", "researcher", 2)
    assert abs(int(str(claims["auth_time"])) - time.time()) < 60
    assert told["purposes"] == ["GRU"]
    visas = told["visas"]
    assert isinstance(visas, list)
    assert [visa["type"] for visa in visas if isinstance(visa, dict)] == ["ControlledAccessGrants"]


def test_a_person_without_claims_is_refused(foreign: tuple[ForeignHome, str]) -> None:
    with FormBrowser("bob", "any") as browser:
        page = browser.open(f"{foreign[0].address}/portal/login")
    assert (page.status_code, "person_not_mapped" in page.text) == (403, True)


def test_a_step_up_asks_a_person_who_is_known_again(foreign: tuple[ForeignHome, str]) -> None:
    home, issuer = foreign
    with FormBrowser("ada", "any") as browser:
        browser.open(f"{home.address}/portal/login")
        asked = _interactions(browser, issuer)
        browser.open(f"{home.address}/portal/login")
        assert _interactions(browser, issuer) == asked  # single sign-on: the provider asks nothing
        assert "Asking as" in browser.open(f"{home.address}/portal/login?fresh=1").text
        assert _interactions(browser, issuer) > asked


def _interactions(browser: FormBrowser, issuer: str) -> int:
    return sum(url.startswith(f"{issuer}/interaction") for url in browser.visited)


def test_signing_out_ends_at_the_portal(foreign: tuple[ForeignHome, str]) -> None:
    with FormBrowser("ada", "any") as browser:
        browser.open(f"{foreign[0].address}/portal/login")
        last = browser.open(f"{foreign[0].address}/portal/logout/provider")
    assert str(last.url) == f"{foreign[0].address}/portal/?signed-out=yes"
    assert any("/session/end" in url for url in browser.visited)


def test_a_script_exchanges_its_token(foreign: tuple[ForeignHome, str]) -> None:
    session = exchange(foreign[0].address, _id_token_of_script(foreign[1]))
    assert session.subject == "ada"
    assert session.expires_at - time.time() <= 900


def _id_token_of_script(issuer: str) -> str:
    """Return an ID token for the audience of scripts, as a program on a desk gets it."""
    verifier = secrets.token_urlsafe(48)
    query = {
        "client_id": SCRIPTS,
        "code_challenge": b64u(hashlib.sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
        "redirect_uri": SCRIPT_REDIRECT,
        "response_type": "code",
        "scope": "openid",
        "claims": json.dumps({"id_token": dict.fromkeys(PERSON_CLAIMS)}),
    }
    # Nobody listens at the redirect address: the code is read off it.
    with FormBrowser("ada", "any") as browser, pytest.raises(httpx.ConnectError):
        browser.open(f"{issuer}/auth?{urlencode(query)}")
    code = dict(parse_qsl(urlsplit(browser.visited[-1]).query))["code"]
    form = {
        "grant_type": "authorization_code",
        "client_id": SCRIPTS,
        "code": code,
        "code_verifier": verifier,
        "redirect_uri": SCRIPT_REDIRECT,
    }
    return str(httpx.post(f"{issuer}/token", data=form, trust_env=False).json()["id_token"])
