"""What people hand to each other: parts, invitations, applications. Start from a good one, break one thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from concordat_trust import jose
from concordat_trust.bundle.life.application import APPLICATION_LIFETIME_S, TYP, Application, verify_application
from concordat_trust.bundle.life.invitation import INVITATION_LIFETIME_S, read_invitation
from concordat_trust.bundle.life.own_role import OwnKeys
from concordat_trust.bundle.life.parts import PART_BYTES_MAX, make_part, parse_part
from concordat_trust.bundle.life.self_test import CHECKS_MAX, Check, require_passed
from concordat_trust.canonical import canonical_bytes
from concordat_trust.encoding import b64u, sha256_hex
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from tests.factories.life import World, found, living, member_policy, own_keys, part, passed
from tests.factories.network import NOW, make_key

ALMA, NORTH, VITALIS = OrgId("alma-university"), OrgId("north-hospital"), OrgId("vitalis")


def refused(act: Callable[..., object], *arguments: Any, **named: Any) -> str:
    with pytest.raises(ConcordatError) as error:
        act(*arguments, **named)
    return error.value.code


# Public parts.


def test_a_part_says_name_use_and_key_and_holds_no_secret() -> None:
    key = make_key("one-one")
    data = canonical_bytes(make_part(OrgId("one-one"), "keyholder", key).to_json())
    read = parse_part(data, use="keyholder")
    assert (read.name, read.use, read.key_id) == ("one-one", "keyholder", key.key_id)
    assert set(json.loads(data)["key"]) == {"crv", "kty", "x"}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "someone-else"},
        {"use": "online"},
        {"key": make_key("another").public_jwk},
        {"proof": b64u(b"0" * 64)},
        {"proof": ""},
        {"part_version": 2},
        {"more": 1},
        {"name": "x" * PART_BYTES_MAX},
    ],
)
def test_a_part_that_was_changed_is_refused(change: dict[str, Any]) -> None:
    data = canonical_bytes({**part("one-one").to_json(), **change})
    assert refused(lambda: parse_part(data)) == "public_part_invalid"


def test_a_part_of_another_use_is_refused() -> None:
    data = canonical_bytes(part("one-one").to_json())
    assert refused(lambda: parse_part(data, use="online")) == "public_part_invalid"


# Invitations.


def test_an_invitation_holds_until_it_runs_out() -> None:
    world = living("north-hospital")
    invitation, bundle = world.invite(VITALIS), world.bundle()
    last = invitation.expires_at + jose.LEEWAY_S - 1
    assert invitation.expires_at == world.at + INVITATION_LIFETIME_S
    assert read_invitation(invitation.token, bundle, at=last).organization == VITALIS
    assert refused(lambda: read_invitation(invitation.token, bundle, at=last + 1)) == "invitation_expired"
    early = world.at - jose.LEEWAY_S - 1
    assert refused(lambda: read_invitation(invitation.token, bundle, at=early)) == "invitation_invalid"


@pytest.mark.parametrize("name", ["stranger", "online", "north-hospital/entity/1"])
def test_only_a_keyholder_invites(name: str) -> None:
    world = living("north-hospital")
    world.holders["other-one"] = make_key(name)
    assert refused(lambda: world.invite(VITALIS, by="other-one")) == "invitation_unauthorised"


def test_an_invitation_that_somebody_else_signed_is_refused() -> None:
    world = living("north-hospital")
    good, stranger = world.invite(VITALIS), make_key("stranger")
    claims = jose.unverified_claims(good.token)
    for issuer in (stranger.key_id, claims["iss"]):
        forged = jose.sign({**claims, "iss": issuer}, key=stranger, typ="concordat-invitation+jwt")
        assert refused(read_invitation, forged, world.bundle(), at=world.at) == "invitation_unauthorised"
    flipped = good.token[:-2] + ("AA" if good.token[-2:] != "AA" else "BA")
    assert refused(lambda: read_invitation(flipped, world.bundle(), at=world.at)) == "invitation_invalid"


def test_an_invitation_admits_once_also_after_a_removal() -> None:
    world = living("north-hospital")
    invitation = world.invite(VITALIS)
    world.by_quorum("admit", member=VITALIS, application=world.apply(VITALIS, invitation))
    assert refused(lambda: read_invitation(invitation.token, world.bundle(), at=world.at)) == "invitation_spent"
    world.by_quorum("remove", member=VITALIS)
    assert refused(lambda: read_invitation(invitation.token, world.bundle(), at=world.at)) == "invitation_spent"
    assert world.invite(VITALIS).role_version == invitation.role_version + 1


def test_an_invitation_of_another_network_is_refused() -> None:
    world, other = living("north-hospital"), found(signers=3)
    assert world.root_sha256 != other.root_sha256
    token = other.invite(VITALIS).token
    assert refused(lambda: read_invitation(token, world.bundle(), at=world.at)) == "invitation_other_network"


# Applications.


def applied(world: World, **changes: Any) -> bytes:
    return world.apply(VITALIS, world.invite(VITALIS), **changes)


def read(world: World, data: bytes, *, later_s: int = 0) -> Application:
    return verify_application(data, world.bundle(), at=world.at + later_s)


def test_an_application_says_who_asks_for_what_with_which_keys() -> None:
    world = living("north-hospital")
    application = read(world, applied(world))
    keys = own_keys(VITALIS)
    assert (application.organization, application.purpose) == (VITALIS, "join")
    assert application.fingerprint == keys.entity.key_id
    assert application.policy == member_policy(VITALIS)
    assert {use: [*listed] for use, listed in application.statement.keys.items()} == {
        use: [key.key_id] for use, key in keys.uses.items()
    }


def test_an_application_holds_no_secret() -> None:
    world = living("north-hospital")
    data = applied(world)
    for key in (own_keys(VITALIS).entity, *own_keys(VITALIS).uses.values()):
        pem = key.private_pem() if hasattr(key, "private_pem") else b"never"
        assert pem not in data
        assert b"PRIVATE" not in data
        assert b'"d"' not in data


def resigned(world: World, data: bytes, key: str = "vitalis/entity/1", **claims: Any) -> bytes:
    """Return the application with other claims, signed (again) with the key of this name."""
    parts = json.loads(data)
    old = jose.unverified_claims(parts["application"], bytes_max=100_000)
    return canonical_bytes({**parts, "application": jose.sign({**old, **claims}, key=make_key(key), typ=TYP)})


def test_an_application_that_another_key_signed_is_refused() -> None:
    world = living("north-hospital")
    assert refused(lambda: read(world, resigned(world, applied(world), key="thief"))) == "application_signature_invalid"


def test_an_application_runs_out() -> None:
    world = living("north-hospital")
    data = resigned(world, applied(world), exp=world.at + 60)
    assert read(world, data, later_s=60 + jose.LEEWAY_S - 1).organization == VITALIS
    assert refused(lambda: read(world, data, later_s=60 + jose.LEEWAY_S)) == "application_invalid"
    long = resigned(world, applied(world), exp=world.at + APPLICATION_LIFETIME_S + 1)
    assert refused(lambda: read(world, long)) == "application_invalid"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"net": "another-net"}, "invitation_other_network"),
        ({"root_sha256": "0" * 64}, "invitation_other_network"),
        ({"iss": "north-hospital"}, "application_invalid"),
        ({"purpose": "rule"}, "application_invalid"),
        ({"policy": member_policy("alma-university").to_json()}, "application_invalid"),
        ({"policy": member_policy("vitalis", "coordinator").to_json()}, "application_invalid"),
        ({"policy": {**member_policy("vitalis").to_json(), "may_assert": {"roles": []}}}, "application_invalid"),
        ({"invitation": None}, "application_invalid"),
        ({"invitation": "a.b.c"}, "invitation_invalid"),
        ({"statement_sha256": "0" * 64}, "application_invalid"),
        ({"role_sha256": "0" * 64}, "application_invalid"),
        ({"contact": "x" * 301}, "application_invalid"),
        ({"self_test": [{"party": "north-hospital", "name": "luck", "ok": True, "found": ""}]}, "application_invalid"),
        ({"self_test": [passed()[0].to_json()] * (CHECKS_MAX + 1)}, "application_invalid"),
        ({"purpose": "replace_key"}, "membership_transition_refused"),
    ],
)
def test_an_application_that_says_something_else_is_refused(claims: dict[str, Any], code: str) -> None:
    world = living("north-hospital")
    assert refused(lambda: read(world, resigned(world, applied(world), **claims))) == code


def test_the_parts_of_two_applications_do_not_mix() -> None:
    world = living("north-hospital")
    one, two = json.loads(applied(world)), json.loads(applied(world, keys=own_keys(VITALIS, generation=2)))
    for name in ("statement", "role"):
        assert refused(read, world, canonical_bytes({**one, name: two[name]})) == "application_invalid"
        fitting = {f"{name}_sha256": sha256_hex(two[name].encode())}
        mixed = resigned(world, canonical_bytes({**one, name: two[name]}), **fitting)
        code = refused(read, world, mixed)
        assert code in ("application_invalid", "statement_signature_invalid")


def test_a_statement_made_for_another_invitation_is_refused() -> None:
    world = living("north-hospital")
    first, at = world.invite(VITALIS), world.at
    world.at += 1
    second = world.invite(VITALIS)
    assert (first.nonce != second.nonce, at < world.at) == (True, True)
    data = resigned(world, world.apply(VITALIS, first), invitation=second.token)
    assert refused(lambda: read(world, data)) == "application_nonce_mismatch"


@pytest.mark.parametrize(
    ("entity", "asking", "owner"),
    [
        ("one-one", "vitalis/request/1", "a keyholder or the online signer"),
        ("online", "vitalis/request/1", "a keyholder or the online signer"),
        ("north-hospital/entity/1", "vitalis/request/1", "north-hospital"),
        ("north-hospital/request/1", "vitalis/request/1", "north-hospital"),
        ("vitalis/entity/1", "north-hospital/request/1", "north-hospital"),
        ("vitalis/entity/1", "two-two", "a keyholder or the online signer"),
    ],
)
def test_every_key_of_an_application_is_new_to_the_network(entity: str, asking: str, owner: str) -> None:
    world = living("north-hospital")
    keys = OwnKeys(make_key(entity), {**own_keys(VITALIS).uses, "request": make_key(asking)})
    with pytest.raises(ConcordatError) as error:
        applied(world, keys=keys)
    assert (error.value.code, error.value.fields["owner"]) == ("application_key_known", owner)


def test_one_key_for_two_uses_is_refused() -> None:
    world, own = living("north-hospital"), own_keys(VITALIS)
    keys = replace(own, uses={**own.uses, "request": own.uses["attestation"]})
    assert refused(lambda: applied(world, keys=keys)) == "statement_key_shared"


def test_a_member_cannot_apply_again() -> None:
    world = living("north-hospital", "vitalis")
    assert refused(lambda: world.invite(VITALIS)) == "membership_transition_refused"


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"application_version":2}', b"\xff", b'{"a":' * 50])
def test_what_is_no_application_is_said_to_be_none(data: bytes) -> None:
    world = living("north-hospital")
    assert refused(lambda: read(world, data)) == "application_invalid"


# The self-test.


def test_a_self_test_passes_with_every_check() -> None:
    require_passed(VITALIS, passed())


@pytest.mark.parametrize("missing", range(5))
def test_a_check_that_is_missing_or_failed_fails_the_test(missing: int) -> None:
    checks = list(passed())
    failed = Check(NORTH, checks[missing].name, False, "it was 40 s off")
    without = [check for check in checks if check is not checks[missing]]
    assert refused(lambda: require_passed(VITALIS, without)) == "self_test_failed"
    assert refused(lambda: require_passed(VITALIS, [*checks, failed])) == "self_test_failed"


def test_no_self_test_is_no_passed_self_test() -> None:
    assert refused(lambda: require_passed(VITALIS, ())) == "self_test_failed"


def test_a_report_may_be_as_long_as_its_limit() -> None:
    world = living("north-hospital")
    tests = [passed()[0].to_json()] * CHECKS_MAX
    assert len(read(world, resigned(world, applied(world), self_test=tests)).self_test) == CHECKS_MAX
    assert world.at > NOW
