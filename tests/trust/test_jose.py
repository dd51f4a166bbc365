"""The JOSE module: one algorithm, one header, one spelling, one code per check."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust import jose
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.directory import KeyUnknown, MemberUnknown, keys_for
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import ConcordatError, RefusedDocument
from concordat_trust.jwk import SigningKey, public_key_from_jwk
from concordat_trust.token_errors import TokenClaimInvalid, TokenClaimMissing, TokenMalformed, TokenRefused, translated
from tests.factories.tokens import (
    HOME,
    NORTH,
    NOW,
    PROPERTY,
    changed,
    flipped,
    fresh_id,
    make_directory,
    signing_key,
    without,
)

TYP = "concordat-test+jwt"
KEY = signing_key(HOME, "query_token")
HEADER: JsonObject = {"alg": "EdDSA", "kid": KEY.key_id, "typ": TYP}
CLAIMS: JsonObject = {
    "iss": HOME,
    "aud": [NORTH],
    "iat": NOW,
    "exp": NOW + 60,
    "jti": fresh_id("jose"),
    "x": "value",
}


def compact(header: bytes, payload: bytes, key: SigningKey = KEY) -> str:
    head = f"{b64u(header)}.{b64u(payload)}"
    return f"{head}.{b64u(key.sign(head.encode()))}"


def with_header(header: JsonObject, claims: JsonObject = CLAIMS) -> str:
    return compact(canonical_bytes(header), canonical_bytes(claims))


def verify(
    token: str,
    *,
    now: int | None = NOW,
    lifetime_max_s: int | None = 120,
    audience: str | None = NORTH,
    bytes_max: int = jose.TOKEN_BYTES_MAX,
) -> JsonObject:
    return jose.verify(
        token,
        typ=TYP,
        resolve=keys_for(make_directory(), "query_token"),
        now=now,
        leeway_s=30,
        lifetime_max_s=lifetime_max_s,
        required=("jti", "x"),
        audience=audience,
        bytes_max=bytes_max,
    )


def code_of(token: str, **changes: object) -> str:
    with pytest.raises(ConcordatError) as caught:
        verify(token, **changes)  # type: ignore[arg-type]  # the tests' own names
    return caught.value.code


def resigned(**members: object) -> str:
    return jose.sign({**CLAIMS, **members}, key=KEY, typ=TYP)  # type: ignore[dict-item]  # wrong types on purpose


def test_a_good_token_gives_its_claims() -> None:
    assert verify(jose.sign(CLAIMS, key=KEY, typ=TYP)) == CLAIMS


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@PROPERTY
@given(extra=st.dictionaries(texts, values, max_size=5))
def test_every_claim_comes_back_as_it_was_signed(extra: dict[str, JsonObject]) -> None:
    claims: JsonObject = {**extra, **CLAIMS}
    assert verify(jose.sign(claims, key=KEY, typ=TYP)) == claims


@PROPERTY
@given(position=st.integers(0, 10_000), mask=st.integers(1, 127))
def test_a_token_with_any_byte_changed_is_refused_by_our_own_errors(position: int, mask: int) -> None:
    token = jose.sign(CLAIMS, key=KEY, typ=TYP)
    with pytest.raises(TokenRefused):
        verify(flipped(token, position, mask))


@PROPERTY
@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{0,90}"))
def test_whatever_is_sent_instead_of_a_token_is_refused_by_our_own_errors(token: str) -> None:
    with pytest.raises(TokenRefused):
        verify(token)


@PROPERTY
@given(payload=st.binary(max_size=60))
def test_any_signed_bytes_that_are_not_claims_are_refused_by_our_own_errors(payload: bytes) -> None:
    with pytest.raises(TokenRefused):
        verify(compact(canonical_bytes(HEADER), payload))


# RFC 8037 appendix A.4: the key, the signing input and its one signature.
RFC_KEY = SigningKey.from_seed(unb64u("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))
RFC_INPUT = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
RFC_SIGNATURE = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"


def test_the_signature_of_rfc_8037_is_reproduced_and_believed() -> None:
    assert b64u(RFC_KEY.sign(RFC_INPUT.encode())) == RFC_SIGNATURE
    key = public_key_from_jwk({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    jose._check_signature(f"{RFC_INPUT}.{RFC_SIGNATURE}", key)


def test_the_token_of_rfc_8037_itself_is_none_of_ours() -> None:
    assert code_of(f"{RFC_INPUT}.{RFC_SIGNATURE}") == "token_malformed"  # its payload is a sentence


def test_a_signature_with_s_beyond_the_group_order_is_refused() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    head, body, signature = jose.sign(CLAIMS, key=KEY, typ=TYP).split(".")
    raw = unb64u(signature)
    malleated = raw[:32] + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    assert code_of(f"{head}.{body}.{b64u(malleated)}") == "token_signature_invalid"


def test_a_signature_of_another_length_is_refused() -> None:
    head, body, signature = jose.sign(CLAIMS, key=KEY, typ=TYP).split(".")
    assert code_of(f"{head}.{body}.{b64u(unb64u(signature)[:63])}") == "token_signature_invalid"


# Form.


def test_a_token_of_the_largest_size_is_read_and_one_longer_is_not() -> None:
    token = jose.sign(CLAIMS, key=KEY, typ=TYP)
    assert verify(token, bytes_max=len(token)) == CLAIMS
    assert code_of(token, bytes_max=len(token) - 1) == "token_too_large"


@pytest.mark.parametrize("change", ["{}=", "{}\n", " {}", "{}.", "{}.e30", "Bearer {}", "é{}"])
def test_a_token_has_exactly_three_parts_of_base64url(change: str) -> None:
    assert code_of(change.format(jose.sign(CLAIMS, key=KEY, typ=TYP))) == "token_malformed"


def test_a_second_spelling_of_the_signature_is_refused() -> None:
    # Wycheproof JWS #367/#370: 64 bytes leave four unused bits in the last character, which pyjwt ignores.
    token = jose.sign(CLAIMS, key=KEY, typ=TYP)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
    assert base64.urlsafe_b64decode(twin.split(".")[2] + "==") == unb64u(token.split(".")[2])
    assert code_of(twin) == "token_malformed"


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        (b'{"alg":"EdDSA","alg":"EdDSA"}', b"{}"),
        (b"[]", b"{}"),
        (b"\xff", b"{}"),
        (b"{" + b'"a":' * 9, b"{}"),
    ],
)
def test_a_header_with_more_than_one_reading_is_refused(header: bytes, payload: bytes) -> None:
    assert code_of(compact(header, payload)) == "token_malformed"


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (canonical_bytes(CLAIMS)[:-1] + b',"x":"other"}', "json_duplicate_key"),
        (canonical_bytes(CLAIMS)[:-1] + b',"y":1.5}', "number_not_canonical"),
        (canonical_bytes(CLAIMS)[:-1] + b',"y":NaN}', "number_not_canonical"),
        (canonical_bytes(CLAIMS) + b"{}", "json_malformed"),
        (b"[" * 40 + b"]" * 40, "json_too_deep"),
        (b"[]", "json_malformed"),
    ],
)
def test_claims_with_more_than_one_reading_are_refused(payload: bytes, problem: str) -> None:
    with pytest.raises(TokenMalformed) as caught:
        verify(compact(canonical_bytes(HEADER), payload))
    assert (caught.value.code, caught.value.fields["problem"]) == ("token_malformed", problem)


def test_a_header_of_the_largest_size_is_read_and_one_byte_more_is_not() -> None:
    room = jose.HEADER_BYTES_MAX - len(canonical_bytes({**HEADER, "typ": ""}))
    assert code_of(with_header({**HEADER, "typ": "x" * room})) == "token_wrong_type"
    assert code_of(with_header({**HEADER, "typ": "x" * (room + 1)})) == "token_malformed"


def test_the_limits_are_frozen() -> None:
    assert (jose.TOKEN_BYTES_MAX, jose.HEADER_BYTES_MAX, jose.LEEWAY_S) == (16_384, 512, 30)


# Header.


@pytest.mark.parametrize("name", ["jku", "x5u", "x5c", "jwk", "crit", "x5t", "b64", "cty", "zip"])
def test_a_header_with_anything_beyond_alg_typ_kid_is_refused(name: str) -> None:
    assert code_of(with_header({**HEADER, name: "https://evil.example.org/keys"})) == "token_header_invalid"


@pytest.mark.parametrize("name", ["alg", "typ", "kid"])
def test_a_header_without_one_of_alg_typ_kid_is_refused(name: str) -> None:
    assert code_of(with_header(without(HEADER, name))) == "token_header_invalid"


@pytest.mark.parametrize("change", [{"typ": 1}, {"kid": 1}, {"kid": "short"}, {"kid": "../../etc/passwd"}])
def test_a_header_with_a_wrong_type_is_refused(change: JsonObject) -> None:
    assert code_of(with_header({**HEADER, **change})) == "token_header_invalid"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "eddsa", "Ed25519", "ES256", "RS256", "PS256", "", None, 1])
def test_no_other_algorithm_exists(alg: str | int | None) -> None:
    assert code_of(with_header({**HEADER, "alg": alg})) == "token_algorithm"


def hmac_token(secret: bytes, alg: str) -> str:
    head = f"{b64u(canonical_bytes({**HEADER, 'alg': alg}))}.{b64u(canonical_bytes(CLAIMS))}"
    return f"{head}.{b64u(hmac.new(secret, head.encode(), hashlib.sha256).digest())}"


SECRETS: Mapping[str, bytes] = {
    "raw": KEY.public_key.public_bytes(Encoding.Raw, PublicFormat.Raw),
    "pem": KEY.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "jwk": json.dumps(KEY.public_jwk).encode(),
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("alg", ["HS256", "EdDSA"])
def test_a_public_key_is_never_a_shared_secret(secret: str, alg: str) -> None:
    # CVE-2022-29217 and CVE-2026-48526: a public key, as PEM or JWK, taken for an HMAC secret.
    expected = {"HS256": "token_algorithm", "EdDSA": "token_signature_invalid"}[alg]
    assert code_of(hmac_token(SECRETS[secret], alg)) == expected


@pytest.mark.parametrize("alg", ["HS256", "none"])
def test_the_library_underneath_knows_no_other_algorithm_either(alg: str) -> None:
    signature = hmac_token(SECRETS["raw"], "HS256") if alg == "HS256" else with_header({**HEADER, "alg": alg})
    with pytest.raises(TokenRefused):
        jose._check_signature(signature, KEY.public_key)
    assert jose._JWS.get_algorithms() == ["EdDSA"]


def test_another_kind_of_token_is_refused() -> None:
    assert code_of(jose.sign(CLAIMS, key=KEY, typ="JWT")) == "token_wrong_type"


# Key and signature.


def test_an_issuer_outside_the_network_is_refused() -> None:
    assert code_of(resigned(iss="unknown-clinic")) == "token_issuer_unknown"


def test_an_issuer_that_is_no_organization_id_is_refused() -> None:
    assert code_of(resigned(iss="https://alma.example.org")) == "token_issuer_unknown"


@pytest.mark.parametrize("issuer", [None, 7, ["alma-university"]])
def test_an_issuer_of_another_type_is_refused(issuer: object) -> None:
    assert code_of(resigned(iss=issuer)) == "token_claim_missing"


def test_a_key_that_the_bundle_does_not_list_is_refused() -> None:
    assert code_of(jose.sign(CLAIMS, key=SigningKey.from_seed(bytes(32)), typ=TYP)) == "token_key_unknown"


def test_a_key_of_the_same_organization_for_another_use_is_refused() -> None:
    assert code_of(jose.sign(CLAIMS, key=signing_key(HOME, "attestation"), typ=TYP)) == "token_key_unknown"


def test_a_key_of_another_organization_is_refused() -> None:
    assert code_of(jose.sign(CLAIMS, key=signing_key(NORTH, "query_token"), typ=TYP)) == "token_key_unknown"


def test_a_signature_by_another_key_under_a_listed_id_is_refused() -> None:
    forged = compact(canonical_bytes(HEADER), canonical_bytes(CLAIMS), SigningKey.from_seed(bytes(32)))
    assert code_of(forged) == "token_signature_invalid"


def test_claims_are_not_read_before_the_signature_is_believed() -> None:
    forged = compact(canonical_bytes(HEADER), canonical_bytes({"iss": HOME}), SigningKey.from_seed(bytes(32)))
    assert code_of(forged) == "token_signature_invalid"


def test_the_key_is_looked_up_by_issuer_use_and_key_id() -> None:
    directory = make_directory()
    jose.verify(
        jose.sign(CLAIMS, key=KEY, typ=TYP),
        typ=TYP,
        resolve=keys_for(directory, "query_token"),
        now=NOW,
        leeway_s=30,
        lifetime_max_s=120,
        required=(),
        audience=NORTH,
    )
    assert directory.asked == [(HOME, "query_token", KEY.key_id)]


@pytest.mark.parametrize(("leaf", "code"), [(KeyUnknown, "token_key_unknown"), (MemberUnknown, "token_issuer_unknown")])
def test_what_the_directory_does_not_know_is_a_refused_token(leaf: type[RefusedDocument], code: str) -> None:
    def resolve(_: str, __: str) -> Ed25519PublicKey:
        raise leaf

    with pytest.raises(TokenRefused) as caught:
        jose.verify(
            jose.sign(CLAIMS, key=KEY, typ=TYP),
            typ=TYP,
            resolve=resolve,
            now=NOW,
            leeway_s=30,
            lifetime_max_s=120,
            required=(),
            audience=NORTH,
        )
    assert caught.value.code == code


# Claims.


@pytest.mark.parametrize("name", ["iat", "exp", "jti", "x", "iss"])
def test_a_token_without_a_required_claim_is_refused(name: str) -> None:
    assert code_of(jose.sign(without(CLAIMS, name), key=KEY, typ=TYP)) == "token_claim_missing"


@pytest.mark.parametrize("name", ["iat", "exp"])
@pytest.mark.parametrize("value", [None, "1800000000", True, -1, [NOW]])
def test_a_time_that_is_not_a_time_is_refused(name: str, value: object) -> None:
    assert code_of(resigned(**{name: value})) == "token_claim_invalid"


@pytest.mark.parametrize("value", [None, 5, "short", "x" * 87, "é" * 30])
def test_a_token_id_without_enough_randomness_is_refused(value: object) -> None:
    assert code_of(resigned(jti=value)) == "token_claim_invalid"


@pytest.mark.parametrize("value", [None, 5, {"north": 1}, [1], [NORTH] * 257, ["x" * 257]])
def test_an_audience_that_is_no_list_of_names_is_refused(value: object) -> None:
    assert code_of(resigned(aud=value)) == "token_claim_invalid"


def test_an_audience_of_the_largest_size_is_read() -> None:
    assert verify(resigned(aud=[NORTH, *["x" * 256] * 39]), bytes_max=65_536)
    assert len(jose.audience_of({"aud": [NORTH] * 256})) == 256


def test_a_token_for_somebody_else_is_refused() -> None:
    assert code_of(resigned(aud=["vitalis"])) == "token_audience"
    assert code_of(resigned(aud=[])) == "token_audience"
    assert code_of(jose.sign(without(CLAIMS, "aud"), key=KEY, typ=TYP)) == "token_audience"


def test_an_audience_is_never_compared_by_a_part_of_its_name() -> None:
    assert code_of(resigned(aud=f"{NORTH}-annex")) == "token_audience"


def test_one_name_stands_for_a_list_of_one() -> None:
    assert verify(resigned(aud=NORTH))


def test_who_compares_the_audience_itself_says_so() -> None:
    assert verify(resigned(aud=["vitalis"]), audience=None)


# Times: accepted at the limit, refused one past it.


def test_a_token_is_expired_from_its_expiry_plus_leeway_on() -> None:
    token = resigned()
    assert verify(token, now=NOW + 60 + 29)
    assert code_of(token, now=NOW + 60 + 30) == "token_expired"


def test_a_token_from_the_future_is_refused_beyond_the_leeway() -> None:
    assert verify(resigned(), now=NOW - 30)
    assert code_of(resigned(), now=NOW - 31) == "token_not_yet_valid"


def test_a_token_that_lives_too_long_is_refused() -> None:
    assert verify(resigned(exp=NOW + 120))
    assert code_of(resigned(exp=NOW + 121)) == "token_lifetime"


@pytest.mark.parametrize("exp", [NOW, NOW - 1])
def test_a_token_that_ends_before_it_begins_is_refused(exp: int) -> None:
    assert code_of(resigned(exp=exp)) == "token_lifetime"


def test_without_a_clock_only_the_lifetime_is_checked() -> None:
    assert verify(resigned(), now=None)
    assert code_of(resigned(exp=NOW + 121), now=None) == "token_lifetime"


def test_a_kind_without_lifetime_has_no_expiry() -> None:
    assert code_of(resigned(), lifetime_max_s=None) == "token_claim_invalid"
    assert verify(jose.sign(without(CLAIMS, "exp"), key=KEY, typ=TYP), lifetime_max_s=None)


def test_a_kind_without_lifetime_still_cannot_come_from_the_future() -> None:
    timeless = jose.sign(without(CLAIMS, "exp"), key=KEY, typ=TYP)
    assert code_of(timeless, lifetime_max_s=None, now=NOW - 31) == "token_not_yet_valid"


# Reading without believing.


def test_the_claimed_issue_time_is_read_from_well_formed_tokens_only() -> None:
    assert jose.claimed_issue_time(resigned()) == NOW
    with pytest.raises(TokenMalformed):
        jose.claimed_issue_time("not a token")
    with pytest.raises(TokenClaimMissing):
        jose.claimed_issue_time(jose.sign(without(CLAIMS, "iat"), key=KEY, typ=TYP))
    with pytest.raises(TokenClaimInvalid):
        jose.claimed_issue_time(resigned(iat="soon"))
    with pytest.raises(TokenMalformed):
        jose.claimed_issue_time(resigned(), bytes_max=50)


def test_signing_is_deterministic_and_independent_of_the_order_of_claims() -> None:
    backwards = dict(reversed(list(CLAIMS.items())))
    assert jose.sign(backwards, key=KEY, typ=TYP) == jose.sign(CLAIMS, key=KEY, typ=TYP)


def test_a_float_cannot_be_signed() -> None:
    with pytest.raises(RefusedDocument):
        jose.sign(changed(CLAIMS, x=1.5), key=KEY, typ=TYP)  # type: ignore[arg-type]  # a float on purpose


def test_a_translation_without_an_entry_for_the_family_is_a_bug() -> None:
    with pytest.raises(RuntimeError):
        translated(TokenMalformed(problem="form"), {})


def test_nothing_else_imports_the_library_underneath() -> None:
    files = Path(jose.__file__).parent.rglob("*.py")
    assert [path.name for path in files if re.search(r"^\s*(from|import) jwt\b", path.read_text(), re.MULTILINE)] == [
        "jose.py"
    ]


# What a mutant of `jose` would change and no test above would notice.


def test_a_caller_that_compares_the_audience_itself_still_gets_one_of_the_right_form() -> None:
    assert code_of(resigned(aud=5), audience=None) == "token_claim_invalid"


def test_the_form_of_the_issue_time_is_told_before_the_audience() -> None:
    assert code_of(resigned(iat=-1, aud=["vitalis"])) == "token_claim_invalid"


def test_a_kind_of_token_without_an_id_needs_none() -> None:
    claims = without(CLAIMS, "jti")
    assert (
        jose.verify(
            jose.sign(claims, key=KEY, typ=TYP),
            typ=TYP,
            resolve=keys_for(make_directory(), "query_token"),
            now=NOW,
            leeway_s=30,
            lifetime_max_s=120,
            required=(),
            audience=NORTH,
        )
        == claims
    )


def test_a_key_id_is_exactly_a_thumbprint() -> None:
    assert code_of(with_header({**HEADER, "kid": KEY.key_id + "A"})) == "token_header_invalid"


def test_the_first_second_of_1970_is_a_time_and_one_second_a_lifetime() -> None:
    assert verify(resigned(iat=0, exp=1), now=0)["exp"] == 1


def test_a_key_id_is_told_unverified() -> None:
    assert jose.unverified_key_id(jose.sign(CLAIMS, key=KEY, typ=TYP)) == KEY.key_id
