"""The key to which others seal what one node alone may read: a person's visas, on their way through the coordinator.

It is derived from the node's attestation key (a signature over one fixed text, through HKDF-SHA256), because whoever
makes the entity statement and whoever answers both hold that key, and no further secret has to be made, kept and
rotated. Ed25519 signatures are deterministic (RFC 8032 §5.1.6); nothing else that the key signs reads like the text.
When the attestation key changes, what was sealed to the old one no longer opens, and counts for nothing.
"""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from concordat_trust.sealing import KEY_BYTES, SealingKey

_LABEL = b"concordat-node-sealing-key-1"


class _Signs(Protocol):
    def sign(self, data: bytes, /) -> bytes: ...


def node_sealing_key(attestation_key: _Signs) -> SealingKey:
    """Return the private key; its `public` stands in the node's entity statement."""
    secret = attestation_key.sign(_LABEL)
    derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_LABEL).derive(secret)
    return SealingKey.from_seed(derived)
