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
    IdTokenAcr,
    IdTokenAlgorithm,
    IdTokenAudience,
    IdTokenAuthTime,
    IdTokenIssuer,
    IdTokenKeyUnknown,
    IdTokenMalformed,
    IdTokenNonce,
    IdTokenSignatureInvalid,
    IdTokenTime,
)
from concordat_node.home.step_up import NO_STEP_UP, StepUp
from concordat_trust.query_token import ACR_CHARS_MAX

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

_ACR = re.compile(rf"[\x21-\x7e]{{1,{ACR_CHARS_MAX}}}")

Jwk = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Expected:
    """What the token must say."""

    issuer: str
    client_id: str
    nonce: str
    algorithm: str | None = None
    """The one algorithm; None: any of `ALGORITHMS`."""
    max_age_s: int | None = None
    """How long ago the person may have signed in at the provider, if it says when."""
    step_up: StepUp = NO_STEP_UP


def verify_id_token(token: str, *, keys: Iterable[Jwk], expected: Expected, now: int) -> Mapping[str, object]:
    """Return the claims of a token that answers this sign-in.

    Raises: IdTokenMalformed, IdTokenAlgorithm, IdTokenKeyUnknown, IdTokenSignatureInvalid, IdTokenIssuer,
    IdTokenAudience, IdTokenTime, IdTokenNonce, IdTokenAuthTime, IdTokenAcr; in this order.
    """
    claims = verified_claims(token, keys=keys, algorithm=expected.algorithm)
    _check_parties(claims, expected)
    _check_times(claims, now)
    if claims.get("nonce") != expected.nonce:
        raise IdTokenNonce
    check_subject(claims)
    _check_sign_in(claims, expected, now)
    return claims


def verified_claims(token: str, *, keys: Iterable[Jwk], algorithm: str | None) -> Mapping[str, object]:
    """Return the payload of a token that one of these keys signed; nothing of it is compared yet.

    Raises: IdTokenMalformed, IdTokenAlgorithm, IdTokenKeyUnknown, IdTokenSignatureInvalid.
    """
    found, key_id = _header(token)
    if algorithm not in (None, found):
        raise IdTokenAlgorithm
    return _verified_payload(token, found, _key(keys, found, key_id))


def check_subject(claims: Mapping[str, object]) -> None:
    """Raises: IdTokenMalformed."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LENGTH_MAX:
        raise IdTokenMalformed(field="sub")


def auth_time_of(claims: Mapping[str, object]) -> int | None:
    """Return when the person signed in at the provider; None when it does not say. Raises: IdTokenMalformed."""
    value = None if claims.get("auth_time") is None else time_of(claims, "auth_time")
    if value is not None and value < 0:
        raise IdTokenMalformed(field="auth_time")
    return value


def acr_of(claims: Mapping[str, object]) -> str | None:
    """Return how the person was recognised; None when the provider does not say. Raises: IdTokenMalformed."""
    value = claims.get("acr")
    if value is not None and (not isinstance(value, str) or not _ACR.fullmatch(value)):
        raise IdTokenMalformed(field="acr")
    return value


def _check_sign_in(claims: Mapping[str, object], expected: Expected, now: int) -> None:
    auth_time, step_up = auth_time_of(claims), expected.step_up
    if auth_time is not None and auth_time > now + LEEWAY_S:
        raise IdTokenAuthTime
    # OpenID Connect Core §3.1.3.7, 12 and 13. A provider that ignores max_age says nothing; a step-up needs its word.
    is_old = (
        auth_time is not None and expected.max_age_s is not None and now - auth_time > expected.max_age_s + AGE_MAX_S
    )
    if is_old or (step_up.since is not None and (auth_time is None or auth_time < step_up.since - LEEWAY_S)):
        raise IdTokenAuthTime
    if step_up.acr_values and acr_of(claims) not in step_up.acr_values:
        raise IdTokenAcr


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
    issued_at, expires_at = time_of(claims, "iat"), time_of(claims, "exp")
    if not issued_at - LEEWAY_S <= now < expires_at + LEEWAY_S or now - issued_at > AGE_MAX_S:
        raise IdTokenTime


def time_of(claims: Mapping[str, object], name: str) -> int:
    """Return a time of the token in seconds. Raises: IdTokenMalformed."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise IdTokenMalformed(field=name)
    return value
