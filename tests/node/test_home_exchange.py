"""Token exchange: a fresh token of the own provider for a short session, once; and every refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from concordat_node.home.errors import HomeSettingsInvalid
from concordat_node.home.exchange import EXCHANGED_SESSION_S, GRANT_TYPE, SUBJECT_TOKEN_AGE_MAX_S, SUBJECT_TYPES
from concordat_node.home.login_store import LOGINS_PER_PERSON_MAX
from concordat_node.home.settings import parse_home_settings
from concordat_trust.canonical import JsonObject
from tests.factories.home import ISSUER, TestHome, home_settings_json, make_home, sign_jws
from tests.factories.network import NOW

AUDIENCE = "concordat-scripts"


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[TestHome]:
    rules = {"claim": "groups", "rules": [{"is": "g-registry", "becomes": "registrar"}]}
    good = home_settings_json()
    settings = {**good, "claims": {**good["claims"], "registrar": rules}, "token_exchange": {"audience": AUDIENCE}}  # type: ignore[dict-item]
    made = make_home(tmp_path, settings=parse_home_settings(settings))  # type: ignore[arg-type]
    yield made
    made.home.close()


@pytest.fixture
async def script(at_home: TestHome) -> AsyncIterator[httpx.AsyncClient]:
    async with at_home.client() as client:
        yield client


def token(at_home: TestHome, **changes: object) -> str:
    claims: dict[str, object] = {
        **at_home.provider.claims,
        "iss": ISSUER,
        "sub": "person-1",
        "aud": ["account", AUDIENCE],
        "iat": NOW,
        "exp": NOW + 300,
        "jti": "t-1",
        **changes,
    }
    return sign_jws({name: value for name, value in claims.items() if value is not ...}, at_home.provider.key)


def form(subject_token: str, **changes: str) -> dict[str, str]:
    good = {"grant_type": GRANT_TYPE, "subject_token": subject_token, "subject_token_type": SUBJECT_TYPES[1]}
    return {name: value for name, value in {**good, **changes}.items() if value}


async def refusal(script: httpx.AsyncClient, sent: dict[str, str]) -> tuple[int, str, str]:
    response = await script.post("/v1/token", data=sent)
    body = response.json()
    return response.status_code, body["error"], body["error_description"].partition(":")[0]


@pytest.mark.parametrize("kind", SUBJECT_TYPES)
async def test_a_token_for_this_node_is_exchanged_for_a_short_session(
    at_home: TestHome, script: httpx.AsyncClient, kind: str
) -> None:
    response = await script.post("/v1/token", data=form(token(at_home, auth_time=NOW - 9), subject_token_type=kind))
    body = response.json()
    assert response.status_code == 200
    assert {name: value for name, value in body.items() if name != "access_token"} == {
        "expires_in": EXCHANGED_SESSION_S,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "scope": "questions",
        "token_type": "Bearer",
    }
    assert response.headers["cache-control"] == "no-store"
    who = await script.get("/v1/whoami", headers={"authorization": f"Bearer {body['access_token']}"})
    assert (who.json()["subject"], who.json()["claims"]["auth_time"]) == ("person-1", NOW - 9)
    at_home.clock.now += EXCHANGED_SESSION_S
    over = await script.get("/v1/whoami", headers={"authorization": f"Bearer {body['access_token']}"})
    assert over.json()["error"]["code"] == "not_signed_in"


async def test_an_exchanged_session_is_nobodys_registrar(at_home: TestHome, script: httpx.AsyncClient) -> None:
    at_home.provider.claims["groups"] = ["g-registry"]
    body = (await script.post("/v1/token", data=form(token(at_home)))).json()
    session = at_home.home.sessions.resolve(body["access_token"], now=NOW)
    assert not session.claims.is_registrar


async def test_a_token_is_exchanged_once(at_home: TestHome, script: httpx.AsyncClient) -> None:
    sent = form(token(at_home))
    assert (await script.post("/v1/token", data=sent)).status_code == 200
    assert await refusal(script, sent) == (400, "invalid_grant", "subject_token_used")
    at_home.clock.now += SUBJECT_TOKEN_AGE_MAX_S - 1
    assert await refusal(script, sent) == (400, "invalid_grant", "subject_token_used")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "concordat-home"}, "id_token_audience"),
        ({"aud": ...}, "id_token_audience"),
        ({"iss": "https://evil.example"}, "id_token_issuer"),
        ({"exp": NOW}, "subject_token_time"),
        ({"iat": NOW + 31}, "subject_token_time"),
        ({"iat": NOW - SUBJECT_TOKEN_AGE_MAX_S - 1}, "subject_token_time"),
        ({"exp": ...}, "id_token_malformed"),
        ({"iat": ...}, "id_token_malformed"),
        ({"sub": ""}, "id_token_malformed"),
        ({"role": "janitor"}, "person_not_mapped"),
        ({"acr": 7}, "id_token_malformed"),
    ],
)
async def test_any_other_token_is_no_grant(
    at_home: TestHome, script: httpx.AsyncClient, changes: dict[str, object], code: str
) -> None:
    assert await refusal(script, form(token(at_home, **changes))) == (400, "invalid_grant", code)


async def test_a_forged_token_is_no_grant(at_home: TestHome, script: httpx.AsyncClient) -> None:
    good = token(at_home)
    assert (await refusal(script, form(good[:-4] + "AAAA")))[2] == "id_token_signature_invalid"
    assert (await refusal(script, form(good.rpartition(".")[0] + ".")))[2] == "id_token_algorithm"
    assert (await refusal(script, form("no token")))[2] == "id_token_malformed"
    assert (await refusal(script, form(sign_jws({}, at_home.provider.key, kid="other"))))[2] == "id_token_key_unknown"


@pytest.mark.parametrize(
    "changes",
    [
        {"grant_type": "authorization_code"},
        {"subject_token": ""},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"scope": "questions registry"},
        {"actor_token": "x"},
        {"resource": "https://other.example"},
    ],
)
async def test_another_kind_of_exchange_is_refused(
    at_home: TestHome, script: httpx.AsyncClient, changes: dict[str, str]
) -> None:
    sent = {name: value for name, value in {**form(token(at_home)), **changes}.items() if value}
    found = await refusal(script, sent)
    assert found == (400, "invalid_request", "token_exchange_invalid")


async def test_a_body_that_is_no_form_is_refused(script: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    for body in (b"", b"a=1&a=2", b"a", b"\xff=1", b"&".join(b"a%d=1" % n for n in range(11))):
        response = await script.post("/v1/token", content=body, headers=headers)
        assert response.json()["error_description"].startswith("token_exchange_invalid")


async def test_one_person_exchanges_so_many_tokens_and_no_more(at_home: TestHome, script: httpx.AsyncClient) -> None:
    for number in range(LOGINS_PER_PERSON_MAX):
        assert (await script.post("/v1/token", data=form(token(at_home, jti=str(number))))).status_code == 200
    assert (await refusal(script, form(token(at_home, jti="one more"))))[2] == "logins_too_many"


async def test_nothing_is_exchanged_without_an_audience(tmp_path: Path) -> None:
    at_home = make_home(tmp_path)
    async with at_home.client() as script:
        found = await refusal(script, form(token(at_home)))
    at_home.home.close()
    assert found == (400, "invalid_request", "token_exchange_disabled")


def test_the_audience_of_scripts_is_not_that_of_the_login() -> None:
    settings: JsonObject = {**home_settings_json(), "token_exchange": {"audience": "concordat-home"}}
    with pytest.raises(HomeSettingsInvalid) as refused:
        parse_home_settings(settings)
    assert refused.value.fields["setting"] == "home.token_exchange.audience"
    assert "client_id" in refused.value.message
