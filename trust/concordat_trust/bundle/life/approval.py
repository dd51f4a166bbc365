"""Approvals: what one keyholder signed on the own machine, as a file, and what comes of enough of them. Pure.

    {"approval_version": 1, "network", "root_sha256", "change": …, "signatures": [{"document", "key_id", "signature"}]}

The documents themselves are not in the file: whoever approves or publishes derives them anew from the own verified
bundle (`change.prepare`), so a signature fits what that says, or nothing. A founding has no root fingerprint yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from concordat_trust.bundle.life.application import APPLICATION_BYTES_MAX
from concordat_trust.bundle.life.change import Change, Document, read_change
from concordat_trust.bundle.life.errors import (
    ApprovalInvalid,
    ApprovalsDiffer,
    ApprovalSignatureInvalid,
    ApprovalsTooFew,
    ApproverUnknown,
)
from concordat_trust.bundle.life.founding import Founding, read_founding
from concordat_trust.bundle.metadata import public_keys
from concordat_trust.bundle.repository import Files
from concordat_trust.bundle.topology import KEYHOLDERS_MAX
from concordat_trust.bundle.tuf_api import Key, Metadata, Root, Signature, Targets
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId
from concordat_trust.jwk import Signer
from concordat_trust.patterns import DIGEST, HEX_DIGEST, matching, optional_matching
from concordat_trust.shape import Shape

APPROVAL_BYTES_MAX: Final = APPLICATION_BYTES_MAX * 2
SIGNATURES_MAX: Final = KEYHOLDERS_MAX * 2 * 3


@dataclass(frozen=True, slots=True)
class PartialSignature:
    """One signature under one document."""

    document: str
    key_id: KeyId
    signature: bytes


@dataclass(frozen=True, slots=True)
class Approval:
    """A proposal with the signatures that are under it; `root_sha256` is None for a founding."""

    network: str
    root_sha256: str | None
    change: Change | Founding
    signatures: tuple[PartialSignature, ...]

    def to_bytes(self) -> bytes:
        signatures: list[JsonObject] = [
            {"document": s.document, "key_id": s.key_id, "signature": b64u(s.signature)} for s in self.signatures
        ]
        return canonical_bytes(
            {
                "approval_version": 1,
                "network": self.network,
                "root_sha256": self.root_sha256,
                "change": self.change.to_json(),
                "signatures": [*signatures],
            }
        )


def parse_approval(data: bytes) -> Approval:
    """Return what is in the file; nothing of it is verified yet. Raises: ApprovalInvalid."""
    try:
        shape = Shape(parse_object(data, bytes_max=APPROVAL_BYTES_MAX), "approval")
        shape.integer("approval_version", minimum=1, maximum=1)
        root_sha256 = optional_matching(shape, "root_sha256", HEX_DIGEST)
        change = shape.object("change")
        approval = Approval(
            network=shape.text("network", length_max=64),
            root_sha256=root_sha256,
            change=read_founding(change) if root_sha256 is None else read_change(change),
            signatures=tuple(_signature(s) for s in shape.objects("signatures", count_max=SIGNATURES_MAX)),
        )
        shape.finish()
    except ApprovalInvalid:
        raise
    except RefusedDocument as error:
        raise ApprovalInvalid(problem=error.message.rstrip(".")) from error
    return approval


def _signature(shape: Shape) -> PartialSignature:
    signed = PartialSignature(
        document=shape.text("document", length_max=100),
        key_id=matching(shape, "key_id", DIGEST),
        signature=unb64u(shape.text("signature", length_max=100)),
    )
    shape.finish()
    return signed


def sign_documents(documents: Sequence[Document], keyholder: Signer) -> tuple[PartialSignature, ...]:
    """Return the signatures of one keyholder under every document that is its to sign. Raises: ApproverUnknown."""
    own = [d for d in documents if any(keyholder.key_id in keys for keys, _ in d.quorums)]
    if not own:
        raise ApproverUnknown(key_id=keyholder.key_id)
    return tuple(PartialSignature(d.name, keyholder.key_id, keyholder.sign(_payload(d))) for d in own)


def same_change(approvals: Sequence[Approval]) -> Approval:
    """Return the first approval when all approve the same. Raises: ApprovalsDiffer, ApprovalInvalid without any."""
    if not approvals:
        raise ApprovalInvalid(problem="there is none")
    first = approvals[0]
    told = {canonical_bytes({"n": a.network, "r": a.root_sha256, "c": a.change.to_json()}) for a in approvals}
    if len(told) != 1:
        raise ApprovalsDiffer
    return first


def collect(documents: Sequence[Document], signatures: Iterable[PartialSignature]) -> Files:
    """Return the documents with their signatures, complete.

    Raises: ApproverUnknown, ApprovalSignatureInvalid, ApprovalsTooFew for the first document that lacks signatures.
    """
    by_name = {document.name: document for document in documents}
    found: dict[str, dict[KeyId, bytes]] = {name: {} for name in by_name}
    keys = _public_keys(documents)
    for given in signatures:
        document = by_name.get(given.document)
        if document is None or given.key_id not in keys:
            raise ApproverUnknown(key_id=given.key_id)
        try:
            keys[given.key_id].verify(given.signature, _payload(document))
        except InvalidSignature as error:
            raise ApprovalSignatureInvalid(key_id=given.key_id, document=given.document) from error
        found[given.document][given.key_id] = given.signature
    for document in documents:
        _refuse_too_few(document, found[document.name])
    return {d.name: _file(d, found[d.name]) for d in documents}


def _refuse_too_few(document: Document, signed: Mapping[KeyId, bytes]) -> None:
    for keys, threshold in document.quorums:
        count = len(keys & set(signed))
        if count < threshold:
            raise ApprovalsTooFew(document=document.name, signed=count, threshold=threshold)


def _file(document: Document, signed: Mapping[KeyId, bytes]) -> bytes:
    wanted = frozenset[str]().union(*(keys for keys, _ in document.quorums))
    signatures = {k: Signature(k, signed[k].hex()) for k in sorted(signed) if k in wanted}
    return _metadata(document, signatures).to_bytes()


def _metadata(document: Document, signatures: dict[str, Signature]) -> Metadata[Root] | Metadata[Targets]:
    if isinstance(document.signed, Root):
        return Metadata(document.signed, signatures)
    return Metadata(document.signed, signatures)


def _payload(document: Document) -> bytes:
    return _metadata(document, {}).signed_bytes


def _public_keys(documents: Sequence[Document]) -> Mapping[KeyId, Ed25519PublicKey]:
    keys: dict[str, Key] = {}
    for document in documents:
        keys |= document.keys
    return public_keys(keys, "root.json")
