"""The network policy is read strictly: every field, every limit, at the limit and one past it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from concordat_trust.bundle.errors import BundleMalformed
from concordat_trust.bundle.policy import (
    CLAIM_VALUES_MAX,
    MayAssert,
    listed_suspensions,
    parse_network,
    parse_suspended,
    suspended_bytes,
)
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from tests.factories.network import make_network

POLICY = make_network().policy


def network(change: Callable[[JsonObject], object]) -> bytes:
    obj = parse_object(POLICY.to_bytes(), bytes_max=100_000)
    change(obj)
    return canonical_bytes(obj)


def first(obj: JsonObject) -> JsonObject:
    members = obj["members"]
    assert isinstance(members, list)
    assert isinstance(members[0], dict)
    return members[0]


def caps(obj: JsonObject) -> JsonObject:
    value = first(obj)["may_assert"]
    assert isinstance(value, dict)
    return value


def test_a_policy_survives_its_canonical_form() -> None:
    assert parse_network(POLICY.to_bytes()) == POLICY


@pytest.mark.parametrize(
    "change",
    [
        lambda o: o.pop("id"),
        lambda o: o.update(id="X"),
        lambda o: o.update(network_version=2),
        lambda o: o.update(name=""),
        lambda o: o.update(name="x" * 201),
        lambda o: o.update(minimum_cell=1),
        lambda o: o.update(minimum_cell=1_001),
        lambda o: o.update(minimum_cell="10"),
        lambda o: o.update(bundle_age_max_s=59),
        lambda o: o.update(bundle_age_max_s=86_401),
        lambda o: o.update(purposes=[]),
        lambda o: o.update(purposes=["GRU", "GRU"]),
        lambda o: o.update(purposes=["XXX"]),
        lambda o: o.update(members=None),
        lambda o: o.update(members=[first(o), first(o)]),
        lambda o: o.update(reinstated=[{"organization": "vitalis"}]),
        lambda o: o.update(reinstated=[{"organization": "vitalis", "suspended_version": 0}]),
        lambda o: o.update(reinstated=[{"organization": "vitalis", "suspended_version": 1}] * 2),
        lambda o: o.pop("reinstated"),
        lambda o: first(o).update(id="NORTH"),
        lambda o: first(o).update(id="targets"),
        lambda o: first(o).update(id="suspended"),
        lambda o: first(o).update(kind="steward"),
        lambda o: first(o).update(country="de"),
        lambda o: first(o).update(country="DEU"),
        lambda o: first(o).update(organization_type="club"),
        lambda o: first(o).pop("may_assert"),
        lambda o: caps(o).update(clearance_max=4),
        lambda o: caps(o).update(clearance_max=-1),
        lambda o: caps(o).update(clearance_max=True),
        lambda o: caps(o).update(affiliations="faculty"),
        lambda o: caps(o).update(roles=["x"] * 51),
        lambda o: caps(o).pop("roles"),
    ],
)
def test_a_wrong_field_is_refused(change: Callable[[JsonObject], object]) -> None:
    with pytest.raises(BundleMalformed):
        parse_network(network(change))


@pytest.mark.parametrize(
    "change",
    [
        lambda o: o.update(minimum_cell=2),
        lambda o: o.update(minimum_cell=1_000),
        lambda o: o.update(bundle_age_max_s=60),
        lambda o: o.update(bundle_age_max_s=86_400),
        lambda o: o.update(later="field"),
        lambda o: first(o).update(later="field"),
    ],
)
def test_a_limit_just_kept_and_an_unknown_field_are_accepted(change: Callable[[JsonObject], object]) -> None:
    parse_network(network(change))


def test_no_caps_mean_no_claims() -> None:
    policy = parse_network(network(lambda o: caps(o).update(affiliations=[], roles=[], clearance_max=0)))
    assert policy.members[0].may_assert.affiliations == frozenset()
    assert policy.members[0].may_assert.clearance_max == 0


def test_suspensions_survive_their_canonical_form() -> None:
    listed = {OrgId("vitalis"): 3, OrgId("north-hospital"): 1}
    assert parse_suspended(suspended_bytes(listed), role_version=3) == listed


@pytest.mark.parametrize("data", [b"", b"{}", b'{"suspended":[],"suspended_version":2}', b'{"suspended_version":1}'])
def test_suspensions_of_another_form_are_refused(data: bytes) -> None:
    with pytest.raises(BundleMalformed):
        parse_suspended(data, role_version=1)


# What a mutant of `bundle/policy` would change and no test above would notice.

MANY = [f"value-{number * 37 % 60:02d}" for number in range(CLAIM_VALUES_MAX)]


def with_caps(**changes: list[str]) -> MayAssert:
    wider: JsonObject = {name: list[Json](values) for name, values in changes.items()}
    return parse_network(network(lambda o: caps(o).update(wider))).members[0].may_assert


def code_of(change: Callable[[JsonObject], object]) -> str:
    with pytest.raises(BundleMalformed) as caught:
        parse_network(network(change))
    return caught.value.code


@pytest.mark.parametrize(("name", "length_max"), [("affiliations", 100), ("roles", 100), ("acr_values", 200)])
def test_a_list_of_claims_is_read_up_to_its_limits_and_not_beyond(name: str, length_max: int) -> None:
    assert getattr(with_caps(**{name: MANY}), name) == frozenset(MANY)
    assert getattr(with_caps(**{name: ["x" * length_max]}), name) == {"x" * length_max}
    assert code_of(lambda o: caps(o).update({name: [*MANY, "one-more"]})) == "bundle_malformed"
    assert code_of(lambda o: caps(o).update({name: ["x" * (length_max + 1)]})) == "bundle_malformed"


def test_claims_are_written_in_order_and_those_not_granted_are_left_out() -> None:
    wide = with_caps(affiliations=MANY, roles=MANY, acr_values=MANY)
    written = wide.to_json()
    assert written["affiliations"] == written["roles"] == written["acr_values"] == sorted(MANY)
    assert "acr_values" not in with_caps().to_json()


def test_reinstatements_and_suspensions_are_written_in_order() -> None:
    orgs = [OrgId.parse(f"org-{number * 37 % 60:02d}") for number in range(40)]
    policy = dataclasses.replace(POLICY, reinstated=dict.fromkeys(orgs, 1))
    reinstated = policy.to_json()["reinstated"]
    assert isinstance(reinstated, list)
    assert [item["organization"] for item in reinstated if isinstance(item, dict)] == sorted(orgs)
    assert list(listed_suspensions(suspended_bytes(dict.fromkeys(orgs, 1)))) == sorted(orgs)


def test_a_list_of_suspensions_tells_version_and_reason() -> None:
    north, vitalis = OrgId.parse("north-hospital"), OrgId.parse("vitalis")
    data = suspended_bytes({north: 1, vitalis: 7}, {vitalis: "key stolen"})
    assert listed_suspensions(data) == {north: (1, None), vitalis: (7, "key stolen")}
    with pytest.raises(RefusedDocument):
        listed_suspensions(suspended_bytes({north: 0}))


@pytest.mark.parametrize("version", [0, 2])
def test_documents_of_another_version_are_refused(version: int) -> None:
    assert code_of(lambda o: o.update(network_version=version)) == "bundle_malformed"
    data = canonical_bytes({"suspended_version": version, "suspended": []})
    with pytest.raises(BundleMalformed):
        parse_suspended(data, role_version=1)


def test_names_are_read_up_to_their_limits_and_not_beyond() -> None:
    for name in ("x", "x" * 200):
        assert parse_network(network(lambda o, name=name: o.update(name=name))).name == name  # type: ignore[misc]
    for network_id in ("demo network", "demo\n", "demo-network "):
        assert code_of(lambda o, network_id=network_id: o.update(id=network_id)) == "bundle_malformed"  # type: ignore[misc]
