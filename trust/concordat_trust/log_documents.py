"""What people hand each other about a disclosure log: a checkpoint, a receipt, a proof that one log continues another.

    {"new": JWS, "old": JWS, "path": [hash…]}        a consistency proof; canonical JSON

Rules of this file:

* A document is recognised by its form and verified against the network as it was when its checkpoints were signed.
* A receipt here is verified for its own sake, without the answer it came with; `receipt` binds it to one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from concordat_trust import jose
from concordat_trust.answer_errors import ReceiptWrongLog
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.checkpoint import (
    CHECKPOINT_BYTES_MAX,
    Checkpoint,
    CheckpointMalformed,
    claimed_checkpoint,
    verify_checkpoint,
)
from concordat_trust.directory import KeyDirectory
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.log_proof import PATH_MAX, verify_consistency, verify_inclusion
from concordat_trust.patterns import DIGEST
from concordat_trust.receipt import Receipt, parse_receipt
from concordat_trust.shape import Shape
from concordat_trust.token_errors import TokenRefused

DOCUMENT_BYTES_MAX = 16_384

BundleAt = Callable[[int], KeyDirectory]


class LogDocumentUnknown(RefusedDocument):
    code = "log_document_unknown"
    sentence = "This is neither a checkpoint, nor a receipt, nor a consistency proof of a disclosure log: {problem}."
    hint = (
        "Give a file as `concordat node log checkpoint`, `prove` or `consistency` wrote it, or a receipt of an answer."
    )


class LogsUnrelated(RefusedDocument):
    code = "logs_unrelated"
    sentence = "The two checkpoints of a consistency proof are of different logs."
    hint = "Compare checkpoints of one organization in one network."


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """Two checkpoints of one log, and the hashes that show that the new log begins with the old one."""

    old: str
    new: str
    path: tuple[bytes, ...]

    def to_text(self) -> str:
        path: list[Json] = [b64u(step) for step in self.path]
        return canonical_bytes({"new": self.new, "old": self.old, "path": path}).decode("ascii")


LogDocument = str | Receipt | ConsistencyProof
"""A checkpoint (its JWS), a receipt or a consistency proof; nothing of it is believed."""


@dataclass(frozen=True, slots=True)
class VerifiedLogDocument:
    """What a document proves: the latest state of the log, what it is shown to contain, and what it continues."""

    checkpoint: Checkpoint
    index: int | None = None
    continues: Checkpoint | None = None

    def to_json(self) -> JsonObject:
        checkpoint, old = self.checkpoint, self.continues
        return {
            "continues": None if old is None else {"issued_at": old.issued_at, "size": old.size},
            "index": self.index,
            "issued_at": checkpoint.issued_at,
            "network": checkpoint.network,
            "organization": checkpoint.organization,
            "root": b64u(checkpoint.root),
            "size": checkpoint.size,
        }


def parse_log_document(data: bytes) -> LogDocument:
    """Return the document in a file. Raises: LogDocumentUnknown, ReceiptMalformed, CheckpointMalformed."""
    try:
        text = data[: DOCUMENT_BYTES_MAX + 1].decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise LogDocumentUnknown(problem="it is not ASCII") from error
    if not text.startswith("{"):
        claimed_checkpoint(text)
        return text
    try:
        shape = Shape(parse_object(text.encode(), bytes_max=DOCUMENT_BYTES_MAX), "proof")
        return _consistency(shape) if shape.has("old") else parse_receipt(text)
    except RefusedDocument as error:
        raise LogDocumentUnknown(problem=error.message) from error


def claimed_state(document: LogDocument) -> Checkpoint:
    """Return the (latest) checkpoint that a document claims, NOT VERIFIED. Raises: CheckpointMalformed."""
    return claimed_checkpoint(jws_of(document))


def verify_log_document(document: LogDocument, *, bundle_at: BundleAt) -> VerifiedLogDocument:
    """Return what the document proves.

    Raises: leaves of CheckpointRefused, OrganizationSuspended, InclusionProofInvalid, ReceiptWrongLog, LogsUnrelated,
    ConsistencyProofInvalid; what `bundle_at` raises.
    """
    checkpoint = _verified(jws_of(document), bundle_at)
    if isinstance(document, str):
        return VerifiedLogDocument(checkpoint)
    if isinstance(document, Receipt):
        if checkpoint.size != document.size:
            raise ReceiptWrongLog(organization=checkpoint.organization)
        verify_inclusion(
            unb64u(document.leaf),
            index=document.index,
            size=document.size,
            path=document.path,
            root=checkpoint.root,
        )
        return VerifiedLogDocument(checkpoint, index=document.index)
    old = _verified(document.old, bundle_at)
    if (old.organization, old.network) != (checkpoint.organization, checkpoint.network):
        raise LogsUnrelated
    verify_consistency(
        old_size=old.size, old_root=old.root, size=checkpoint.size, root=checkpoint.root, path=document.path
    )
    return VerifiedLogDocument(checkpoint, continues=old)


def jws_of(document: LogDocument) -> str:
    """Return the newest checkpoint in a document, as it was signed."""
    if isinstance(document, str):
        return document
    return document.checkpoint if isinstance(document, Receipt) else document.new


def _verified(jws: str, bundle_at: BundleAt) -> Checkpoint:
    try:
        issued_at = jose.claimed_issue_time(jws, bytes_max=CHECKPOINT_BYTES_MAX)
    except TokenRefused as error:
        raise CheckpointMalformed(problem=error.code) from error
    return verify_checkpoint(jws, bundle=bundle_at(issued_at))


def _consistency(shape: Shape) -> ConsistencyProof:
    steps = shape.texts("path", count_max=PATH_MAX, length_max=43)
    if not all(DIGEST.fullmatch(step) for step in steps):
        raise shape.refuse("path", "has an entry that is not a SHA-256")
    proof = ConsistencyProof(
        old=shape.text("old", length_max=CHECKPOINT_BYTES_MAX),
        new=shape.text("new", length_max=CHECKPOINT_BYTES_MAX),
        path=tuple(unb64u(step) for step in steps),
    )
    shape.finish()
    return proof
