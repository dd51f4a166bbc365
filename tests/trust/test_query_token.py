"""The query token: bound to one question, its parts, its audience, its presenter and its issuer's caps."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust import jose
from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.encoding import b64u, sha256_b64u
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from concordat_trust.jose import LEEWAY_S
from concordat_trust.jwk import SigningKey
from concordat_trust.query_token import (
    ACR_CHARS_MAX,
    CLAIM_CHARS_MAX,
    LIFETIME_MAX_S,
    ORGANIZATIONS_MAX,
    QUERY_TOKEN_BYTES_MAX,
    TYP,
    RequesterClaims,
    VerifiedToken,
    mint_query_token,
    verify_archived_token,
    verify_query_token,
    verify_relayed_token,
)
from concordat_trust.token_errors import TokenRefused
from concordat_trust.vocabulary import Clearance
from tests.factories.tokens import (
    HOME,
    NORTH,
    NOW,
    PARTS,
    PROPERTY,
    QUESTION,
    RELAY,
    VITALIS,
    FakeCaps,
    FakeDirectory,
    FakeNetwork,
    changed,
    digest_of,
    flipped,
    fresh_id,
    make_directory,
    make_query_token,
    signed,
    signing_key,
    token_claims,
    without,
)

RELAY_KEY = signing_key(RELAY, "request").key_id


def verify(
    token: str,
    *,
    me: OrgId = NORTH,
    bundle: FakeDirectory | None = None,
    question: bytes = QUESTION,
    part: bytes = PARTS[NORTH],
    presenter: str = RELAY_KEY,
    now: int = NOW,
) -> VerifiedToken:
    return verify_query_token(
        token,
        me=me,
        bundle=bundle or make_directory(),
        question=question,
        part=part,
        presenter=presenter,
        now=now,
    )


def code_of(token: str, **changes: object) -> str:
    with pytest.raises(ConcordatError) as caught:
        verify(token, **changes)  # type: ignore[arg-type]  # the tests' own names
    return caught.value.code


def resigned(**members: Json) -> str:
    return signed(changed(token_claims(), **members))


def test_a_good_token_says_who_asks_what_of_whom() -> None:
    verified = verify(make_query_token())
    assert (verified.issuer, verified.subject, verified.audience) == (HOME, "p-4711", (NORTH, VITALIS))
    assert (verified.issued_at, verified.expires_at, verified.token_id) == (NOW, NOW + 120, fresh_id("token"))
    assert verified.claims == RequesterClaims("faculty", "researcher", Clearance.REGISTERED)
    assert verified.presenter == RELAY_KEY
    assert set(verified.parts) == {NORTH, VITALIS}


names = st.text(string.ascii_letters + string.digits + "._:-", min_size=1, max_size=128)


@PROPERTY
@given(
    subject=names,
    question=st.binary(max_size=200),
    part=st.binary(max_size=200),
    clearance=st.sampled_from([Clearance.PUBLIC, Clearance.REGISTERED, Clearance.CONTROLLED]),
    now=st.integers(0, 2**33),
)
def test_what_is_minted_is_what_is_verified(
    subject: str, question: bytes, part: bytes, clearance: Clearance, now: int
) -> None:
    token = mint_query_token(
        key=signing_key(HOME, "query_token"),
        issuer=HOME,
        subject=subject,
        network=FakeNetwork().id,
        question=question,
        parts={NORTH: part},
        claims=RequesterClaims("staff", "researcher", clearance),
        presenter=RELAY_KEY,
        enc=str(token_claims()["enc"]),
        token_id=fresh_id("any"),
        now=now,
    )
    verified = verify(token, question=question, part=part, now=now)
    assert (verified.subject, verified.claims.clearance, verified.issued_at) == (subject, clearance, now)
    assert (
        verify_relayed_token(
            token, bundle=make_directory(), question=question, parts={NORTH: part}, relay=RELAY_KEY, now=now
        )
        == verified
    )
    assert verify_archived_token(token, bundle=make_directory(), question=question, parts={NORTH: part}) == verified


@PROPERTY
@given(position=st.integers(0, 10_000), mask=st.integers(1, 127))
def test_a_query_token_with_any_byte_changed_is_refused_by_our_own_errors(position: int, mask: int) -> None:
    with pytest.raises(TokenRefused):
        verify(flipped(make_query_token(), position, mask))


junk: st.SearchStrategy[Json] = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.just([]) | st.just({})
)


@PROPERTY
@given(name=st.sampled_from(sorted(token_claims())), value=junk)
def test_a_claim_with_any_other_value_is_refused_by_our_own_errors(name: str, value: Json) -> None:
    if name == "sub" and isinstance(value, str):
        return
    with pytest.raises(TokenRefused):
        verify(signed(changed(token_claims(), **{name: value})))


@PROPERTY
@given(
    outer=st.sampled_from(["claims", "cnf", "parts"]),
    value=st.dictionaries(st.text(max_size=10), junk, max_size=3),
)
def test_an_inner_object_with_any_other_members_is_refused_by_our_own_errors(outer: str, value: JsonObject) -> None:
    with pytest.raises(TokenRefused):
        verify(signed(changed(token_claims(), **{outer: value})))


# The checks of `jose.verify`, once each through this door.


def test_another_kind_of_token_is_no_query_token() -> None:
    assert code_of(signed(token_claims(), typ="concordat-attestation+jwt")) == "token_wrong_type"


def test_a_query_token_signed_with_the_attestation_key_is_refused() -> None:
    assert code_of(signed(token_claims(), key=signing_key(HOME, "attestation"))) == "token_key_unknown"


def test_a_coordinator_cannot_mint() -> None:
    token = signed(changed(token_claims(), iss=RELAY), key=signing_key(RELAY, "request"))
    assert code_of(token) == "token_key_unknown"


def test_a_coordinator_cannot_mint_even_when_a_bundle_lists_a_token_key_for_it() -> None:
    key = signing_key(RELAY, "query_token")
    directory = make_directory()
    lax = FakeDirectory(directory.members, {**directory.keys, (RELAY, "query_token", key.key_id): key.public_key})
    assert code_of(signed(changed(token_claims(), iss=RELAY), key=key), bundle=lax) == "token_issuer_unknown"


def test_an_organization_cannot_mint_for_another() -> None:
    assert code_of(signed(token_claims(), key=signing_key(NORTH, "query_token"))) == "token_key_unknown"


def test_a_node_that_is_not_in_the_audience_refuses() -> None:
    assert code_of(make_query_token(parts={VITALIS: b"{}"})) == "token_audience"


def test_a_token_lives_two_minutes_and_no_longer() -> None:
    assert verify(resigned(exp=NOW + 120)).expires_at == NOW + 120
    assert code_of(resigned(exp=NOW + 121)) == "token_lifetime"
    assert code_of(make_query_token(), now=NOW + 120 + 30) == "token_expired"
    assert verify(make_query_token(), now=NOW + 120 + 29).expires_at == NOW + 120
    assert code_of(make_query_token(), now=NOW - 31) == "token_not_yet_valid"


@pytest.mark.parametrize("name", sorted(token_claims()))
def test_every_claim_is_required(name: str) -> None:
    assert code_of(signed(without(token_claims(), name))) == "token_claim_missing"


# Claims of this kind and no others.


def test_an_unknown_claim_is_refused() -> None:
    assert code_of(resigned(scope="everything")) == "token_claim_invalid"


@pytest.mark.parametrize(
    "change",
    [
        {"aud": NORTH},
        {"sub": ""},
        {"sub": "a b"},
        {"sub": "x" * 129},
        {"qh": "short"},
        {"net": "x" * 65},
        {"cnf": {}},
        {"cnf": {"jkt": "short"}},
        {"cnf": {"jkt": RELAY_KEY, "jku": "https://evil.example.org"}},
        {"claims": {"affiliation": "faculty", "role": "researcher"}},
        {"claims": {"affiliation": "faculty", "clearance": 4, "role": "researcher"}},
        {"claims": {"affiliation": "faculty", "clearance": -1, "role": "researcher"}},
        {"claims": {"affiliation": "faculty", "clearance": True, "role": "researcher"}},
        {"claims": {"affiliation": "faculty", "clearance": "1", "role": "researcher"}},
        {"claims": {"affiliation": None, "clearance": 1, "role": "researcher"}},
        {"claims": {"affiliation": "faculty", "clearance": 1, "role": "researcher", "auth_time": None}},
        {"claims": {"affiliation": "faculty", "clearance": 1, "role": "researcher", "auth_time": -1}},
        {"claims": {"affiliation": "faculty", "clearance": 1, "role": "researcher", "auth_time": NOW + LEEWAY_S + 1}},
        {"claims": {"affiliation": "faculty", "clearance": 1, "role": "researcher", "acr": ""}},
        {"claims": {"affiliation": "faculty", "clearance": 1, "role": "researcher", "acr": "x" * (ACR_CHARS_MAX + 1)}},
        {"claims": {"admin": True, "affiliation": "faculty", "clearance": 1, "role": "researcher"}},
    ],
)
def test_a_claim_of_another_form_is_refused(change: dict[str, Json]) -> None:
    assert code_of(resigned(**change)) == "token_claim_invalid"


@pytest.mark.parametrize("key", ["", "AAAA", b64u(bytes(32)), b64u((1).to_bytes(32, "little")), "=" * 43])
def test_a_key_for_sealed_answers_that_gives_everybody_the_secret_is_refused(key: str) -> None:
    assert code_of(resigned(enc=key)) == "token_claim_invalid"


def test_the_parts_name_exactly_the_audience() -> None:
    parts = token_claims()["parts"]
    assert isinstance(parts, dict)
    assert code_of(resigned(parts=without(parts, VITALIS))) == "token_claim_invalid"
    assert code_of(resigned(parts=changed(parts, **{"other-clinic": parts[NORTH]}))) == "token_claim_invalid"
    assert code_of(resigned(aud=[NORTH, NORTH, VITALIS])) == "token_claim_invalid"
    assert code_of(resigned(parts=changed(parts, **{NORTH: "short"}))) == "token_claim_invalid"
    assert code_of(resigned(aud=[NORTH, "UPPER"], parts={NORTH: parts[NORTH], "UPPER": parts[NORTH]})) == (
        "token_claim_invalid"
    )


# Binding.


def test_a_token_of_another_network_is_refused() -> None:
    assert code_of(resigned(net="another-network")) == "token_network"


def test_a_token_presented_by_another_key_is_refused() -> None:
    assert code_of(make_query_token(), presenter=signing_key(NORTH, "request").key_id) == "token_presenter"


def test_another_question_under_the_same_token_is_refused() -> None:
    assert code_of(make_query_token(), question=QUESTION + b" ") == "token_question_mismatch"


def test_another_part_under_the_same_token_is_refused() -> None:
    assert code_of(make_query_token(), part=PARTS[NORTH] + b" ") == "token_part_mismatch"


def test_the_part_of_another_organization_is_refused() -> None:
    assert code_of(make_query_token(), part=PARTS[VITALIS]) == "token_part_mismatch"


@PROPERTY
@given(position=st.integers(0, 1_000), mask=st.integers(1, 255), which=st.sampled_from(["question", "part"]))
def test_a_question_or_part_with_any_byte_changed_is_refused(position: int, mask: int, which: str) -> None:
    data = bytearray({"question": QUESTION, "part": PARTS[NORTH]}[which])
    data[position % len(data)] ^= mask
    assert code_of(make_query_token(), **{which: bytes(data)}) == f"token_{which}_mismatch"


# Caps.


@pytest.mark.parametrize(
    ("claims", "claim"),
    [
        (RequesterClaims("emeritus", "researcher", Clearance.PUBLIC), "affiliation"),
        (RequesterClaims("", "researcher", Clearance.PUBLIC), "affiliation"),
        (RequesterClaims("faculty", "custodian", Clearance.PUBLIC), "role"),
        (RequesterClaims("faculty", "researcher", Clearance.RESTRICTED), "clearance"),
        (RequesterClaims("faculty", "researcher", Clearance.PUBLIC, NOW, "pwd"), "acr"),
    ],
)
def test_an_organization_may_only_claim_what_keyholders_allow(claims: RequesterClaims, claim: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        verify(make_query_token(claims=claims))
    assert (caught.value.code, caught.value.fields["claim"]) == ("token_claim_not_allowed", claim)


def test_the_highest_allowed_clearance_is_accepted() -> None:
    claims = RequesterClaims("staff", "researcher", Clearance.CONTROLLED)
    assert verify(make_query_token(claims=claims)).claims == claims


def test_when_and_how_a_person_signed_in_is_said_within_the_caps() -> None:
    for auth_time in (0, NOW + LEEWAY_S):
        claims = RequesterClaims("staff", "researcher", Clearance.PUBLIC, auth_time, "mfa")
        assert verify(make_query_token(claims=claims)).claims == claims
    unsaid = RequesterClaims("staff", "researcher", Clearance.PUBLIC)
    assert verify(make_query_token(claims=unsaid)).claims == unsaid


def test_empty_caps_allow_nothing() -> None:
    bare = make_directory().with_member(HOME, may_assert=FakeCaps(frozenset(), frozenset(), 0, frozenset()))
    assert code_of(make_query_token(), bundle=bare) == "token_claim_not_allowed"


# Suspension.


def test_a_suspended_issuer_is_refused_with_its_key() -> None:
    assert code_of(make_query_token(), bundle=make_directory().with_member(HOME, suspended=True)) == (
        "organization_suspended"
    )


def test_a_suspended_issuer_is_refused_even_when_its_key_is_given_out() -> None:
    good = make_directory().with_member(HOME, suspended=True)
    lax = FakeDirectory(good.members, good.keys, gives_suspended_keys=True)
    assert code_of(make_query_token(), bundle=lax) == "organization_suspended"


# Order: with two things wrong, the earlier check speaks.


@pytest.mark.parametrize(
    ("first", "changes"),
    [
        ("token_network", {"net": "another-network", "cnf": {"jkt": fresh_id("x") + "A" * 21}}),
        ("token_presenter", {"cnf": {"jkt": fresh_id("x") + "A" * 21}, "qh": "A" * 43}),
        ("token_question_mismatch", {"qh": "A" * 43, "parts": {NORTH: "A" * 43, VITALIS: "A" * 43}}),
        (
            "token_part_mismatch",
            {
                "parts": {NORTH: "A" * 43, VITALIS: "A" * 43},
                "claims": {"affiliation": "x", "clearance": 1, "role": "x"},
            },
        ),
        ("token_audience", {"aud": [VITALIS], "exp": NOW - 500}),
        ("token_expired", {"exp": NOW - 500, "net": "another-network"}),
        ("token_lifetime", {"exp": NOW + 500, "net": "another-network"}),
        ("token_claim_invalid", {"scope": "x", "net": "another-network"}),
    ],
)
def test_the_checks_run_in_their_order(first: str, changes: dict[str, Json]) -> None:
    assert code_of(resigned(**changes)) == first


# Minting.


def test_the_limits_are_frozen() -> None:
    assert (LIFETIME_MAX_S, ORGANIZATIONS_MAX, QUERY_TOKEN_BYTES_MAX) == (120, 200, 49_152)


def organizations(count: int) -> dict[OrgId, bytes]:
    return {OrgId.parse(f"org-{number:036d}"): b"{}" for number in range(count)}


def test_as_many_organizations_as_allowed_fit_into_a_token_and_one_more_is_refused() -> None:
    token = make_query_token(parts=organizations(ORGANIZATIONS_MAX))
    assert len(token) <= QUERY_TOKEN_BYTES_MAX
    me = OrgId.parse(f"org-{7:036d}")
    assert verify(token, me=me, part=b"{}").audience == tuple(organizations(ORGANIZATIONS_MAX))
    with pytest.raises(ConcordatError) as caught:
        make_query_token(parts=organizations(ORGANIZATIONS_MAX + 1))
    assert caught.value.code == "audience_too_large"


def test_a_question_to_nobody_is_not_minted() -> None:
    with pytest.raises(ConcordatError) as caught:
        make_query_token(parts={})
    assert caught.value.code == "audience_too_large"


@pytest.mark.parametrize("lifetime_s", [0, -1, 121])
def test_a_lifetime_that_no_node_accepts_is_not_minted(lifetime_s: int) -> None:
    with pytest.raises(TokenRefused) as caught:
        make_query_token(lifetime_s=lifetime_s)
    assert caught.value.code == "token_lifetime"


# The coordinator and the archive.


def relayed(token: str, **changes: object) -> VerifiedToken:
    given_: dict[str, object] = {
        "bundle": make_directory(),
        "question": QUESTION,
        "parts": PARTS,
        "relay": RELAY_KEY,
        "now": NOW,
        **changes,
    }
    return verify_relayed_token(token, **given_)  # type: ignore[arg-type]  # the tests' own names


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"relay": SigningKey.from_seed(digest_of("other")).key_id}, "token_presenter"),
        ({"question": b"{}"}, "token_question_mismatch"),
        ({"parts": {NORTH: PARTS[NORTH], VITALIS: b"{}"}}, "token_part_mismatch"),
        ({"parts": {NORTH: PARTS[NORTH]}}, "token_audience"),
        ({"parts": {**PARTS, HOME: b"{}"}}, "token_audience"),
        ({"now": NOW + 150}, "token_expired"),
        ({"bundle": make_directory().with_member(HOME, suspended=True)}, "organization_suspended"),
        (
            {"bundle": make_directory().with_member(HOME, may_assert=FakeCaps(roles=frozenset()))},
            ("token_claim_not_allowed"),
        ),
    ],
)
def test_a_coordinator_checks_what_it_can_before_relaying(changes: dict[str, object], code: str) -> None:
    assert relayed(make_query_token()).audience == (NORTH, VITALIS)
    with pytest.raises(ConcordatError) as caught:
        relayed(make_query_token(), **changes)
    assert caught.value.code == code


def archived(token: str, **changes: object) -> VerifiedToken:
    given_: dict[str, object] = {"bundle": make_directory(), "question": QUESTION, "parts": PARTS, **changes}
    return verify_archived_token(token, **given_)  # type: ignore[arg-type]  # the tests' own names


def test_an_old_token_can_be_read_again_but_not_changed() -> None:
    assert archived(make_query_token()).token_id == fresh_id("token")
    cases: list[tuple[str, dict[str, object], str]] = [
        (make_query_token(), {"question": b"{}"}, "token_question_mismatch"),
        (make_query_token(), {"parts": {NORTH: PARTS[NORTH]}}, "token_audience"),
        (make_query_token(), {"parts": {NORTH: b"{}", VITALIS: b"{}"}}, "token_part_mismatch"),
        (resigned(net="another-network"), {}, "token_network"),
        (resigned(exp=NOW + 121), {}, "token_lifetime"),
        (
            make_query_token(claims=RequesterClaims("faculty", "researcher", Clearance.RESTRICTED)),
            {},
            ("token_claim_not_allowed"),
        ),
    ]
    for token, changes, code in cases:
        with pytest.raises(ConcordatError) as caught:
            archived(token, **changes)
        assert caught.value.code == code


# What a mutant of `query_token` would change and no test above would notice.


def test_a_token_of_one_second_is_minted_and_names_its_audience_in_order() -> None:
    token = make_query_token(parts={VITALIS: b"v", NORTH: b"n"}, lifetime_s=1)
    claims = jose.unverified_claims(token)
    assert (claims["exp"], claims["aud"]) == (NOW + 1, [NORTH, VITALIS])


def test_the_order_of_audience_and_parts_says_nothing() -> None:
    claims = changed(token_claims(), aud=[VITALIS, NORTH])
    header = canonical_bytes({"alg": "EdDSA", "kid": signing_key(HOME, "query_token").key_id, "typ": TYP})
    parts = token_claims()["parts"]
    assert isinstance(parts, dict)
    payload = json.dumps({**claims, "parts": dict(sorted(parts.items(), reverse=True))}).encode()
    head = f"{b64u(header)}.{b64u(payload)}"
    token = f"{head}.{b64u(signing_key(HOME, 'query_token').sign(head.encode()))}"
    assert verify(token).audience == (VITALIS, NORTH)


def test_one_organization_more_than_can_be_asked_is_refused_although_it_is_signed() -> None:
    many = organizations(ORGANIZATIONS_MAX + 1)
    digests: dict[str, Json] = {org: sha256_b64u(part) for org, part in many.items()}
    token = resigned(aud=list[Json](many), parts=digests)
    assert len(token) <= QUERY_TOKEN_BYTES_MAX
    assert code_of(token, me=next(iter(many)), part=b"{}") == "token_claim_invalid"


@pytest.mark.parametrize(
    ("name", "length_max"), [("affiliation", CLAIM_CHARS_MAX), ("role", CLAIM_CHARS_MAX), ("acr", ACR_CHARS_MAX)]
)
def test_a_claim_of_the_largest_size_is_read_and_one_longer_is_not(name: str, length_max: int) -> None:
    inner = token_claims()["claims"]
    assert isinstance(inner, dict)
    assert code_of(resigned(claims={**inner, name: "x" * length_max})) == "token_claim_not_allowed"
    assert code_of(resigned(claims={**inner, name: "x" * (length_max + 1)})) == "token_claim_invalid"


def test_an_acr_of_one_character_is_one() -> None:
    inner = token_claims()["claims"]
    assert isinstance(inner, dict)
    assert code_of(resigned(claims={**inner, "acr": "1"})) == "token_claim_not_allowed"
    assert code_of(resigned(claims={**inner, "acr": ""})) == "token_claim_invalid"


def test_the_sizes_of_claims_are_frozen() -> None:
    assert (CLAIM_CHARS_MAX, ACR_CHARS_MAX) == (64, 200)
