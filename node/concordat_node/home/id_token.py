"""Verifying the ID token of the organization's own identity provider (OpenID Connect Core §3.1.3.7).

Rules of this file:

* This is the only place where an algorithm other than EdDSA is accepted, because providers sign with RS256 or ES256.
  HS* and none do not exist: the public key set can never become a shared secret.
* The key comes from the provider's key set under the exact key id, must be of the algorithm's type, and must not be
  declared for anything but signatures (pyjwt does not look at `use` and `key_ops`).
* Every claim is checked here, against the injected clock, each with its own code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from concordat_node.home.errors import (
    IdTokenAlgorithm,
    IdTokenAudience,
    IdTokenIssuer,
    IdTokenKeyUnknown,
    IdTokenMalformed,
    IdTokenNonce,
    IdTokenSignatureInvalid,
    IdTokenTime,
)

ALGORITHMS: Mapping[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Algorithm → key type and curve."""
TOKEN_CHARACTERS_MAX = 16_384
SUBJECT_LENGTH_MAX = 255
LEEWAY_S = 30
AGE_MAX_S = 600
RSA_BITS_MIN = 2_048
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

Jwk = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Expected:
    """What the token must say."""

    issuer: str
    client_id: str
    nonce: str


def verify_id_token(token: str, *, keys: Iterable[Jwk], expected: Expected, now: int) -> Mapping[str, object]:
    """Return the claims of a token that answers this sign-in.

    Raises: IdTokenMalformed, IdTokenAlgorithm, IdTokenKeyUnknown, IdTokenSignatureInvalid, IdTokenIssuer,
    IdTokenAudience, IdTokenTime, IdTokenNonce; in this order.
    """
    algorithm, key_id = _header(token)
    claims = _verified_payload(token, algorithm, _key(keys, algorithm, key_id))
    _check_parties(claims, expected)
    _check_times(claims, now)
    if claims.get("nonce") != expected.nonce:
        raise IdTokenNonce
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LENGTH_MAX:
        raise IdTokenMalformed(field="sub")
    return claims


def key_id_of(token: str) -> str | None:
    """Return the key id the token names, unverified, only to decide whether the key set must be read again."""
    return _header(token)[1]


def _header(token: str) -> tuple[str, str | None]:
    if len(token) > TOKEN_CHARACTERS_MAX or not _COMPACT.fullmatch(token):
        # A token without a signature part is what "alg": "none" looks like.
        raise IdTokenAlgorithm if token.endswith(".") else IdTokenMalformed(field="form")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise IdTokenMalformed(field="header") from error
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise IdTokenAlgorithm
    return algorithm, key_id if isinstance(key_id, str) else None


def _key(keys: Iterable[Jwk], algorithm: str, key_id: str | None) -> jwt.PyJWK:
    key_type, curve = ALGORITHMS[algorithm]
    for jwk in keys:
        fits = jwk.get("kid") == key_id and jwk.get("kty") == key_type and jwk.get("crv") == curve
        if fits and jwk.get("alg") in (None, algorithm) and _is_for_signatures(jwk):
            return _imported(jwk, algorithm)
    raise IdTokenKeyUnknown


def _is_for_signatures(jwk: Jwk) -> bool:
    operations = jwk.get("key_ops")
    return jwk.get("use") in (None, "sig") and (
        operations is None or (isinstance(operations, list) and "verify" in operations)
    )


def _imported(jwk: Jwk, algorithm: str) -> jwt.PyJWK:
    try:
        key = jwt.PyJWK.from_dict(dict(jwk), algorithm=algorithm)
    except jwt.PyJWTError as error:
        raise IdTokenKeyUnknown from error
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < RSA_BITS_MIN:
        raise IdTokenKeyUnknown
    return key


def _verified_payload(token: str, algorithm: str, key: jwt.PyJWK) -> dict[str, object]:
    try:
        payload: bytes = jwt.PyJWS().decode_complete(token, key, algorithms=[algorithm])["payload"]
    except jwt.InvalidTokenError as error:
        raise IdTokenSignatureInvalid from error
    try:
        claims = json.loads(payload.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise IdTokenMalformed(field="payload") from error
    if not isinstance(claims, dict):
        raise IdTokenMalformed(field="payload")
    return claims


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise IdTokenMalformed(field="payload")
    return result


def _check_parties(claims: Mapping[str, object], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise IdTokenIssuer
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in audiences:
        raise IdTokenAudience
    party = claims.get("azp")
    # A token for several audiences must name us as the party it was issued to (OIDC Core §3.1.3.7, 4 and 5).
    if party != expected.client_id and (party is not None or len(audiences) > 1):
        raise IdTokenAudience


def _check_times(claims: Mapping[str, object], now: int) -> None:
    issued_at, expires_at = _time(claims, "iat"), _time(claims, "exp")
    if not issued_at - LEEWAY_S <= now < expires_at + LEEWAY_S or now - issued_at > AGE_MAX_S:
        raise IdTokenTime


def _time(claims: Mapping[str, object], name: str) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise IdTokenMalformed(field=name)
    return value
