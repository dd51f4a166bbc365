"""Proof of a split view: an attestation and a snapshot, both signed, that give one number to two states. Pure.

TUF cannot see that two parties were shown different snapshots under one version, because each is in order by itself.
Every attestation names the snapshot that its node believed, so a home node can. What it then keeps is a document with
the two signed objects: the attestation, and its own bundle, in which the online key signed the other snapshot. Anybody
can check it again offline, from the root fingerprint alone. It shows that the online key signed two states, or that the
attesting organization signed a state that there is not: the keyholders must ask both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from concordat_trust.attestation import Attestation, verify_attestation
from concordat_trust.bundle.errors import SplitViewMalformed, SplitViewUnproven
from concordat_trust.bundle.files import FILES_MAX
from concordat_trust.bundle.metadata import confirmed_at
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.bundle.verify import verify_bundle
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.shape import Shape

PROOF_BYTES_MAX: Final = 16_000_000


@dataclass(frozen=True, slots=True)
class SplitView:
    """A proved split view: `organization` attested another snapshot than the one the online key signed for us."""

    network: str
    organization: OrgId
    snapshot: int
    attested_sha256: str
    attested_at: int
    signed_sha256: str
    signed_at: int

    def to_json(self) -> JsonObject:
        return {
            "network": self.network,
            "organization": self.organization,
            "snapshot": self.snapshot,
            "attested_sha256": self.attested_sha256,
            "attested_at": self.attested_at,
            "signed_sha256": self.signed_sha256,
            "signed_at": self.signed_at,
        }


def split_view_bytes(attestation: str, bundle: TrustedBundle) -> bytes:
    """Return the document to be kept.

    Raises: as `verify_split_view` when the two objects prove nothing; SplitViewMalformed for a bundle that no document
    can hold.
    """
    _proved(verify_attestation(attestation, bundle=bundle), bundle)
    try:
        files: JsonObject = {name: data.decode("utf-8") for name, data in bundle.files.items()}
    except UnicodeDecodeError as error:
        # A member that nobody can ask may still have any bytes for a statement.
        raise SplitViewMalformed(problem="a file of the bundle is not text") from error
    return canonical_bytes({"split_view_version": 1, "attestation": attestation, "bundle": files})


def verify_split_view(data: bytes, *, root_sha256: str) -> SplitView:
    """Return what a kept document proves, trusting nothing but the root fingerprint.

    Raises: SplitViewMalformed, SplitViewUnproven, the refusals of `verify_bundle` and `verify_attestation`.
    """
    try:
        shape = Shape(parse_object(data, bytes_max=PROOF_BYTES_MAX), "split view")
        shape.integer("split_view_version", minimum=1, maximum=1)
        attestation, listed = shape.text("attestation", length_max=PROOF_BYTES_MAX), shape.value("bundle")
        shape.finish()
    except RefusedDocument as error:
        raise SplitViewMalformed(problem=error.message.rstrip(".")) from error
    if not isinstance(listed, dict) or len(listed) > FILES_MAX:
        raise SplitViewMalformed(problem="its bundle is not an object of files")
    files = {name: text.encode("utf-8") for name, text in listed.items() if isinstance(text, str)}
    # The bundle as it stood when its online signer confirmed it: the proof must hold years later.
    bundle = verify_bundle(files, root_sha256=root_sha256, at=confirmed_at(files))
    return _proved(verify_attestation(attestation, bundle=bundle), bundle)


def _proved(attestation: Attestation, bundle: TrustedBundle) -> SplitView:
    ours, theirs = bundle.view, attestation.bundle
    if theirs.snapshot != ours.snapshot or theirs.snapshot_sha256 == ours.snapshot_sha256:
        raise SplitViewUnproven(organization=attestation.organization, snapshot=theirs.snapshot)
    return SplitView(
        network=bundle.network.id,
        organization=attestation.organization,
        snapshot=ours.snapshot,
        attested_sha256=theirs.snapshot_sha256,
        attested_at=attestation.issued_at,
        signed_sha256=ours.snapshot_sha256,
        signed_at=bundle.signed_at,
    )
