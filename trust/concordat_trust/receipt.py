"""The receipt of an answer: the proof that the answering node has entered it in its disclosure log.

    {"checkpoint": JWS, "index", "leaf", "path": [hash…], "size"}      canonical JSON; hashes are base64url

Rules of this file:

* A receipt belongs to one attestation: its leaf is the one that the attestation names, its checkpoint is signed by the
  same organization, and it was made while the answer was waited for.
* It is a text with one spelling, so that a relay passes it on unread and a saved answer keeps it as it came.
* It proves that the entry is in a log of that size. That later states of the log still contain it, a consistency proof
  shows (`log_proof.verify_consistency`).
"""

from __future__ import annotations

from dataclasses import dataclass

from concordat_trust.answer_errors import (
    ReceiptMalformed,
    ReceiptMissing,
    ReceiptTime,
    ReceiptWrongLeaf,
    ReceiptWrongLog,
)
from concordat_trust.attestation import AGE_MAX_S, Attestation
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.checkpoint import CHECKPOINT_BYTES_MAX, Checkpoint, verify_checkpoint
from concordat_trust.directory import KeyDirectory
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.jose import LEEWAY_S
from concordat_trust.log_proof import PATH_MAX, TREE_SIZE_MAX, verify_inclusion
from concordat_trust.patterns import DIGEST, matching
from concordat_trust.shape import Shape

RECEIPT_CHARS_MAX = 8_192
_HASH_CHARS = 43


@dataclass(frozen=True, slots=True)
class Receipt:
    """One entry's place in a log, and the signed state of the log that contains it."""

    leaf: str
    index: int
    size: int
    path: tuple[bytes, ...]
    checkpoint: str

    def to_json(self) -> JsonObject:
        path: list[Json] = [b64u(sibling) for sibling in self.path]
        return {
            "checkpoint": self.checkpoint,
            "index": self.index,
            "leaf": self.leaf,
            "path": path,
            "size": self.size,
        }

    def to_text(self) -> str:
        """Return the receipt as it travels."""
        return canonical_bytes(self.to_json()).decode("ascii")


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt that holds: the entry's index, and the state of the log that was signed for it."""

    index: int
    checkpoint: Checkpoint


def parse_receipt(text: str) -> Receipt:
    """Return the receipt that a text states, believed or not. Raises: ReceiptMalformed."""
    try:
        shape = Shape(parse_object(text.encode("utf-8"), bytes_max=RECEIPT_CHARS_MAX), "receipt")
        siblings = shape.texts("path", count_max=PATH_MAX, length_max=_HASH_CHARS)
        if not all(DIGEST.fullmatch(sibling) for sibling in siblings):
            raise shape.refuse("path", "has an entry that is not a SHA-256")
        receipt = Receipt(
            leaf=matching(shape, "leaf", DIGEST),
            index=shape.integer("index", minimum=0, maximum=TREE_SIZE_MAX),
            size=shape.integer("size", minimum=1, maximum=TREE_SIZE_MAX),
            path=tuple(unb64u(sibling) for sibling in siblings),
            checkpoint=shape.text("checkpoint", length_max=CHECKPOINT_BYTES_MAX),
        )
        shape.finish()
    except (RefusedDocument, UnicodeEncodeError) as error:
        problem = error.message if isinstance(error, RefusedDocument) else "it is not a text of Unicode characters"
        raise ReceiptMalformed(problem=problem) from error
    if receipt.to_text() != text:
        raise ReceiptMalformed(problem="it is not in canonical form")
    return receipt


def verify_receipt(
    text: str | None, *, attestation: Attestation, bundle: KeyDirectory, asked_at: int | None
) -> VerifiedReceipt:
    """Return the receipt if it shows that the answer of this attestation is in its organization's log.

    1 it is there · 2 form · 3 the leaf is the attested one · 4 checkpoint: signature, network (`verify_checkpoint`) ·
    5 it is of the same organization and of the stated size · 6 it was signed while the answer was waited for, that is
    from `asked_at` on (None: from the attestation on) · 7 inclusion.

    Raises: ReceiptMissing, ReceiptMalformed, ReceiptWrongLeaf, ReceiptWrongLog, ReceiptTime, leaves of
    CheckpointRefused, OrganizationSuspended, InclusionProofInvalid.
    """
    if text is None:
        raise ReceiptMissing
    receipt = parse_receipt(text)
    if receipt.leaf != attestation.log_leaf:
        raise ReceiptWrongLeaf
    checkpoint = verify_checkpoint(receipt.checkpoint, bundle=bundle)
    if checkpoint.organization != attestation.organization or checkpoint.size != receipt.size:
        raise ReceiptWrongLog
    waited_from = attestation.issued_at if asked_at is None else asked_at
    if not waited_from - LEEWAY_S <= checkpoint.issued_at <= waited_from + AGE_MAX_S:
        raise ReceiptTime(issued_at=checkpoint.issued_at, at=waited_from)
    verify_inclusion(
        unb64u(receipt.leaf), index=receipt.index, size=receipt.size, path=receipt.path, root=checkpoint.root
    )
    return VerifiedReceipt(receipt.index, checkpoint)
