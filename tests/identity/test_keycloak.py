"""Signing in with Keycloak, unchanged: its mappers, its step-up, its sign-out and its own token exchange."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from concordat_client.home_client import HomeClient
from concordat_client.login import exchange, sign_in
from concordat_trust.canonical import Json, JsonObject
from tests.factories.foreign_provider import CLIENT_ID, SCRIPTS, ForeignHome, free_port, home_in_front_of
from tests.factories.form_browser import FormBrowser, browsing
from tests.factories.keycloak import FETCH_SECONDS_MAX, START_SECONDS_MAX, running_keycloak

pytestmark = [pytest.mark.long, pytest.mark.timeout(2 * FETCH_SECONDS_MAX + 2 * START_SECONDS_MAX)]
PASSWORD = "a fictional word"  # of a person who does not exist
SECRET = "only-on-this-machine"


def mapper(name: str, kind: str, **config: str) -> JsonObject:
    everywhere = {"id.token.claim": "true", "access.token.claim": "true", "userinfo.token.claim": "true"}
    return {
        "name": name,
        "protocol": "openid-connect",
        "protocolMapper": kind,
        "config": {**everywhere, "multivalued": "true", "jsonType.label": "String", "claim.name": name, **config},
    }


MAPPERS: list[Json] = [
    mapper("eduperson_affiliation", "oidc-usermodel-attribute-mapper", **{"user.attribute": "affiliation"}),
    mapper("groups", "oidc-group-membership-mapper", **{"full.path": "false"}),
    mapper("realm_roles", "oidc-usermodel-realm-role-mapper", **{"claim.name": "realm_access.roles"}),
]


def realm(home: str) -> JsonObject:
    """Return the realm as docs/identity.md describes it, with two fictional persons."""

    def person(name: str, **more: Json) -> JsonObject:
        credential: JsonObject = {"type": "password", "value": PASSWORD, "temporary": False}
        told: JsonObject = {
            "username": name,
            "enabled": True,
            "email": f"{name}@alma.example",
            "emailVerified": True,
            "firstName": name,
            "lastName": "Example",
            "credentials": [credential],
        }
        return {**told, **more}

    scripts_audience = mapper("scripts", "oidc-audience-mapper", **{"included.client.audience": SCRIPTS})
    return {
        "realm": "concordat",
        "enabled": True,
        "sslRequired": "none",
        "roles": {"realm": [{"name": "researcher"}]},
        "groups": [{"name": "cleared"}, {"name": "general"}],
        # Keycloak keeps attributes that its profile does not declare only when told to.
        "components": {"org.keycloak.userprofile.UserProfileProvider": [_profile()]},
        "clients": [
            {
                "clientId": CLIENT_ID,
                "publicClient": True,
                "redirectUris": [f"{home}/login/callback"],
                "protocolMappers": MAPPERS,
                "attributes": {
                    "pkce.code.challenge.method": "S256",
                    "post.logout.redirect.uris": f"{home}/portal/?signed-out=yes",
                },
            },
            {
                "clientId": SCRIPTS,
                "secret": SECRET,
                "directAccessGrantsEnabled": True,
                "standardFlowEnabled": False,
                "protocolMappers": [*MAPPERS, scripts_audience],
            },
        ],
        "users": [
            person(
                "ada",
                attributes={"affiliation": ["employee", "member"]},
                groups=["/cleared", "/general"],
                realmRoles=["researcher"],
            ),
            person("bob"),
        ],
    }


def _profile() -> JsonObject:
    names = ("username", "email", "firstName", "lastName")
    profile = {"attributes": [{"name": name} for name in names], "unmanagedAttributePolicy": "ENABLED"}
    return {"providerId": "declarative-user-profile", "config": {"kc.user.profile.config": [json.dumps(profile)]}}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ForeignHome, str]]:
    folder, port, home_port = tmp_path_factory.mktemp("keycloak"), free_port(), free_port()
    home = f"http://127.0.0.1:{home_port}"
    with (
        running_keycloak(folder, realm(home), port=port, management_port=free_port()) as issuer,
        # Nothing but an issuer: no userinfo, no algorithm; RS256 is Keycloak's own choice.
        home_in_front_of(folder, home_port, {"issuer": issuer}) as served,
    ):
        yield served, issuer


def test_a_person_signs_in_and_is_mapped(foreign: tuple[ForeignHome, str]) -> None:
    session = sign_in(foreign[0].address, open_url=browsing("ada", PASSWORD), timeout_s=120)
    with HomeClient.of(session) as client:
        told = client.whoami()
    claims = told["claims"]
    assert isinstance(claims, dict)
    assert (claims["affiliation"], claims["role"], claims["clearance"]) == ("staff", "researcher", 2)
    assert abs(int(str(claims["auth_time"])) - time.time()) < 120
    assert told["purposes"] == ["GRU"]


def test_a_person_without_claims_is_refused(foreign: tuple[ForeignHome, str]) -> None:
    with FormBrowser("bob", PASSWORD) as browser:
        page = browser.open(f"{foreign[0].address}/portal/login")
    assert (page.status_code, "person_not_mapped" in page.text) == (403, True)


def test_a_step_up_asks_a_person_who_is_known_again(foreign: tuple[ForeignHome, str]) -> None:
    home, issuer = foreign
    with FormBrowser("ada", PASSWORD) as browser:
        browser.open(f"{home.address}/portal/login")
        asked = _forms(browser, issuer)
        browser.open(f"{home.address}/portal/login")
        assert _forms(browser, issuer) == asked  # single sign-on: nothing is asked
        assert "Asking as" in browser.open(f"{home.address}/portal/login?fresh=1").text
        assert _forms(browser, issuer) > asked


def _forms(browser: FormBrowser, issuer: str) -> int:
    return sum(url.startswith(f"{issuer}/login-actions") for url in browser.visited)


def test_signing_out_ends_at_the_portal(foreign: tuple[ForeignHome, str]) -> None:
    with FormBrowser("ada", PASSWORD) as browser:
        browser.open(f"{foreign[0].address}/portal/login")
        last = browser.open(f"{foreign[0].address}/portal/logout/provider")
    assert str(last.url) == f"{foreign[0].address}/portal/?signed-out=yes"


def test_a_script_exchanges_its_access_token(foreign: tuple[ForeignHome, str]) -> None:
    home, issuer = foreign
    form = {
        "grant_type": "password",
        "client_id": SCRIPTS,
        "client_secret": SECRET,
        "username": "ada",
        "password": PASSWORD,
        "scope": "openid",
    }
    answer = httpx.post(f"{issuer}/protocol/openid-connect/token", data=form, trust_env=False, timeout=60)
    session = exchange(home.address, str(answer.json()["access_token"]))
    assert session.expires_at - time.time() <= 900
