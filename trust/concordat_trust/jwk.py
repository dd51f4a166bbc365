"""Keys as values: Ed25519 signing keys, their public JWK and the thumbprint that names them.

Rules of this file:

* One key type: Ed25519 as an OKP JWK (RFC 8037 §2). A key's id is its RFC 7638 thumbprint and nothing else, so one key
  cannot go under two ids.
* A public JWK is refused when it carries the private part, is meant for another use, or is one of the points under
  which anybody can sign (small order) or that has a second spelling.
* Nothing here touches files (see `keys`); randomness is passed in as a seed or comes from `cryptography`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.encoding import EncodingInvalid, b64u, sha256_b64u, unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId

SEED_BYTES = 32
KEY_BYTES = 32

_FIELD_PRIME = 2**255 - 19
_ORDER_8_Y = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
# The y coordinates of the eight points of small order (RFC 8032 §5.1: the cofactor is 8).
_SMALL_ORDER_Y = frozenset({0, 1, _FIELD_PRIME - 1, _ORDER_8_Y, _FIELD_PRIME - _ORDER_8_Y})


class JwkMalformed(RefusedDocument):
    code = "jwk_malformed"
    sentence = "A key is not an Ed25519 public JWK: {problem}."
    hint = 'Publish {"kty":"OKP","crv":"Ed25519","x":…} with 32 bytes in x (RFC 8037 §2).'


class JwkPrivate(RefusedDocument):
    code = "jwk_private"
    sentence = "A published key carries its private part."
    hint = "This key is burnt: make a new one and publish only its public part."


class JwkUse(RefusedDocument):
    code = "jwk_use"
    sentence = "A key is declared for another use: {field}."
    hint = "Publish keys for signatures only: use sig, key_ops verify, alg EdDSA, or leave these out."


class JwkWeak(RefusedDocument):
    code = "jwk_weak"
    sentence = "A key is a point under which anybody can sign, or is not in its canonical form."
    hint = "Make the key with a cryptographic library; this one did not come from one."


class JwkThumbprint(RefusedDocument):
    code = "jwk_thumbprint"
    sentence = "The kid of a key is not its thumbprint."
    hint = "Name every key by its RFC 7638 thumbprint, or leave kid out."


class Signer(Protocol):
    """Something that signs with one Ed25519 key and shows its public part: `SigningKey`, or a hardware module.

    Whatever signs takes this and never a private key, so that a key that cannot leave its module will do.
    """

    @property
    def key_id(self) -> KeyId: ...

    @property
    def public_jwk(self) -> JsonObject: ...

    def sign(self, data: bytes, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private Ed25519 key with its id; its text never shows the secret."""

    key_id: KeyId
    _private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Return the key of 32 secret random bytes (RFC 8032 §5.1.5)."""
        if len(seed) != SEED_BYTES:
            raise RuntimeError("a signing key takes exactly 32 bytes")
        return cls.of(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def generate(cls) -> Self:
        """Return a new key from the entropy of `cryptography`."""
        return cls.of(Ed25519PrivateKey.generate())

    @classmethod
    def of(cls, private: Ed25519PrivateKey) -> Self:
        return cls(thumbprint(private.public_key()), private)

    @property
    def public_key(self) -> Ed25519PublicKey:
        return self._private.public_key()

    @property
    def public_jwk(self) -> JsonObject:
        return public_jwk(self.public_key)

    def sign(self, data: bytes) -> bytes:
        """Return the 64 bytes of the Ed25519 signature."""
        return self._private.sign(data)

    def private_pem(self, passphrase: bytes | None = None) -> bytes:
        """Return the secret as PKCS#8 PEM, encrypted or not; only for a file that its owner alone can read."""
        encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def public_jwk(key: Ed25519PublicKey) -> JsonObject:
    """Return the public JWK with exactly its required members (RFC 8037 §2)."""
    return {"crv": "Ed25519", "kty": "OKP", "x": b64u(key.public_bytes(Encoding.Raw, PublicFormat.Raw))}


def thumbprint(key: Ed25519PublicKey) -> KeyId:
    """Return the RFC 7638 thumbprint: base64url(SHA-256) over the required members in canonical form."""
    return sha256_b64u(canonical_bytes(public_jwk(key)))


def public_key_from_jwk(value: Json) -> Ed25519PublicKey:
    """Return the key of a published JWK; unknown members are ignored (RFC 7517 §4).

    Raises: JwkMalformed, JwkPrivate, JwkUse, JwkWeak, JwkThumbprint.
    """
    if not isinstance(value, dict):
        raise JwkMalformed(problem="it is not an object")
    if "d" in value:
        raise JwkPrivate
    if value.get("kty") != "OKP" or value.get("crv") != "Ed25519":
        raise JwkMalformed(problem="kty or crv is another one")
    _refuse_other_use(value)
    raw = _point(value.get("x"))
    _refuse_weak(raw)
    key = Ed25519PublicKey.from_public_bytes(raw)
    if "kid" in value and value["kid"] != thumbprint(key):
        raise JwkThumbprint
    return key


def _refuse_other_use(jwk: JsonObject) -> None:
    # pyjwt ignores these members, so they are read here, once, at import (Wycheproof JWS #353–356).
    if jwk.get("use", "sig") != "sig":
        raise JwkUse(field="use")
    if jwk.get("key_ops", ["verify"]) != ["verify"]:
        raise JwkUse(field="key_ops")
    if jwk.get("alg", "EdDSA") != "EdDSA":
        raise JwkUse(field="alg")


def _point(x: Json) -> bytes:
    if not isinstance(x, str):
        raise JwkMalformed(problem="x is not a text")
    try:
        raw = unb64u(x)
    except EncodingInvalid as error:
        raise JwkMalformed(problem="x is not base64url") from error
    if len(raw) != KEY_BYTES:
        raise JwkMalformed(problem="x has not 32 bytes")
    return raw


def _refuse_weak(raw: bytes) -> None:
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    if y >= _FIELD_PRIME or y in _SMALL_ORDER_Y:
        raise JwkWeak
