"""The declared mapping: its closed form, what it makes of claims, and what `concordat node doctor` says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from concordat_node.home.claims import (
    MAPPING_BYTES_MAX,
    PATH_MAX,
    RULES_MAX,
    beyond_caps,
    map_claims,
    read_claims_mapping,
    read_claims_sample,
)
from concordat_node.home.errors import (
    ClaimsMappingInvalid,
    ClaimsMappingUnreadable,
    ClaimsSampleInvalid,
    HomeSettingsInvalid,
    PurposeNotMapped,
)
from concordat_node.home.mint import purposes_of
from concordat_node.home.sessions import Session
from concordat_node.home.settings import parse_home_settings
from concordat_trust.canonical import JsonObject
from tests.factories.home import home_settings_json, make_home
from tests.factories.network import CAPS, NOW, make_network


def rules(claim: Any, **becomes: str) -> JsonObject:
    return {"claim": claim, "rules": [{"is": is_, "becomes": value} for is_, value in becomes.items()]}


def mapping(**changes: Any) -> bytes:
    good = {
        "mapping_version": 1,
        "affiliation": rules("eduperson_affiliation", employee="staff", student="student"),
        "role": rules(["realm_access", "roles"], researcher="researcher", guest="guest"),
        "clearance": rules("groups", ctl="controlled"),
        "purposes": rules("groups", cancer="DS", methods="MDS", general="GRU"),
    }
    return json.dumps({name: value for name, value in {**good, **changes}.items() if value is not ...}).encode()


CLAIMS: dict[str, object] = {
    "eduperson_affiliation": ["employee"],
    "realm_access": {"roles": ["offline_access", "researcher"]},
    "groups": ["ctl", "general", "cancer"],
}


def test_claims_inside_others_are_found_and_purposes_add_up() -> None:
    mapped = map_claims(CLAIMS, read_claims_mapping(mapping()))
    assert (mapped.affiliation, mapped.role, mapped.clearance) == ("staff", "researcher", 2)
    assert mapped.purposes == ("DS", "GRU")


def test_without_rules_for_purposes_there_is_no_limit_and_with_them_nothing_is_given() -> None:
    assert map_claims(CLAIMS, read_claims_mapping(mapping(purposes=...))).purposes is None
    nobody = {**CLAIMS, "groups": []}
    assert map_claims(nobody, read_claims_mapping(mapping())).purposes == ()


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"{", "claims"),
        (b"[]", "claims"),
        (b'{"mapping_version":1,"mapping_version":1}', "claims"),
        (mapping(mapping_version=...), "claims.mapping_version"),
        (mapping(mapping_version=2), "claims.mapping_version"),
        (mapping(affiliation=...), "claims.affiliation"),
        (mapping(typo={}), "claims.typo"),
        (mapping(role=rules("", a="b")), "claims.role.claim"),
        (mapping(role=rules([], a="b")), "claims.role.claim"),
        (mapping(role=rules([""], a="b")), "claims.role.claim"),
        (mapping(role=rules(["x"] * (PATH_MAX + 1), a="b")), "claims.role.claim"),
        (mapping(role={"claim": "x", "rules": [{"is": "a", "becomes": "b", "or": "c"}]}), "claims.role.rules[0].or"),
        (mapping(role={"claim": "x", "rules": [{"is": "a", "becomes": "b"}] * (RULES_MAX + 1)}), "claims.role.rules"),
        (mapping(clearance=rules("x", a="topsecret")), "claims.clearance"),
        (mapping(purposes=rules("x", a="ANYTHING")), "claims.purposes"),
        (mapping(registrar=rules("x", a="admin")), "claims.registrar"),
        (b" " * MAPPING_BYTES_MAX + b"{}", "claims"),
    ],
)
def test_a_mapping_that_is_not_right_stops_the_start(data: bytes, place: str) -> None:
    with pytest.raises(ClaimsMappingInvalid) as caught:
        read_claims_mapping(data)
    assert caught.value.fields["place"] == place


def test_the_longest_path_and_the_most_rules_are_read() -> None:
    path = [f"x{n}" for n in range(PATH_MAX)]
    many = {"claim": path, "rules": [{"is": str(n), "becomes": "guest"} for n in range(RULES_MAX)]}
    nested: Any = "0"
    for name in reversed(path):
        nested = {name: nested}
    assert map_claims({**CLAIMS, **nested}, read_claims_mapping(mapping(role=many))).role == "guest"


def test_the_mapping_stands_in_a_file_or_in_the_settings_and_not_in_both() -> None:
    inline = home_settings_json()
    by_file = {**{name: value for name, value in inline.items() if name != "claims"}, "claims_file": "claims.json"}
    read = {"claims.json": mapping()}.__getitem__
    assert parse_home_settings(by_file, read=read).claims == read_claims_mapping(mapping())
    with pytest.raises(ClaimsMappingUnreadable):
        parse_home_settings(by_file)
    for both in ({**inline, "claims_file": "claims.json"}, {k: v for k, v in by_file.items() if k != "claims_file"}):
        with pytest.raises(HomeSettingsInvalid) as caught:
            parse_home_settings(both, read=read)
        assert caught.value.fields["setting"] == "home.claims"


def test_what_the_network_does_not_let_the_organization_say_is_named() -> None:
    beyond = mapping(role=rules("r", a="king"), clearance=rules("c", a="restricted", b="public"))
    caps = CAPS.__class__(CAPS.affiliations, CAPS.roles, CAPS.clearance_max.__class__(1))
    assert beyond_caps(read_claims_mapping(beyond), caps) == ("role king", "clearance restricted")
    assert beyond_caps(read_claims_mapping(mapping()), CAPS) == ()


@pytest.mark.parametrize("content", [None, b"{", b"[]", b"\xff"])
def test_a_sample_that_is_no_object_is_said_so(tmp_path: Path, content: bytes | None) -> None:
    sample = tmp_path / "sample.json"
    if content is not None:
        sample.write_bytes(content)
    with pytest.raises(ClaimsSampleInvalid):
        read_claims_sample(sample)


async def test_a_person_asks_for_the_mapped_purposes_alone(tmp_path: Path) -> None:
    session = Session("s", "person-1", map_claims(CLAIMS, read_claims_mapping(mapping())), NOW + 100)
    assert purposes_of(session, make_network().bundle) == tuple(
        code for code in make_network().bundle.network.purposes if code in ("DS", "GRU")
    )
    read = {"claims.json": mapping()}.__getitem__
    settings = {name: value for name, value in home_settings_json().items() if name != "claims"}
    at_home = make_home(tmp_path, settings=parse_home_settings({**settings, "claims_file": "claims.json"}, read=read))
    at_home.provider.claims = dict(CLAIMS)
    async with at_home.client() as client:
        client.headers["authorization"] = f"Bearer {await at_home.sign_in(client)}"
        assert set((await client.get("/v1/whoami")).json()["purposes"]) == {"DS", "GRU"}
        refused = await client.post("/v1/questions", json={"sentence": "models", "purpose": {"code": "HMB"}})
    at_home.home.close()
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, PurposeNotMapped.code)
