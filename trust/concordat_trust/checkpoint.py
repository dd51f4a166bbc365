"""A checkpoint: what a node signs about its whole disclosure log, so that it cannot rewrite it unnoticed.

    concordat-checkpoint+jwt {"iss", "net", "size", "root", "iat"}

Rules of this file:

* The members are closed: a checkpoint is compared with other checkpoints, and nothing may hide in one.
* It is signed with the node's attestation key: both say "this is what my organization disclosed", and one signs nothing
  without the other (docs/decisions/0009).
* Two checkpoints of one organization with the same size and different roots are the proof of a split view. A verifier
  of one checkpoint cannot see this; who keeps several compares them (`log_proof`).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from concordat_trust import jose
from concordat_trust.canonical import JsonObject
from concordat_trust.directory import KeyDirectory
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.log_proof import EMPTY_ROOT, TREE_SIZE_MAX
from concordat_trust.patterns import DIGEST, matching
from concordat_trust.shape import Shape
from concordat_trust.signed_statement import Translation, verified_statement
from concordat_trust.token_errors import (
    TokenIssuerUnknown,
    TokenKeyUnknown,
    TokenRefused,
    TokenSignatureInvalid,
    TokenWrongType,
)

TYP = "concordat-checkpoint+jwt"
CHECKPOINT_BYTES_MAX = 2_048
_REQUIRED = ("iss", "net", "size", "root", "iat")


class CheckpointRefused(RefusedDocument):
    """Family of what a checkpoint can have wrong."""


class CheckpointMalformed(CheckpointRefused):
    code = "checkpoint_malformed"
    sentence = "A checkpoint of a disclosure log breaks a rule of its form: {problem}."
    hint = "The node does not follow the protocol; its operator must look at it."


class CheckpointWrongType(CheckpointRefused):
    code = "checkpoint_wrong_type"
    sentence = "Another kind of token was sent where a checkpoint is expected."
    hint = "Give the checkpoint as its node signed it."


class CheckpointIssuerUnknown(CheckpointRefused):
    code = "checkpoint_issuer_unknown"
    sentence = "A checkpoint comes from nobody in this network."
    hint = "Verify with the trust bundle of the time when the checkpoint was made."


class CheckpointKeyUnknown(CheckpointRefused):
    code = "checkpoint_key_unknown"
    sentence = "The key of a checkpoint is not in the trust bundle."
    hint = "Verify with the trust bundle of the time when the checkpoint was made."


class CheckpointSignatureInvalid(CheckpointRefused):
    code = "checkpoint_signature_invalid"
    sentence = "The signature of a checkpoint does not match."
    hint = "The checkpoint was changed after its organization signed it."


class CheckpointWrongNetwork(CheckpointRefused):
    code = "checkpoint_wrong_network"
    sentence = "A checkpoint is of a log in another network."
    hint = "Verify with the trust bundle of its own network."


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of one organization's log. `issued_at` is Unix seconds."""

    organization: OrgId
    network: str
    size: int
    root: bytes
    issued_at: int

    def claims(self) -> JsonObject:
        """Return the members as they are signed."""
        return {
            "iat": self.issued_at,
            "iss": self.organization,
            "net": self.network,
            "root": b64u(self.root),
            "size": self.size,
        }


def sign_checkpoint(checkpoint: Checkpoint, *, key: jose.Signer) -> str:
    """Return the checkpoint as a compact JWS. The caller has committed everything that the root stands for."""
    return jose.sign(checkpoint.claims(), key=key, typ=TYP)


def verify_checkpoint(jws: str, *, bundle: KeyDirectory) -> Checkpoint:
    """Return the checkpoint if its organization signed it for this network.

    `bundle` is the network's state at `jose.claimed_issue_time(jws)`. Raises: leaves of CheckpointRefused,
    OrganizationSuspended.
    """
    claims = verified_statement(
        jws,
        typ=TYP,
        use="attestation",
        bundle=bundle,
        required=_REQUIRED,
        bytes_max=CHECKPOINT_BYTES_MAX,
        translation=_TRANSLATION,
    )
    checkpoint = _parsed(claims)
    if checkpoint.network != bundle.network.id:
        raise CheckpointWrongNetwork
    return checkpoint


def claimed_checkpoint(jws: str) -> Checkpoint:
    """Return what a well-formed checkpoint claims, NOT VERIFIED: good for comparing it with one's own log only.

    Raises: CheckpointMalformed.
    """
    try:
        return _parsed(jose.unverified_claims(jws, bytes_max=CHECKPOINT_BYTES_MAX))
    except TokenRefused as error:
        raise CheckpointMalformed(problem=error.code) from error


def _parsed(claims: JsonObject) -> Checkpoint:
    try:
        shape = Shape(claims, "checkpoint")
        parsed = Checkpoint(
            organization=OrgId.parse(shape.text("iss")),
            network=shape.text("net", length_min=1, length_max=100),
            size=shape.integer("size", minimum=0, maximum=TREE_SIZE_MAX),
            root=unb64u(matching(shape, "root", DIGEST)),
            issued_at=shape.integer("iat", minimum=0),
        )
        shape.finish()
    except RefusedDocument as error:
        raise CheckpointMalformed(problem=error.message) from error
    if parsed.size == 0 and parsed.root != EMPTY_ROOT:
        raise CheckpointMalformed(problem="an empty log has one root only")
    return parsed


_TRANSLATION: Translation = MappingProxyType(
    {
        TokenWrongType: CheckpointWrongType,
        TokenIssuerUnknown: CheckpointIssuerUnknown,
        TokenKeyUnknown: CheckpointKeyUnknown,
        TokenSignatureInvalid: CheckpointSignatureInvalid,
        TokenRefused: CheckpointMalformed,
    }
)
