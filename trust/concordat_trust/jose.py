"""The one place where a compact JWS of the network is made or believed.

Rules of this file:

* One algorithm, EdDSA over Ed25519 (RFC 8037). HS*, none, RS* and ES* cannot be reached: the header must name EdDSA,
  the verifier knows no other, and a key is an `Ed25519PublicKey`, never a text.
* The header is exactly {alg, typ, kid}. `jku`, `x5u`, `x5c`, `jwk`, `crit` and anything else are refused: keys come
  from the trust bundle, and each kind of token has its own `typ` (RFC 8725 §3.11).
* A token has one spelling: canonical base64url, JSON without duplicate keys, within a named size.
* The checks run in the order of `verify`; each has its own code (`token_errors`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.directory import KeyUnknown, MemberUnknown
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId, OrganizationIdInvalid
from concordat_trust.jwk import Signer
from concordat_trust.patterns import DIGEST, FRESH_ID
from concordat_trust.token_errors import (
    TokenAlgorithm,
    TokenAudience,
    TokenClaimInvalid,
    TokenClaimMissing,
    TokenExpired,
    TokenHeaderInvalid,
    TokenIssuerUnknown,
    TokenKeyUnknown,
    TokenLifetime,
    TokenMalformed,
    TokenNotYetValid,
    TokenSignatureInvalid,
    TokenTooLarge,
    TokenWrongType,
)

__all__ = [
    "Resolve",
    "Signer",
    "audience_of",
    "claimed_issue_time",
    "sign",
    "unverified_claims",
    "unverified_key_id",
    "verify",
]

ALGORITHM = "EdDSA"
LEEWAY_S = 30
TOKEN_BYTES_MAX = 16_384
HEADER_BYTES_MAX = 512
AUDIENCE_MAX = 256
AUDIENCE_TEXT_MAX = 256

Resolve = Callable[[str, str], Ed25519PublicKey]

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HEADER = {"alg", "typ", "kid"}
_JWS = PyJWS(algorithms=[ALGORITHM])


def sign(claims: JsonObject, *, key: Signer, typ: str) -> str:
    """Return the compact JWS over the canonical form of `claims` (RFC 7515 §7.1)."""
    key_id = key.key_id
    header: JsonObject = {"alg": ALGORITHM, "kid": key_id, "typ": typ}
    signed = f"{b64u(canonical_bytes(header))}.{b64u(canonical_bytes(claims))}"
    token = f"{signed}.{b64u(key.sign(signed.encode('ascii')))}"
    # A key that follows its file may have been exchanged between its id and its signature.
    return token if key.key_id == key_id else sign(claims, key=key, typ=typ)


def verify(
    token: str,
    *,
    typ: str,
    resolve: Resolve,
    now: int | None,
    leeway_s: int,
    lifetime_max_s: int | None,
    required: Iterable[str],
    audience: str | None,
    bytes_max: int = TOKEN_BYTES_MAX,
) -> JsonObject:
    """Return the claims of a token that passes every check, in this order.

    1 size, spelling, JSON, header, algorithm · 2 typ · 3 key of (iss, kid) · 4 signature · 5 required claims ·
    6 audience · 7 expiry · 8 issue time · 9 lifetime. `iss` and `iat` are always required. What the caller does:
    every claim beyond these, and single use.

    `now` None skips 7 and 8, for a document that is checked at its own issue time; `lifetime_max_s` None says that this
    kind has no expiry, and then `exp` is refused; `audience` None says that the caller compares `aud`.

    Raises: leaves of TokenRefused; what `resolve` raises beyond unknown issuers and keys (OrganizationSuspended).
    """
    parts = _read(token, bytes_max)
    if parts.typ != typ:
        raise TokenWrongType(typ=typ)
    _check_signature(token, _key(parts, resolve))
    claims = parts.claims
    for claim in ("iat", *required):
        if claim not in claims:
            raise TokenClaimMissing(claim=claim)
    _check_form(claims, lifetime_max_s)
    if audience is not None and audience not in audience_of(claims):
        raise TokenAudience
    _check_times(claims, now=now, leeway_s=leeway_s, lifetime_max_s=lifetime_max_s)
    return claims


def unverified_claims(token: str, *, bytes_max: int = TOKEN_BYTES_MAX) -> JsonObject:
    """Return what a well-formed token claims, NOT VERIFIED: nothing may be decided by it.

    Raises: TokenMalformed and its subclasses.
    """
    return _read(token, bytes_max).claims


def unverified_key_id(token: str, *, bytes_max: int = TOKEN_BYTES_MAX) -> KeyId:
    """Return the key that a well-formed token names, NOT VERIFIED unless somebody has verified the token.

    Raises: TokenMalformed and its subclasses.
    """
    return _read(token, bytes_max).key_id


def claimed_issue_time(token: str, *, bytes_max: int = TOKEN_BYTES_MAX) -> int:
    """Return the `iat` that a token claims, NOT VERIFIED: good only for choosing the bundle to verify it against.

    Raises: TokenMalformed and its subclasses.
    """
    claims = unverified_claims(token, bytes_max=bytes_max)
    if "iat" not in claims:
        raise TokenClaimMissing(claim="iat")
    return _time(claims, "iat")


def audience_of(claims: JsonObject) -> tuple[str, ...]:
    """Return `aud` as a tuple; a text stands for a list of one (RFC 7519 §4.1.3). Raises: TokenClaimInvalid."""
    value = claims.get("aud", [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or len(values) > AUDIENCE_MAX:
        raise TokenClaimInvalid(claim="aud")
    texts = tuple(item for item in values if isinstance(item, str) and len(item) <= AUDIENCE_TEXT_MAX)
    if len(texts) != len(values):
        raise TokenClaimInvalid(claim="aud")
    return texts


@dataclass(frozen=True, slots=True)
class _Parts:
    """A token that is well-formed and nothing more."""

    typ: str
    key_id: str
    issuer: str
    claims: JsonObject


def _read(token: str, bytes_max: int) -> _Parts:
    if len(token) > bytes_max:
        raise TokenTooLarge(size=len(token), bytes_max=bytes_max)
    if not _COMPACT.fullmatch(token):
        raise TokenMalformed(problem="form")
    try:
        head, body, _ = (unb64u(segment) for segment in token.split("."))
        header = parse_object(head, bytes_max=HEADER_BYTES_MAX)
        claims = parse_object(body, bytes_max=bytes_max)
    except RefusedDocument as error:
        raise TokenMalformed(problem=error.code) from error
    typ, key_id = _header(header)
    issuer = claims.get("iss")
    if not isinstance(issuer, str):
        raise TokenClaimMissing(claim="iss")
    return _Parts(typ, key_id, issuer, claims)


def _header(header: JsonObject) -> tuple[str, str]:
    if set(header) != _HEADER:
        raise TokenHeaderInvalid
    if header["alg"] != ALGORITHM:
        raise TokenAlgorithm
    typ, key_id = header["typ"], header["kid"]
    if not isinstance(typ, str) or not isinstance(key_id, str) or not DIGEST.fullmatch(key_id):
        raise TokenHeaderInvalid
    return typ, key_id


def _key(parts: _Parts, resolve: Resolve) -> Ed25519PublicKey:
    try:
        return resolve(parts.issuer, parts.key_id)
    except (MemberUnknown, OrganizationIdInvalid) as error:
        raise TokenIssuerUnknown from error
    except KeyUnknown as error:
        raise TokenKeyUnknown from error


def _check_signature(token: str, key: Ed25519PublicKey) -> None:
    try:
        _JWS.decode(token, key, algorithms=[ALGORITHM])
    except PyJWTError as error:
        raise TokenSignatureInvalid from error


def _check_form(claims: JsonObject, lifetime_max_s: int | None) -> None:
    audience_of(claims)
    _time(claims, "iat")
    token_id = claims.get("jti")
    if "jti" in claims and not (isinstance(token_id, str) and FRESH_ID.fullmatch(token_id)):
        raise TokenClaimInvalid(claim="jti")
    if lifetime_max_s is None and "exp" in claims:
        raise TokenClaimInvalid(claim="exp")


def _time(claims: JsonObject, name: str) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TokenClaimInvalid(claim=name)
    return value


def _check_times(claims: JsonObject, *, now: int | None, leeway_s: int, lifetime_max_s: int | None) -> None:
    issued_at = _time(claims, "iat")
    if lifetime_max_s is None:
        expires_at = None
    elif "exp" not in claims:
        raise TokenClaimMissing(claim="exp")
    else:
        expires_at = _time(claims, "exp")
    if now is not None and expires_at is not None and now - leeway_s >= expires_at:
        raise TokenExpired(expires_at=expires_at, now=now)
    if now is not None and issued_at > now + leeway_s:
        raise TokenNotYetValid(issued_at=issued_at, now=now)
    if expires_at is None or lifetime_max_s is None:
        return
    if not 0 < expires_at - issued_at <= lifetime_max_s:
        raise TokenLifetime(lifetime_s=expires_at - issued_at, lifetime_max_s=lifetime_max_s)
