"""Visas at home: taken over at the sign-in, kept as they came, and sent to the one organization that signed them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from concordat_node.home.carried_visas import passport_of, with_visas
from concordat_node.home.claims import PersonClaims
from concordat_node.home.person import Passport, SignIn
from concordat_node.home.sessions import Session
from concordat_node.home.settings import parse_home_settings
from concordat_trust.encoding import sha256_b64u
from concordat_trust.node_sealing import node_sealing_key
from concordat_trust.question import Part
from concordat_trust.sealed_visas import VisasContext, open_visas
from concordat_trust.visas import VISAS_MAX, verify_visas
from tests.factories.answers import NORTH, VITALIS
from tests.factories.home import HOME, TestHome, home_settings_json, make_home
from tests.factories.network import NOW, make_network
from tests.factories.visas import IDP, PERSON, VITALIS_ISSUER, make_visa, metadata, visa_object

NETWORK = make_network(visa_issuers=metadata())
SCOPE = "openid ga4gh_passport_v1"


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[TestHome]:
    good = home_settings_json()
    provider = {**good["provider"], "scope": SCOPE}  # type: ignore[dict-item]
    made = make_home(tmp_path, network=NETWORK, settings=parse_home_settings({**good, "provider": provider}))
    made.provider.userinfo = {"sub": "person-1", "ga4gh_passport_v1": [make_visa(), make_visa(exp=NOW)]}
    yield made
    made.home.close()


@pytest.fixture
async def client(at_home: TestHome) -> AsyncIterator[httpx.AsyncClient]:
    async with at_home.client() as made:
        yield made


async def visas_of(at_home: TestHome, client: httpx.AsyncClient) -> list[dict[str, object]]:
    token = await at_home.sign_in(client)
    told = (await client.get("/v1/whoami", headers={"authorization": f"Bearer {token}"})).json()["visas"]
    assert isinstance(told, list)
    return told


async def test_a_persons_visas_come_from_userinfo(at_home: TestHome, client: httpx.AsyncClient) -> None:
    told = await visas_of(at_home, client)
    assert [visa.get("type", visa.get("refused")) for visa in told] == ["ControlledAccessGrants", "visa_expired"]


async def test_a_persons_visas_come_from_the_id_token_too(at_home: TestHome, client: httpx.AsyncClient) -> None:
    at_home.provider.userinfo = {"sub": "person-1"}
    at_home.provider.claims["ga4gh_passport_v1"] = [make_visa()]
    assert len(await visas_of(at_home, client)) == 1


@pytest.mark.parametrize("passport", ["no list", [1], ["\u00e9"], ["a.b.c"] * (VISAS_MAX + 1), ["x" * 8_193]])
async def test_a_passport_of_another_form_leaves_no_visas(
    at_home: TestHome, client: httpx.AsyncClient, passport: object
) -> None:
    at_home.provider.userinfo = {"sub": "person-1", "ga4gh_passport_v1": passport}
    assert await visas_of(at_home, client) == []


async def test_userinfo_of_somebody_else_signs_nobody_in(at_home: TestHome, client: httpx.AsyncClient) -> None:
    at_home.provider.userinfo = {"sub": "person-2"}
    failed = await at_home.sign_in_browser(client)
    assert failed.headers["location"].endswith("code=userinfo_invalid")


async def test_userinfo_says_nothing_that_only_an_id_token_can(at_home: TestHome, client: httpx.AsyncClient) -> None:
    at_home.provider.userinfo = {"sub": "person-1", "auth_time": NOW, "acr": "mfa", "role": "guest"}
    token = await at_home.sign_in(client)
    session = at_home.home.sessions.resolve(token, now=NOW)
    assert session.sign_in == SignIn(NOW, None, None)
    assert session.claims.role == "researcher"  # the ID token's word stands over userinfo's


# On the way.

BY_VITALIS: dict[str, Any] = {"iss": VITALIS_ISSUER, "sub": "v-7"}
LINK = make_visa(
    **BY_VITALIS,
    key="vitalis-1",
    ga4gh_visa_v1=visa_object(type="LinkedIdentities", value=f"person-1,{IDP.replace(':', '%3A').replace('/', '%2F')}"),
)
STAFF = make_visa(
    **BY_VITALIS, key="vitalis-1", ga4gh_visa_v1=visa_object(type="AffiliationAndRole", value="staff@vitalis", by="so")
)
STATUS = make_visa(**BY_VITALIS, key="vitalis-1", ga4gh_visa_v1=visa_object(type="ResearcherStatus", value="bona fide"))
CONDITIONAL = make_visa(
    ga4gh_visa_v1=visa_object(conditions=[[{"type": "AffiliationAndRole", "value": "pattern:staff@*"}]])
)


def opened(*visas: str) -> dict[str, tuple[str, ...]]:
    """Return what each organization's node finds in its part."""
    session = Session("s", "person-1", PersonClaims("staff", "researcher", 1), NOW + 100)
    session = replace(session, passport=Passport(IDP, visas))
    question_hash = sha256_b64u(b"question")
    parts = with_visas(
        {NORTH: Part(), VITALIS: Part(), HOME: Part()},
        passport_of(session, NETWORK.bundle, NOW),
        NETWORK.bundle,
        token_id="token-1",
        question_hash=question_hash,
    )
    found = {}
    for org, part in parts.items():
        if part.visas is not None:
            key = node_sealing_key(NETWORK.keys[org]["attestation"])
            carried = open_visas(part.visas, key=key, context=VisasContext(org, "token-1", question_hash))
            assert carried.person == PERSON
            assert all(visa not in part.canonical().decode() for visa in visas)
            found[str(org)] = carried.visas
    return found


def test_a_visa_travels_to_the_organization_that_signed_it_alone() -> None:
    visa = make_visa()
    assert opened(visa) == {str(NORTH): (visa,)}
    found = opened(make_visa(), LINK, STAFF, STATUS)
    assert set(found) == {str(NORTH), str(VITALIS)}
    assert set(found[str(VITALIS)]) == {LINK, STAFF, STATUS}


def test_with_a_visa_travel_those_that_its_conditions_need_and_no_others() -> None:
    found = opened(CONDITIONAL, LINK, STAFF, STATUS)
    assert found[str(NORTH)][0] == CONDITIONAL
    assert set(found[str(NORTH)]) == {CONDITIONAL, STAFF, LINK}
    there = verify_visas(found[str(NORTH)], issuers=NETWORK.bundle.visa_issuers, person=PERSON, now=NOW)
    assert there.refused == ()


def test_what_counts_for_nothing_stays_at_home() -> None:
    assert opened(make_visa(exp=NOW), make_visa(sub="person-2"), STAFF, "no visa") == {}


def test_nobody_is_sent_anything_without_visas() -> None:
    assert opened() == {}
