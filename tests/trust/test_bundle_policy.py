"""The network policy is read strictly: every field, every limit, at the limit and one past it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from concordat_trust.bundle.errors import BundleMalformed
from concordat_trust.bundle.policy import parse_network, parse_suspended, suspended_bytes
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
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
