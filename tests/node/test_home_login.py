"""Signing in: what is refused, each with its code, and that nothing works twice."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import MetaData, select

from concordat_node.home.login_store import CODE_S, LOGINS_PER_PERSON_MAX
from concordat_node.home.pending import PENDING_S
from concordat_trust.encoding import sha256_b64u
from concordat_trust.wire.transport import PeerUnreachable, WireRequest, WireResponse
from tests.factories.home import (
    CLI_REDIRECT,
    CLI_STATE,
    CLI_VERIFIER,
    ISSUER,
    TestHome,
    cli_query,
    confirmed,
    make_home,
    sign_jws,
)


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


def code_of(response: httpx.Response) -> str:
    return str(response.json()["error"]["code"])


async def begun(at_home: TestHome, browser: httpx.AsyncClient) -> dict[str, str]:
    """Return what the provider sends the browser back with after a person signed in."""
    response = await browser.get("/login/cli", params=cli_query())
    assert response.status_code == 303
    return {"code": at_home.provider.authorize(response.headers["location"]), "state": query_of(response)["state"]}


async def identified(at_home: TestHome, browser: httpx.AsyncClient) -> httpx.Response:
    """Return the answer to a browser that comes back from the provider."""
    return await browser.get("/login/callback", params=await begun(at_home, browser))


async def finished(at_home: TestHome, browser: httpx.AsyncClient) -> dict[str, str]:
    back = await identified(at_home, browser)
    if back.headers["location"] == "confirm":
        back = await confirmed(browser)
    assert back.headers["location"].startswith(CLI_REDIRECT + "?")
    return query_of(back)


async def test_a_person_signs_in_and_is_who_the_provider_says(at_home: TestHome, browser: httpx.AsyncClient) -> None:
    answer = await finished(at_home, browser)
    assert answer["state"] == CLI_STATE
    opened = await browser.post("/v1/session", json={"code": answer["code"], "code_verifier": CLI_VERIFIER})
    assert opened.status_code == 200
    token = opened.json()["session_token"]
    who = await browser.get("/v1/whoami", headers={"authorization": f"Bearer {token}"})
    assert who.json()["subject"] == "person-1"
    assert who.json()["claims"] == {"affiliation": "staff", "clearance": 2, "role": "researcher"}
    assert "session_token" not in who.json()


async def test_the_provider_is_asked_with_pkce_state_and_nonce(browser: httpx.AsyncClient) -> None:
    response = await browser.get("/login/cli", params=cli_query())
    query = query_of(response)
    assert response.headers["location"].startswith(f"{ISSUER}/authorize?")
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert query["redirect_uri"] == "https://home.alma.example/login/callback"
    assert len({query["state"], query["nonce"], query["code_challenge"]}) == 3
    cookie = response.headers["set-cookie"]
    assert all(word in cookie.lower() for word in ("httponly", "samesite=lax", "secure", "path=/login"))


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://127.0.0.1:43210/callback",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:43210/other",
        "http://127.0.0.1:43210/callback?x=1",
        "http://127.0.0.1:43210/callback#x",
        "http://evil@127.0.0.1:43210/callback",
        "http://127.0.0.1.evil.example:43210/callback",
        "http://localhost:43210/callback",
        "http://127.0.0.1:99999/callback",
        "http://10.0.0.1:43210/callback",
        "",
    ],
)
async def test_only_the_loopback_callback_may_be_redirected_to(browser: httpx.AsyncClient, redirect_uri: str) -> None:
    response = await browser.get("/login/cli", params={**cli_query(), "redirect_uri": redirect_uri})
    assert response.status_code == 400
    assert code_of(response) == "login_redirect_refused"


@pytest.mark.parametrize(
    "change",
    [
        {"code_challenge": "short"},
        {"code_challenge_method": "plain"},
        {"state": "short"},
        {"state": "with space 0123456789"},
    ],
)
async def test_a_malformed_sign_in_request_is_refused(browser: httpx.AsyncClient, change: dict[str, str]) -> None:
    response = await browser.get("/login/cli", params={**cli_query(), **change})
    assert code_of(response) == "login_request_malformed"


async def test_a_parameter_that_is_there_twice_is_refused(browser: httpx.AsyncClient) -> None:
    response = await browser.get("/login/cli", params=[*cli_query().items(), ("state", CLI_STATE)])
    assert code_of(response) == "login_request_malformed"


async def test_a_wrong_state_is_refused(at_home: TestHome, browser: httpx.AsyncClient) -> None:
    answer = await begun(at_home, browser)
    response = await browser.get("/login/callback", params={**answer, "state": "x" * 43})
    assert response.status_code == 400
    assert code_of(response) == "login_state_invalid"


async def test_a_sign_in_is_finished_only_in_the_browser_that_began_it(
    at_home: TestHome, browser: httpx.AsyncClient
) -> None:
    answer = await begun(at_home, browser)
    async with at_home.client() as other:
        assert code_of(await other.get("/login/callback", params=answer)) == "login_state_invalid"
        await other.get("/login/cli", params=cli_query())
        assert code_of(await other.get("/login/callback", params=answer)) == "login_state_invalid"


async def test_a_replayed_callback_is_refused(at_home: TestHome, browser: httpx.AsyncClient) -> None:
    answer = await begun(at_home, browser)
    cookie = browser.cookies.get("concordat_login")
    assert (await browser.get("/login/callback", params=answer)).headers["location"] == "confirm"
    again = await browser.get("/login/callback", params=answer, headers={"cookie": f"concordat_login={cookie}"})
    assert code_of(again) == "login_state_invalid"


async def test_a_sign_in_that_takes_too_long_is_refused(at_home: TestHome, browser: httpx.AsyncClient) -> None:
    answer = await begun(at_home, browser)
    at_home.clock.now += PENDING_S
    assert code_of(await browser.get("/login/callback", params=answer)) == "login_state_invalid"


def stored(at_home: TestHome) -> int:
    found = MetaData()
    found.reflect(at_home.home.engine)
    assert found.sorted_tables
    with at_home.home.engine.connect() as connection:
        return sum(len(connection.execute(select(table)).all()) for table in found.sorted_tables)


async def test_anonymous_visitors_store_nothing_and_keep_nobody_out(
    at_home: TestHome, browser: httpx.AsyncClient
) -> None:
    for _ in range(310):
        async with at_home.client() as anonymous:
            answer = await begun(at_home, anonymous)
            refused = await anonymous.get("/login/callback", params={"error": "no", "state": answer["state"]})
            assert query_of(refused)["error"] == "login_refused_by_provider"
            assert code_of(await anonymous.get("/login/callback", params=answer)) == "login_state_invalid"
    assert stored(at_home) == 0
    assert "code" in await finished(at_home, browser)


async def test_one_person_has_a_limit_of_sign_ins_and_takes_nothing_from_others(
    at_home: TestHome, browser: httpx.AsyncClient
) -> None:
    for _ in range(LOGINS_PER_PERSON_MAX):
        assert "code" in await finished(at_home, browser)
    assert (await finished(at_home, browser))["error"] == "logins_too_many"
    at_home.provider.subject = "person-2"
    assert "code" in await finished(at_home, browser)
    at_home.provider.subject = "person-1"
    at_home.clock.now += PENDING_S
    assert "code" in await finished(at_home, browser)


async def test_a_person_the_provider_refuses_is_told_to_the_command_line(
    at_home: TestHome, browser: httpx.AsyncClient
) -> None:
    answer = await begun(at_home, browser)
    back = await browser.get("/login/callback", params={"error": "access_denied", "state": answer["state"]})
    assert query_of(back) == {"error": "login_refused_by_provider", "state": CLI_STATE}


async def test_an_answer_of_another_issuer_is_refused(at_home: TestHome, browser: httpx.AsyncClient) -> None:
    answer = await begun(at_home, browser)
    back = await browser.get("/login/callback", params={**answer, "iss": "https://evil.example"})
    assert query_of(back)["error"] == "id_token_issuer"


def _set(**changes: object) -> Callable[[dict[str, object]], None]:
    return lambda claims: claims.update(changes)


def _without(name: str) -> Callable[[dict[str, object]], None]:
    return lambda claims: claims.__delitem__(name)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_set(nonce="another"), "id_token_nonce"),
        (_without("nonce"), "id_token_nonce"),
        (_set(iss="https://evil.example"), "id_token_issuer"),
        (_set(aud="another-client"), "id_token_audience"),
        (_set(aud=["concordat-home", "another-client"]), "id_token_audience"),
        (_set(azp="another-client"), "id_token_audience"),
        (_set(exp=1_799_999_000), "id_token_time"),
        (_set(iat=1_800_000_100), "id_token_time"),
        (_set(iat=1_799_999_000), "id_token_time"),
        (_without("exp"), "id_token_malformed"),
        (_set(exp="1800000300"), "id_token_malformed"),
        (_set(iat=True), "id_token_malformed"),
        (_set(sub=""), "id_token_malformed"),
        (_set(sub=None), "id_token_malformed"),
        (_set(affiliation="janitor"), "person_not_mapped"),
        (_without("role"), "person_not_mapped"),
    ],
)
async def test_an_id_token_that_is_not_for_this_sign_in_is_refused(
    at_home: TestHome, browser: httpx.AsyncClient, change: Callable[[dict[str, object]], None], code: str
) -> None:
    at_home.provider.change = change
    assert (await finished(at_home, browser))["error"] == code


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _alg_none(token: str) -> str:
    return f"{_part({'alg': 'none'})}.{token.split('.')[1]}."


def _alg_none_with_signature(token: str) -> str:
    return f"{_part({'alg': 'none', 'kid': 'key-1'})}.{token.split('.')[1]}.AAAA"


def _flipped(token: str) -> str:
    head, payload, signature = token.split(".")
    return f"{head}.{payload}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def _payload(token: str) -> dict[str, object]:
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


def _changed_payload(token: str) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{_part({**_payload(token), 'sub': 'somebody-else'})}.{signature}"


@pytest.mark.parametrize(
    ("forge", "code"),
    [
        (_alg_none, "id_token_algorithm"),
        (_alg_none_with_signature, "id_token_algorithm"),
        (_flipped, "id_token_signature_invalid"),
        (_changed_payload, "id_token_signature_invalid"),
        (lambda _: "not a token", "id_token_malformed"),
        (lambda _: "a.b.c", "id_token_malformed"),
        (lambda token: token + "A" * 20_000, "id_token_malformed"),
    ],
)
async def test_a_forged_id_token_is_refused(
    at_home: TestHome, browser: httpx.AsyncClient, forge: Callable[[str], str], code: str
) -> None:
    at_home.provider.forge = forge
    assert (await finished(at_home, browser))["error"] == code


async def test_the_public_key_is_not_a_shared_secret(at_home: TestHome, browser: httpx.AsyncClient) -> None:
    secret = json.dumps(at_home.provider.jwk()).encode()

    def hs256(token: str) -> str:
        signed = f"{_part({'alg': 'HS256', 'kid': 'key-1'})}.{token.split('.')[1]}"
        mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    at_home.provider.forge = hs256
    assert (await finished(at_home, browser))["error"] == "id_token_algorithm"


async def test_a_key_that_the_provider_does_not_publish_is_refused(
    at_home: TestHome, browser: httpx.AsyncClient
) -> None:
    stranger = Ed25519PrivateKey.generate()
    claims: dict[str, object] = {"sub": "person-1"}
    at_home.provider.forge = lambda _: sign_jws(claims, stranger, kid="key-2")
    assert (await finished(at_home, browser))["error"] == "id_token_key_unknown"


async def test_a_rotated_key_is_read_again_but_not_for_every_invention(
    at_home: TestHome, browser: httpx.AsyncClient
) -> None:
    provider = at_home.provider
    assert "code" in await finished(at_home, browser)
    assert provider.asked.count("/jwks") == 1
    provider.forge = lambda token: sign_jws(
        json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "==")), provider.key, kid="new"
    )
    for _ in range(3):
        assert (await finished(at_home, browser))["error"] == "id_token_key_unknown"
    assert provider.asked.count("/jwks") == 1
    at_home.clock.now += 31
    assert (await finished(at_home, browser))["error"] == "id_token_key_unknown"
    assert provider.asked.count("/jwks") == 2


async def test_a_wrong_verifier_is_refused_and_burns_the_code(at_home: TestHome, browser: httpx.AsyncClient) -> None:
    code = (await finished(at_home, browser))["code"]
    wrong = await browser.post("/v1/session", json={"code": code, "code_verifier": "w" * 64})
    assert wrong.status_code == 400
    assert code_of(wrong) == "login_verifier_mismatch"
    right = await browser.post("/v1/session", json={"code": code, "code_verifier": CLI_VERIFIER})
    assert code_of(right) == "login_code_invalid"


async def test_a_code_works_once_and_not_for_long(at_home: TestHome, browser: httpx.AsyncClient) -> None:
    code = (await finished(at_home, browser))["code"]
    body = {"code": code, "code_verifier": CLI_VERIFIER}
    assert (await browser.post("/v1/session", json=body)).status_code == 200
    assert code_of(await browser.post("/v1/session", json=body)) == "login_code_invalid"
    late = (await finished(at_home, browser))["code"]
    at_home.clock.now += CODE_S
    response = await browser.post("/v1/session", json={"code": late, "code_verifier": CLI_VERIFIER})
    assert code_of(response) == "login_code_invalid"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "json_malformed"),
        (b"[]", 400, "json_malformed"),
        (b'{"code":"a","code":"b","code_verifier":"x"}', 400, "json_duplicate_key"),
        (b'{"code":"a"}', 400, "document_malformed"),
        (b'{"code":1,"code_verifier":"x"}', 400, "document_malformed"),
        (b'{"code":"a","code_verifier":"x","more":1}', 400, "document_malformed"),
        (b'{"code":"a","code_verifier":"x"}', 400, "login_request_malformed"),
        (b" " * 70_000, 413, "json_too_large"),
    ],
)
async def test_a_bad_body_has_a_code(browser: httpx.AsyncClient, body: bytes, status: int, code: str) -> None:
    response = await browser.post("/v1/session", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, code_of(response)) == (status, code)
    assert set(response.json()["error"]) == {"code", "message", "hint"}


async def test_a_body_that_is_not_declared_json_is_refused(browser: httpx.AsyncClient) -> None:
    response = await browser.post("/v1/session", content=b"{}", headers={"content-type": "text/plain"})
    assert (response.status_code, code_of(response)) == (415, "content_type_unsupported")


async def test_a_provider_that_is_away_is_said_so(at_home: TestHome, browser: httpx.AsyncClient) -> None:
    at_home.transport.default = _Away()
    response = await browser.get("/login/cli", params=cli_query())
    assert (response.status_code, code_of(response)) == (502, "identity_provider_unreachable")


class _Away:
    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        raise PeerUnreachable(endpoint=endpoint, sent=False)


def test_the_challenge_is_the_hash_of_the_verifier() -> None:
    # RFC 7636 appendix B.
    assert sha256_b64u(b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
