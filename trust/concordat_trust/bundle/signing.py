"""TUF metadata under our keys: the adapter between our `Signer` and the library's, and the one way to serialize."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from concordat_trust.bundle.tuf_api import (
    Key,
    Metadata,
    Root,
    SecretsHandler,
    Signature,
    Signer,
    Snapshot,
    SSlibKey,
    Targets,
    Timestamp,
)
from concordat_trust.encoding import unb64u
from concordat_trust.jwk import Signer as OurSigner
from concordat_trust.jwk import thumbprint

AnySigned = TypeVar("AnySigned", Root, Timestamp, Snapshot, Targets)


class KeySigner(Signer):
    """Our `Signer` as the TUF library takes it."""

    def __init__(self, key: OurSigner) -> None:
        self._key = key

    def sign(self, payload: bytes) -> Signature:
        return Signature(self._key.key_id, self._key.sign(payload).hex())

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> Signer:
        raise RuntimeError("keys are loaded by concordat_trust.keys, never from a URI")

    @property
    def public_key(self) -> Key:
        return tuf_key(self._key)


def tuf_key(key: OurSigner) -> SSlibKey:
    """Return the public key as TUF metadata lists it, under its RFC 7638 thumbprint."""
    raw = unb64u(str(key.public_jwk["x"]))
    return SSlibKey(key.key_id, "ed25519", "ed25519", {"public": raw.hex()})


def listed_public_key(key: Ed25519PublicKey) -> SSlibKey:
    """Return a public key as TUF metadata lists it."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return SSlibKey(thumbprint(key), "ed25519", "ed25519", {"public": raw.hex()})


def sign_metadata(signed: AnySigned, keys: Iterable[OurSigner]) -> bytes:
    """Return the metadata file signed by all `keys`, in their order."""
    metadata = Metadata(signed)
    for key in keys:
        metadata.sign(KeySigner(key), append=True)
    return metadata.to_bytes()


def expiry(at: int, lifetime_s: int) -> datetime:
    """Return when something signed at `at` for `lifetime_s` expires."""
    return datetime.fromtimestamp(at + lifetime_s, UTC)
