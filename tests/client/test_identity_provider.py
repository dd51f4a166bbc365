"""The demonstration's identity provider: loopback only, exact addresses, PKCE always, codes once."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from concordat_client.demo.identity_provider import ProviderServer
from concordat_client.demo.provider_state import ProviderConfigInvalid, ProviderNotLoopback, parse_config
from concordat_trust.canonical import Json, canonical_bytes
from concordat_trust.encoding import b64u
from tests.client.running import PASSWORD, provider_config, running_provider

REDIRECT = "http://127.0.0.1:4000/login/callback"
VERIFIER = "v" * 64
QUERY = {
    "client_id": "concordat-home",
    "redirect_uri": REDIRECT,
    "response_type": "code",
    "scope": "openid",
    "state": "state-1",
    "nonce": "nonce-1",
    "code_challenge": b64u(hashlib.sha256(VERIFIER.encode()).digest()),
    "code_challenge_method": "S256",
}


@pytest.fixture(scope="module")
def provider() -> Iterator[ProviderServer]:
    with running_provider(provider_config(REDIRECT)) as server:
        yield server


@pytest.fixture
def client(provider: ProviderServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=provider.issuer, trust_env=False) as opened:
        yield opened


def login_id(page: httpx.Response) -> str:
    return page.text.split('name="login" value="')[1].split('"')[0]


def signed_in(client: httpx.Client, **changes: str) -> httpx.Response:
    page = client.get("/authorize", params=QUERY)
    form = {"login": login_id(page), "username": "trial-analyst", "password": PASSWORD, **changes}
    return client.post("/authorize", data=form)


def code_of(client: httpx.Client) -> str:
    return dict(parse_qsl(urlsplit(signed_in(client).headers["location"]).query))["code"]


def redeem(client: httpx.Client, code: str, **changes: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        "client_id": "concordat-home",
    }
    return client.post("/token", data={**form, **changes})


def test_a_code_gives_an_id_token_with_the_nonce(client: httpx.Client, provider: ProviderServer) -> None:
    answer = redeem(client, code_of(client))
    assert answer.headers["cache-control"] == "no-store"
    claims = json.loads(base64.urlsafe_b64decode(answer.json()["id_token"].split(".")[1] + "=="))
    assert claims["iss"] == provider.issuer
    assert (claims["aud"], claims["nonce"], claims["sub"]) == ("concordat-home", "nonce-1", "trial-analyst")


def test_a_code_works_once(client: httpx.Client) -> None:
    code = code_of(client)
    assert redeem(client, code).status_code == 200
    assert redeem(client, code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code_verifier": "w" * 64}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"redirect_uri": REDIRECT + "/"}, "invalid_grant"),
        ({"client_id": "stranger"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_wrong_exchange_is_refused(client: httpx.Client, change: dict[str, str], error: str) -> None:
    answer = redeem(client, code_of(client), **change)
    assert (answer.status_code >= 400, answer.json()["error"]) == (True, error)


def test_an_invented_code_is_refused(client: httpx.Client) -> None:
    assert redeem(client, "invented").json()["error"] == "invalid_grant"


def test_a_failed_exchange_burns_the_code(client: httpx.Client) -> None:
    code = code_of(client)
    redeem(client, code, code_verifier="w" * 64)
    assert redeem(client, code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "redirect_uri",
    [REDIRECT + "/", REDIRECT + "?x=1", "http://127.0.0.1:4001/login/callback", "https://evil.example", ""],
)
def test_nobody_is_redirected_to_an_unregistered_address(client: httpx.Client, redirect_uri: str) -> None:
    answer = client.get("/authorize", params={**QUERY, "redirect_uri": redirect_uri})
    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"nonce": ""}, "invalid_request"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
def test_a_request_without_pkce_or_nonce_goes_back_as_an_error(
    client: httpx.Client, change: dict[str, str], error: str
) -> None:
    answer = client.get("/authorize", params={**QUERY, **change})
    assert dict(parse_qsl(urlsplit(answer.headers["location"]).query))["error"] == error


def test_a_wrong_password_shows_the_form_again_and_not_for_ever(client: httpx.Client) -> None:
    page = client.get("/authorize", params=QUERY)
    form = {"login": login_id(page), "username": "trial-analyst", "password": "wrong"}
    assert [client.post("/authorize", data=form).status_code for _ in range(6)] == [401] * 5 + [400]


def test_an_unknown_person_looks_like_a_wrong_password(client: httpx.Client) -> None:
    known, unknown = signed_in(client, password="x"), signed_in(client, username="stranger", password="")
    assert (known.status_code, unknown.status_code) == (401, 401)


def test_what_a_browser_sends_back_is_escaped(client: httpx.Client) -> None:
    answer = client.post("/authorize", data={"login": '"><script>', "username": "x", "password": "y"})
    assert "<script>" not in answer.text


def test_the_pages_run_no_scripts(client: httpx.Client) -> None:
    policy = client.get("/authorize", params=QUERY).headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("host", ["idp.example", "127.0.0.1.evil.example", "10.0.0.1", ""])
def test_another_name_than_loopback_is_refused(provider: ProviderServer, host: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", provider.server_address[1], timeout=5)
    connection.request("GET", "/jwks", headers={"host": host})
    assert connection.getresponse().status == 403
    connection.close()


def test_a_body_beyond_the_limit_is_refused(client: httpx.Client) -> None:
    assert client.post("/token", data={"code": "x" * 20_000}).status_code == 400


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "example.org", "::"])  # noqa: S104  # they must be refused
def test_it_never_listens_beyond_loopback(host: str) -> None:
    with pytest.raises(ProviderNotLoopback):
        parse_config(canonical_bytes(provider_config(REDIRECT, host=host)))


def test_it_never_redirects_beyond_loopback() -> None:
    with pytest.raises(ProviderNotLoopback):
        parse_config(canonical_bytes(provider_config("https://home.example/login/callback")))


@pytest.mark.parametrize(
    "change", [{"port": "4000"}, {"algorithm": "HS256"}, {"more": 1}, {"persons": [{"username": "x"}]}]
)
def test_a_wrong_configuration_is_named(change: dict[str, Json]) -> None:
    with pytest.raises(ProviderConfigInvalid):
        parse_config(canonical_bytes(provider_config(REDIRECT, **change)))


def run_provider(config: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-m", "concordat_client.cli", "demo-provider", "--config", str(config), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


def test_it_runs_as_a_process_and_stops_when_told(tmp_path: Path) -> None:
    config = tmp_path / "provider.json"
    config.write_bytes(canonical_bytes(provider_config(REDIRECT)))
    with run_provider(config) as process:
        assert process.stdout is not None
        issuer = json.loads(process.stdout.readline())["issuer"]
        found = httpx.get(f"{issuer}/.well-known/openid-configuration", trust_env=False).json()
        assert found["issuer"] == issuer
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_wrong_configuration_ends_the_process_with_usage(tmp_path: Path) -> None:
    with run_provider(tmp_path / "missing.json") as process:
        assert process.wait(20) == 2
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["error"]["code"] == "provider_config_invalid"


def test_an_address_that_is_not_loopback_ends_the_process_with_usage(tmp_path: Path) -> None:
    config = tmp_path / "provider.json"
    config.write_bytes(canonical_bytes(provider_config(REDIRECT, host="192.0.2.1")))
    with run_provider(config) as process:
        assert process.wait(20) == 2
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["error"]["code"] == "provider_not_loopback"


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    config = tmp_path / "provider.json"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config.write_bytes(canonical_bytes(provider_config(REDIRECT, port=taken.getsockname()[1])))
        with run_provider(config) as process:
            assert process.wait(20) == 2
            assert process.stdout is not None
            assert json.loads(process.stdout.read())["error"]["code"] == "provider_port_unavailable"
