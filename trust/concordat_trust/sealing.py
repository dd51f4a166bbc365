"""What only the home node may read: HPKE to the key of the question (RFC 9180).

Rules of this file:

* One suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, base mode. Who sealed is proved by the attestation,
  whose hash of the text is compared after opening.
* `info` binds the ciphertext to its place: answering organization, token and question. A ciphertext moved to another
  place does not open.
* Lengths say little: a text is padded with spaces to PADDED_BYTES_MIN or the next power of two. A text has one padding.
* Everything that can go wrong in opening is `seal_broken`: a reader learns nothing from how it broke.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from concordat_trust.canonical import canonical_bytes
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId

KEY_BYTES = 32
PADDED_BYTES_MIN = 65_536
"""Twenty ordinary cards fit: whether there are any, and how many, does not show."""
TEXT_BYTES_MAX = 4_194_304
SEALED_CHARS_MAX = (TEXT_BYTES_MAX + 1_024) * 4 // 3

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
# Any private key shows a point of small order: the cofactor makes the shared secret zero (RFC 7748 §6.1).
_PROBE = X25519PrivateKey.from_private_bytes(bytes([7]) * KEY_BYTES)


class SealKeyInvalid(RefusedDocument):
    code = "seal_key_invalid"
    sentence = "The key for sealed answers is not a usable X25519 public key."
    hint = "Send 32 bytes of a freshly made X25519 key as base64url."


class SealTooLarge(RefusedDocument):
    code = "seal_too_large"
    sentence = "An answer has {size} bytes; at most {bytes_max} can be sealed."
    hint = "Ask for a smaller page, or shorten the texts of the records."


class SealBroken(RefusedDocument):
    code = "seal_broken"
    sentence = "A sealed answer does not open here."
    hint = "It was changed on its way, or belongs to another question, token or organization."


@dataclass(frozen=True, slots=True)
class SealContext:
    """The place a sealed answer belongs to."""

    organization: OrgId
    token_id: str
    question_hash: str

    def info(self) -> bytes:
        return canonical_bytes(
            {"org": self.organization, "qh": self.question_hash, "sealed": "answer", "tid": self.token_id}
        )


@dataclass(frozen=True, slots=True)
class SealingKey:
    """The private key of one question, kept by the home node as long as its job lives."""

    public: str
    _private: X25519PrivateKey = field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Return the key of 32 secret random bytes."""
        if len(seed) != KEY_BYTES:
            raise RuntimeError("a sealing key takes exactly 32 bytes")
        return cls._of(X25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def generate(cls) -> Self:
        """Return a new key from the entropy of `cryptography`."""
        return cls._of(X25519PrivateKey.generate())

    @classmethod
    def _of(cls, private: X25519PrivateKey) -> Self:
        return cls(b64u(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)), private)

    def decrypt(self, ciphertext: bytes, info: bytes) -> bytes:
        """Return the plaintext. Raises: SealBroken."""
        try:
            return _SUITE.decrypt(ciphertext, self._private, info)
        except (InvalidTag, ValueError) as error:
            raise SealBroken from error


def parse_sealing_key(text: str) -> X25519PublicKey:
    """Return the public key of a token's `enc`. Raises: SealKeyInvalid, also for points that give everybody the key."""
    try:
        raw = unb64u(text)
    except RefusedDocument as error:
        raise SealKeyInvalid from error
    if len(raw) != KEY_BYTES:
        raise SealKeyInvalid
    key = X25519PublicKey.from_public_bytes(raw)
    try:
        _PROBE.exchange(key)
    except ValueError as error:
        raise SealKeyInvalid from error
    return key


def padded_size(size: int) -> int:
    """Return how long a text of `size` bytes is when it is sealed."""
    return max(PADDED_BYTES_MIN, 1 << (size - 1).bit_length())


def seal_text(text: bytes, *, to: str, context: SealContext) -> str:
    """Return base64url(encapsulated key ‖ ciphertext) of a text that ends in no space; never the same twice.

    Raises: SealKeyInvalid, SealTooLarge.
    """
    padded = text.ljust(padded_size(len(text)))
    return seal_bytes(padded, to=to, info=context.info(), bytes_max=TEXT_BYTES_MAX)


def seal_bytes(plaintext: bytes, *, to: str, info: bytes, bytes_max: int) -> str:
    """Return base64url(encapsulated key ‖ ciphertext) for the place that `info` names; never the same text twice.

    Raises: SealKeyInvalid, SealTooLarge.
    """
    key = parse_sealing_key(to)
    if len(plaintext) > bytes_max:
        raise SealTooLarge(size=len(plaintext), bytes_max=bytes_max)
    return b64u(_SUITE.encrypt(plaintext, key, info))


def open_text(sealed: str, *, key: SealingKey, context: SealContext) -> bytes:
    """Return the text that was sealed for exactly this place. Raises: SealBroken."""
    if len(sealed) > SEALED_CHARS_MAX:
        raise SealBroken
    try:
        plaintext = key.decrypt(unb64u(sealed), context.info())
    except RefusedDocument as error:
        raise SealBroken from error
    text = plaintext.rstrip(b" ")
    if len(plaintext) != padded_size(len(text)):
        raise SealBroken
    return text
