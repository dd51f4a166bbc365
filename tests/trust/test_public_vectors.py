"""Vectors that others published: RFC 8037, 7515, 7520, 8785 and 9421, as data in tests/vectors with their source."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import load_der_public_key

from concordat_trust import jose
from concordat_trust.canonical import canonical_bytes, parse_json
from concordat_trust.directory import request_keys
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import ConcordatError
from concordat_trust.jwk import SigningKey
from concordat_trust.request_signature import sign_request, signature_base, verify_request
from concordat_trust.token_errors import TokenMalformed
from tests.factories.tokens import NOW, RELAY, fresh_id, make_directory, make_message, signing_key

FOLDER = Path(__file__).parents[1] / "vectors"


def vectors(name: str) -> Any:
    found = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    assert found["source"].startswith("RFC "), "vectors name where they come from"
    return found


JCS, JOSE, SIGNATURES = vectors("rfc8785"), vectors("jose"), vectors("rfc9421")


# RFC 8785.


@pytest.mark.parametrize("vector", JCS["vectors"], ids=lambda vector: str(vector["name"]))
def test_the_canonical_form_of_rfc_8785_is_ours_or_refused(vector: dict[str, str | None]) -> None:
    data, canonical = bytes.fromhex(str(vector["input_hex"])), bytes.fromhex(str(vector["canonical_hex"]))
    try:
        found: bytes | str = canonical_bytes(parse_json(data, bytes_max=10_000))
    except ConcordatError as error:
        found = error.code
    assert found == (vector["refused_here"] or canonical)


def test_most_vectors_of_rfc_8785_have_our_form() -> None:
    assert [vector["name"] for vector in JCS["vectors"] if vector["refused_here"]] == ["structures", "values"]


# RFC 8037.


def test_the_key_signature_and_thumbprint_of_rfc_8037_are_reproduced() -> None:
    published = JOSE["ed25519"]
    key = SigningKey.from_seed(unb64u(published["seed"]))
    assert key.public_jwk["x"] == published["x"]
    assert key.key_id == published["thumbprint"]
    assert b64u(key.sign(published["signing_input"].encode())) == published["signature"]
    jose._check_signature(f"{published['signing_input']}.{published['signature']}", key.public_key)


# RFC 7515 and 7520: all good JWS of others, none of ours.


def code_of(token: str) -> str:
    with pytest.raises(TokenMalformed) as caught:
        jose.verify(
            token,
            typ="JWT",
            resolve=lambda issuer, key_id: pytest.fail("a foreign token reached the keys"),
            now=1_300_000_000,
            leeway_s=30,
            lifetime_max_s=None,
            required=(),
            audience=None,
        )
    return caught.value.code


@pytest.mark.parametrize("vector", JOSE["foreign"], ids=lambda vector: str(vector["name"]))
def test_no_token_of_rfc_7515_or_7520_is_one_of_ours(vector: dict[str, str]) -> None:
    assert code_of(vector["text"]) in ("token_malformed", "token_header_invalid", "token_algorithm")


@pytest.mark.parametrize("algorithm", ["HS256", "none", "RS256", "PS384", "ES512", "ES256"])
def test_a_foreign_algorithm_is_refused_in_our_own_header(algorithm: str) -> None:
    header = canonical_bytes({"alg": algorithm, "kid": JOSE["ed25519"]["thumbprint"], "typ": "JWT"})
    payload, signature = JOSE["foreign"][0]["text"].split(".")[1:]
    assert code_of(f"{b64u(header)}.{payload}.{signature}") == "token_algorithm"


# RFC 9421.


def base_of(vector: dict[str, Any]) -> bytes:
    return signature_base([(name, value) for name, value in vector["components"]], vector["parameters"])


@pytest.mark.parametrize("vector", SIGNATURES["vectors"], ids=lambda vector: str(vector["name"]))
def test_the_signature_base_of_rfc_9421_is_the_one_that_was_signed(vector: dict[str, Any]) -> None:
    base, signature, keys = base_of(vector), base64.b64decode(vector["signature"]), SIGNATURES["keys"]
    if vector["algorithm"] == "ed25519":
        key = SigningKey.from_seed(unb64u(keys["ed25519_seed"]))
        assert (key.public_jwk["x"], key.sign(base)) == (keys["ed25519_x"], signature)
    elif vector["algorithm"] == "hmac-sha256":
        assert hmac.new(base64.b64decode(keys["hmac_secret"]), base, hashlib.sha256).digest() == signature
    else:
        public = load_der_public_key(base64.b64decode(keys["rsa_pss_spki"]))
        assert isinstance(public, RSAPublicKey)
        public.verify(signature, base, padding.PSS(padding.MGF1(SHA512()), 64), SHA512())


def test_the_signature_base_of_b_2_6_is_byte_for_byte_the_published_one() -> None:
    vector = next(vector for vector in SIGNATURES["vectors"] if vector["name"] == "B.2.6")
    assert base_of(vector) == (
        b'"date": Tue, 20 Apr 2021 02:07:55 GMT\n"@method": POST\n"@path": /foo\n"@authority": example.com\n'
        b'"content-type": application/json\n"content-length": 18\n"@signature-params": ("date" "@method" "@path" '
        b'"@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"'
    )


@pytest.mark.parametrize("vector", SIGNATURES["vectors"], ids=lambda vector: str(vector["name"]))
def test_a_good_signature_over_other_components_than_ours_is_refused(vector: dict[str, Any]) -> None:
    # The note's trap: a library believed a signature that covers only @method. Ours covers what the profile says.
    message = make_message()
    good = sign_request(message, key=signing_key(RELAY, "request"), created=NOW, nonce=fresh_id("nonce"))
    covered, _, _ = vector["parameters"].partition(")")
    ours = good["signature-input"].partition(")")[2]
    headers = {**good, "signature-input": f"concordat={covered}){ours}"}
    with pytest.raises(ConcordatError) as caught:
        verify_request(message, headers, resolve_key=request_keys(make_directory()), now=NOW)
    assert caught.value.code == "request_signature_components"
