"""What one disclosure entry says, and the salted hash that stands for it.

Rules of this file:

* Pure: the salt comes in as an argument.
* An entry names what left and to whom (ids, disclosed fields, purpose, agreements), never the words of the question:
  these are the requester's own and stay at home, only their hash is kept.
* The leaf is SHA-256(0x00 ‖ SHA-256(salt ‖ canonical entry)), a leaf of an RFC 6962 §2.1 tree. The salt lets an entry
  be erased without breaking a tree, and keeps a guess at its few facts from being confirmed by the leaf.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from concordat_trust.canonical import Json, JsonObject, canonical_bytes

ENTRY_VERSION = 1
SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class ReleasedItem:
    """One record that left: its id, how much of it, and the commitment the attestation carries."""

    asset_id: str
    level: str
    fields: tuple[str, ...]
    sealed: bool
    commitment: str

    def to_json(self) -> JsonObject:
        return {
            "asset_id": self.asset_id,
            "commitment": self.commitment,
            "fields": list(self.fields),
            "level": self.level,
            "sealed": self.sealed,
        }


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One answer given to one token. `at` is Unix seconds; `issuer` and `token_id` are consumed by it;
    `token_sha256` is the token as it was presented.
    """

    at: int
    organization: str
    issuer: str
    token_id: str
    token_sha256: str
    pseudonym: str
    presenter: str
    operation: str | None
    purpose: Json
    question_hash: str
    part_hash: str
    status: str
    code: str | None
    decision_id: str
    policy: JsonObject
    bundle: JsonObject
    agreements: tuple[JsonObject, ...] = ()
    total: int | None = None
    released: tuple[ReleasedItem, ...] = ()

    def to_json(self) -> JsonObject:
        return {
            "agreements": list(self.agreements),
            "at": self.at,
            "bundle": self.bundle,
            "code": self.code,
            "decision_id": self.decision_id,
            "entry_version": ENTRY_VERSION,
            "issuer": self.issuer,
            "operation": self.operation,
            "organization": self.organization,
            "part_hash": self.part_hash,
            "policy": self.policy,
            "presenter": self.presenter,
            "pseudonym": self.pseudonym,
            "purpose": self.purpose,
            "question_hash": self.question_hash,
            "released": [item.to_json() for item in self.released],
            "status": self.status,
            "token_id": self.token_id,
            "token_sha256": self.token_sha256,
            "total": self.total,
        }

    def canonical(self) -> bytes:
        return canonical_bytes(self.to_json())


def leaf_hash(entry: bytes, salt: bytes) -> bytes:
    """Return the 32-byte leaf of a canonical entry."""
    if len(salt) != SALT_BYTES:
        raise RuntimeError(f"a log salt has {SALT_BYTES} bytes")
    return hashlib.sha256(b"\x00" + hashlib.sha256(salt + entry).digest()).digest()
