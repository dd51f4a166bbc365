"""A member's own fault closes that member and nobody else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from concordat_trust import jose
from concordat_trust.bundle.files import BundleFiles
from concordat_trust.bundle.metadata import DAY_S
from concordat_trust.bundle.repository import MemberProfile, sign_member, sign_role
from concordat_trust.bundle.statement import STATEMENT_BYTES_MAX, STATEMENT_TYPE, listed_key
from concordat_trust.bundle.tuf_api import Delegations
from concordat_trust.canonical import Json, JsonObject, parse_object
from concordat_trust.directory import KeyUnknown, KeyUse, OrganizationSuspended
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.ids import OrgId
from concordat_trust.jwk import SigningKey, public_jwk
from tests.factories.network import NOW, make_key, make_network
from tests.factories.repository import Repository, expires

NORTH, VITALIS, RELAY = OrgId("north-hospital"), OrgId("vitalis"), OrgId("relay-one")
Change = Callable[[JsonObject], object]


def republish(
    change: Change = lambda claims: None,
    *,
    member: OrgId = NORTH,
    key: SigningKey | None = None,
    typ: str = STATEMENT_TYPE,
) -> Repository:
    """Return a repository in which one member's statement was changed and signed again."""
    repo = Repository()
    name = next(n for n in repo.files if n.startswith(f"targets/members/{member}/"))
    claims = parse_object(unb64u(repo.files[name].decode().split(".")[1]), bytes_max=16_384)
    change(claims)
    token = jose.sign(claims, key=repo.entity(member) if key is None else key, typ=typ)
    return with_statement(repo, token.encode(), member)


def with_statement(repo: Repository, statement: bytes, member: OrgId = NORTH) -> Repository:
    own = {f"members/{member}/entity.jwt": statement}
    expires_at = NOW + 90 * DAY_S
    repo.files |= sign_role(member, own, signer=repo.entity(member), version=1, expires_at=expires_at)
    return repo


def only_closed(repo: Repository, member: OrgId = NORTH, at: int = NOW) -> str:
    """Return why `member` is unusable, after making sure that all others are not."""
    bundle = repo.verify(at=at)
    assert set(bundle.unusable) == {member}
    assert member not in bundle.organizations + bundle.coordinators
    assert len(bundle.organizations) + len(bundle.coordinators) == len(bundle.network.members) - 1
    assert bundle.member(member).endpoint == ""
    assert bundle.member(member).legal_name == member
    for use, key in repo.network.keys[member].items():
        with pytest.raises(KeyUnknown):
            bundle.key(member, use, key.key_id)
    return bundle.unusable[member].code


def node(claims: JsonObject) -> JsonObject:
    return inner(inner(claims, "metadata"), "concordat_node")


def listed(repo: Repository, member: OrgId, use: str) -> list[Json]:
    """Return the entries that a member's good statement lists for a use, for anybody to copy."""
    name = next(n for n in repo.files if n.startswith(f"targets/members/{member}/"))
    claims = parse_object(unb64u(repo.files[name].decode().split(".")[1]), bytes_max=16_384)
    entries = inner(node(claims), "keys")[use]
    assert isinstance(entries, list)
    return entries


def inner(obj: JsonObject, name: str) -> JsonObject:
    value = obj[name]
    assert isinstance(value, dict)
    return value


def test_a_good_statement_republished_is_usable() -> None:
    bundle = republish().verify()
    assert dict(bundle.unusable) == {}
    assert bundle.member(NORTH).legal_name == "North Hospital"
    assert bundle.member(NORTH).endpoint == "https://north-hospital.example"


# The role


def test_an_expired_role_closes_its_member_only() -> None:
    repo = Repository()
    repo.edit("1.north-hospital.json", expires(NOW), signers=[repo.entity(NORTH)])
    assert only_closed(repo) == "statement_expired"


def test_an_expired_role_needs_no_statement_file() -> None:
    repo = Repository()
    repo.edit("1.north-hospital.json", expires(NOW), signers=[repo.entity(NORTH)])
    repo.files.pop(next(n for n in repo.files if n.startswith("targets/members/north-hospital/")))
    assert only_closed(repo) == "statement_expired"


def test_a_role_signed_for_too_long_closes_its_member() -> None:
    repo = Repository()
    repo.edit("1.north-hospital.json", expires(NOW + 120 * DAY_S + 1), signers=[repo.entity(NORTH)])
    assert only_closed(repo) == "statement_lifetime"


def test_a_role_may_be_signed_for_120_days() -> None:
    repo = Repository()
    repo.edit("1.north-hospital.json", expires(NOW + 120 * DAY_S), signers=[repo.entity(NORTH)])
    assert dict(repo.verify().unusable) == {}


def test_a_role_without_a_statement_closes_its_member() -> None:
    repo = Repository()
    repo.files |= sign_role(NORTH, {}, signer=repo.entity(NORTH), version=1, expires_at=NOW + DAY_S)
    assert only_closed(repo) == "statement_malformed"


def test_a_role_that_delegates_further_closes_its_member() -> None:
    repo = Repository()
    empty = Delegations({}, {})
    repo.edit("1.north-hospital.json", lambda r: setattr(r, "delegations", empty), signers=[repo.entity(NORTH)])
    assert only_closed(repo) == "statement_malformed"


# The statement


def test_a_statement_signed_by_an_operational_key_is_refused() -> None:
    key = Repository().network.keys[NORTH]["attestation"]
    assert only_closed(republish(key=key)) == "statement_signature_invalid"


def test_a_statement_signed_by_another_member_is_refused() -> None:
    key = Repository().entity("vitalis")
    assert only_closed(republish(key=key)) == "statement_signature_invalid"


def test_a_statement_with_a_foreign_signature_under_the_right_key_id_is_refused() -> None:
    repo = Repository()
    name = next(n for n in repo.files if n.startswith("targets/members/north-hospital/"))
    head, body, _ = repo.files[name].decode().split(".")
    other = repo.files[next(n for n in repo.files if n.startswith("targets/members/vitalis/"))].decode()
    forged = f"{head}.{body}.{other.split('.')[2]}"
    assert only_closed(with_statement(repo, forged.encode())) == "statement_signature_invalid"


def test_a_token_of_another_type_is_no_statement() -> None:
    assert only_closed(republish(typ="concordat-query+jwt")) == "statement_malformed"


@pytest.mark.parametrize("data", [b"", b"a.b.c", b"\xff.\xff.\xff", b"x" * 16_385])
def test_bytes_that_are_no_token_are_refused(data: bytes) -> None:
    assert only_closed(with_statement(Repository(), data)) == "statement_malformed"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_statement_longer_than_it_may_be_closes_its_member_unread_and_is_kept_by_nobody(is_there: bool) -> None:
    def files_of(length: int) -> Repository:
        repo = with_statement(Repository(), b"x" * length)
        if not is_there and length > STATEMENT_BYTES_MAX:
            for name in [n for n in repo.files if n.startswith("targets/members/north-hospital/")]:
                del repo.files[name]
        return repo

    for length, is_kept in ((STATEMENT_BYTES_MAX, True), (STATEMENT_BYTES_MAX + 1, False), (7_999_999, False)):
        repo = files_of(length)
        assert only_closed(repo) == "statement_malformed"
        assert ("targets/members/north-hospital/entity.jwt" in repo.verify().files) is is_kept


@pytest.mark.parametrize("claim", ["iss", "sub"])
def test_a_statement_about_somebody_else_is_refused(claim: str) -> None:
    assert only_closed(republish(lambda c: c.update({claim: "vitalis"}))) == "statement_wrong_subject"


def test_an_expired_statement_is_refused() -> None:
    repo = republish(lambda c: c.update(exp=NOW - 30))
    assert only_closed(repo) == "statement_expired"


def test_a_statement_of_the_future_is_refused() -> None:
    assert only_closed(republish(lambda c: c.update(iat=NOW + 31))) == "statement_not_yet_valid"


def test_a_statement_valid_for_too_long_is_refused() -> None:
    assert only_closed(republish(lambda c: c.update(exp=NOW + 120 * DAY_S + 1))) == "statement_lifetime"
    assert dict(republish(lambda c: c.update(exp=NOW + 120 * DAY_S)).verify().unusable) == {}


@pytest.mark.parametrize("claim", ["iss", "sub", "exp", "iat", "jwks", "metadata"])
def test_a_statement_without_a_claim_is_refused(claim: str) -> None:
    assert only_closed(republish(lambda c: c.pop(claim))) == "statement_malformed"


def test_published_keys_that_are_not_the_roles_are_refused() -> None:
    def change(claims: JsonObject) -> None:
        stranger: Json = {**public_jwk(make_key("stranger").public_key), "kid": make_key("stranger").key_id}
        claims["jwks"] = {"keys": [stranger]}

    assert only_closed(republish(change)) == "statement_malformed"
    assert only_closed(republish(lambda c: c.update(jwks={"keys": []}))) == "statement_malformed"


def test_an_organization_that_describes_a_coordinator_is_refused() -> None:
    def change(claims: JsonObject) -> None:
        metadata = inner(claims, "metadata")
        metadata["concordat_coordinator"] = metadata.pop("concordat_node")

    assert only_closed(republish(change)) == "statement_wrong_kind"


def test_a_member_that_describes_both_kinds_is_refused() -> None:
    def change(claims: JsonObject) -> None:
        metadata = inner(claims, "metadata")
        metadata["concordat_coordinator"] = metadata["concordat_node"]

    assert only_closed(republish(change)) == "statement_wrong_kind"


def test_a_coordinator_has_no_token_keys() -> None:
    bundle = Repository().verify()
    assert set(bundle.member(RELAY).keys) == {"request", "delivery"}


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://north.example",
        "https://north.example/",
        "https://north.example/path",
        "https://user@north.example",
        "https://North.example",
        "https://north.example?q",
        "https://north.example:0",
        "https://north.example:99999",
        "https://north.example:x",
        "https://",
        "ftp://north.example",
        "ftp://127.0.0.1:21",
        "north.example",
        "https://north.example:",
        "https://north example",
        "http://127.0.0.1.example:1",
        "https://[north]",
        "",
    ],
)
def test_an_endpoint_that_is_not_scheme_host_and_port_is_refused(endpoint: str) -> None:
    repo = republish(lambda c: node(c).update(endpoint=endpoint))
    assert only_closed(repo) == "statement_endpoint_invalid"


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://north.example",
        "https://north.example:8443",
        "http://127.0.0.1:80",
        "http://[::1]:9",
        "http://localhost:1",
    ],
)
def test_an_endpoint_is_https_or_loopback(endpoint: str) -> None:
    assert republish(lambda c: node(c).update(endpoint=endpoint)).verify().member(NORTH).endpoint == endpoint


def test_an_endpoint_belongs_to_the_member_admitted_earlier() -> None:
    repo = republish(lambda c: node(c).update(endpoint="https://north-hospital.example"), member=VITALIS)
    assert only_closed(repo, VITALIS) == "statement_endpoint_shared"


def test_a_request_key_that_two_members_hold_belongs_to_the_one_admitted_earlier() -> None:
    shared = Repository().network.keys[NORTH]["request"]
    listed: Json = [listed_key(VITALIS, "request", shared)]
    repo = republish(lambda c: inner(node(c), "keys").update(request=listed), member=VITALIS)
    assert only_closed(repo, VITALIS) == "statement_key_shared"
    assert repo.verify().request_key_owner(shared.key_id).id == NORTH


@pytest.mark.parametrize("use", ["query_token", "attestation", "request"])
def test_a_member_that_lists_a_public_key_of_a_later_one_closes_only_itself(use: KeyUse) -> None:
    repo = Repository()
    own, foreign = repo.network.keys[NORTH][use], repo.network.keys[VITALIS][use]
    proved = next(iter(listed(repo, VITALIS, use)))
    for stolen in (public_jwk(foreign.public_key), proved):
        both: Json = [listed_key(NORTH, use, own), stolen]
        squatted = republish(lambda c, both=both: inner(node(c), "keys").update({use: both}))  # type: ignore[misc]
        assert only_closed(squatted) == "statement_key_unproven"
        assert squatted.verify().key(VITALIS, use, foreign.key_id) == foreign.public_key


def test_a_key_is_proved_for_one_member_and_one_use() -> None:
    key = make_key("fresh")
    good = listed_key(NORTH, "request", key)
    proof = good["proof"]
    assert isinstance(proof, str)
    broken: list[Json] = [
        listed_key(NORTH, "attestation", key),
        listed_key(VITALIS, "request", key),
        {**good, "proof": listed_key(NORTH, "request", make_key("other"))["proof"]},
        {**good, "proof": b64u(key.sign(b""))},
        {**good, "proof": proof + "="},
        {**good, "proof": 1},
        {name: value for name, value in good.items() if name != "proof"},
    ]
    for entry in broken:
        repo = republish(lambda c, entry=entry: inner(node(c), "keys").update(request=[entry]))  # type: ignore[misc]
        assert only_closed(repo) == "statement_key_unproven"
    assert dict(republish(lambda c: inner(node(c), "keys").update(request=[good])).verify().unusable) == {}


def test_the_text_that_proves_a_key_is_fixed() -> None:
    key = make_key("fresh")
    text = f'{{"key_id":"{key.key_id}","member":"north-hospital","proof":"concordat-key-possession-1","use":"request"}}'
    assert listed_key(NORTH, "request", key) == {**key.public_jwk, "proof": b64u(key.sign(text.encode()))}


def test_a_suspended_member_keeps_nobody_from_its_endpoint() -> None:
    repo = republish(lambda c: node(c).update(endpoint="https://vitalis.example"))
    assert only_closed(repo, VITALIS) == "statement_endpoint_shared"
    repo.publish_suspended({NORTH: 2}, 2)
    repo.renew(NOW + 1)
    bundle = repo.verify(at=NOW + 1)
    assert dict(bundle.unusable) == {}
    assert bundle.organizations == ("alma-university", "vitalis")


def test_a_suspended_member_keeps_nobody_from_a_key_that_both_hold() -> None:
    repo = Repository()
    shared, own = repo.network.keys[VITALIS]["request"], repo.network.keys[NORTH]["request"]
    both: Json = [listed_key(NORTH, "request", key) for key in (shared, own)]
    repo = republish(lambda c: inner(node(c), "keys").update(request=both))
    assert only_closed(repo, VITALIS) == "statement_key_shared"
    repo.publish_suspended({NORTH: 2}, 2)
    repo.renew(NOW + 1)
    bundle = repo.verify(at=NOW + 1)
    assert bundle.request_key_owner(shared.key_id).id == VITALIS
    with pytest.raises(OrganizationSuspended):
        bundle.request_key_owner(own.key_id)


def test_a_member_that_is_refused_claims_nothing() -> None:
    key = Repository().network.keys[VITALIS]["request"]
    listed: Json = [listed_key(NORTH, "request", key)]

    def change(claims: JsonObject) -> None:
        inner(node(claims), "keys")["request"] = listed
        node(claims)["endpoint"] = "http://not-valid.example"

    repo = republish(change)
    assert only_closed(repo) == "statement_endpoint_invalid"
    assert repo.verify().request_key_owner(key.key_id).id == VITALIS


def test_one_key_for_two_uses_is_refused() -> None:
    def change(claims: JsonObject) -> None:
        keys = inner(node(claims), "keys")
        keys["request"] = keys["attestation"]

    assert only_closed(republish(change)) == "statement_key_shared"


def test_one_key_listed_twice_is_refused() -> None:
    def change(claims: JsonObject) -> None:
        keys = inner(node(claims), "keys")
        entries = keys["request"]
        assert isinstance(entries, list)
        keys["request"] = entries * 2

    assert only_closed(republish(change)) == "statement_key_shared"


def test_the_entity_key_for_a_use_is_refused() -> None:
    listed: Json = [public_jwk(Repository().entity(NORTH).public_key)]
    repo = republish(lambda c: inner(node(c), "keys").update(request=listed))
    assert only_closed(repo) == "statement_key_shared"


@pytest.mark.parametrize("use", ["query_token", "attestation", "request"])
def test_every_use_needs_at_least_one_key_and_at_most_eight(use: KeyUse) -> None:
    def made(count: int) -> Json:
        return [listed_key(NORTH, use, make_key(f"{use}/{i}")) for i in range(count)]

    for wrong in (made(0), made(9), None, "key", [None]):
        repo = republish(lambda c, wrong=wrong: inner(node(c), "keys").update({use: wrong}))  # type: ignore[misc]
        assert only_closed(repo) == "statement_malformed"
    eight = made(8)
    assert dict(republish(lambda c: inner(node(c), "keys").update({use: eight})).verify().unusable) == {}


def test_a_published_private_key_is_refused() -> None:
    listed: Json = [{**public_jwk(make_key("leak").public_key), "d": "AA"}]
    assert only_closed(republish(lambda c: inner(node(c), "keys").update(request=listed))) == "statement_malformed"


def test_unknown_claims_are_kept_and_ignored() -> None:
    assert dict(republish(lambda c: c.update(trust_marks=[], later={"field": 1})).verify().unusable) == {}


def test_what_a_member_may_assert_comes_from_the_keyholders() -> None:
    repo = republish(lambda c: c.update(may_assert={"affiliations": ["everything"]}))
    assert "everything" not in repo.verify().member(NORTH).may_assert.affiliations


def test_a_statement_signed_by_the_ceremony_names_the_profile() -> None:
    repo = Repository()
    profile = MemberProfile("Renamed", "https://new.example:9")
    repo.files |= sign_member(repo.member(NORTH), profile, repo.keys.members[NORTH], version=1, at=NOW)
    member = repo.verify().member(NORTH)
    assert (member.legal_name, member.endpoint) == ("Renamed", "https://new.example:9")


def test_country_and_type_come_from_the_keyholders() -> None:
    repo = Repository()
    changed = tuple(dataclasses.replace(m, country="SE", organization_type="commercial") for m in repo.policy.members)
    repo.publish_targets(1, policy=dataclasses.replace(repo.policy, members=changed))
    member = repo.verify().member(NORTH)
    assert (member.country, member.organization_type) == ("SE", "commercial")


# What a mutant of `bundle/trusted` and `bundle/files` would change and no test above would notice.


def test_who_cannot_speak_is_accounted_for_unless_suspended_or_no_organization() -> None:
    repo = Repository()
    for member in (NORTH, VITALIS, RELAY):
        repo.edit(f"1.{member}.json", expires(NOW), signers=[repo.entity(member)])
    bundle = repo.verify()
    assert list(bundle.untrusted) == [NORTH, VITALIS]
    assert (bundle.organizations, bundle.roster) == (("alma-university",), ("alma-university", NORTH, VITALIS))
    repo.publish_suspended({VITALIS: 2}, 2)
    repo.renew(NOW + 1)
    bundle = repo.verify(at=NOW + 1)
    assert (list(bundle.untrusted), bundle.roster) == ([NORTH], ("alma-university", NORTH))


def test_a_set_of_files_without_a_root_has_no_version() -> None:
    assert BundleFiles({}).root_version_max() == 0
    assert BundleFiles({"2.root.json": b"", "10.root.json": b"", "03.root.json": b""}).root_version_max() == 10


def test_whom_an_answer_accounts_for_is_in_order() -> None:
    names = [f"clinic-{number * 7 % 12:02d}" for number in range(12)]
    repo = Repository(make_network(organizations=names))
    for name in names[:6]:
        repo.edit(f"1.{name}.json", expires(NOW), signers=[repo.entity(OrgId(name))])
    bundle = repo.verify()
    assert list(bundle.untrusted) == sorted(names[:6])
    assert list(bundle.roster) == sorted(names)
    assert {bundle.member(OrgId(name)).sealing for name in names[:6]} == {""}
