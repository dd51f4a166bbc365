"""The last look before something is published, where the repository is served. Pure.

Rules of this file:

* Nobody's word is taken: the state before is verified from the root fingerprint, the documents are derived anew, the
  signatures are counted, and what would come of it is read as every party will read it (`rehearsal`).
* Approvals below the threshold publish nothing, and say how many there are.
* An organization's own role needs nobody's approval; it is signed with the key that the keyholders gave it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from concordat_trust.bundle.life.application import require_role
from concordat_trust.bundle.life.approval import Approval, collect, same_change
from concordat_trust.bundle.life.change import Change, Prepared, prepare
from concordat_trust.bundle.life.errors import (
    ApprovalInvalid,
    ChangeOutdated,
    InvitationOtherNetwork,
    OwnRoleInvalid,
)
from concordat_trust.bundle.life.founding import Founding, PreparedFounding, prepare_founding
from concordat_trust.bundle.life.membership import require, standing
from concordat_trust.bundle.life.own_role import refuse_claimed_issuer
from concordat_trust.bundle.life.rehearsal import rehearse, rehearse_roles
from concordat_trust.bundle.life.state import targets_of
from concordat_trust.bundle.metadata import ROLE_BYTES_MAX, public_keys
from concordat_trust.bundle.repository import Files
from concordat_trust.bundle.statement import STATEMENT_BYTES_MAX
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import canonical_bytes, parse_object
from concordat_trust.encoding import sha256_hex
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.patterns import HEX_DIGEST, matching
from concordat_trust.shape import Shape

OWN_ROLE_BYTES_MAX = 4 * (ROLE_BYTES_MAX + STATEMENT_BYTES_MAX)


def require_network(bundle: TrustedBundle, approval: Approval) -> Change:
    """Return the change of an approval for this network. Raises: InvitationOtherNetwork, ApprovalInvalid."""
    if isinstance(approval.change, Founding):
        raise ApprovalInvalid(problem="it founds a network, and this one is there already")
    if (approval.network, approval.root_sha256) != (bundle.network.id, bundle.root_sha256):
        raise InvitationOtherNetwork
    return approval.change


def complete(bundle: TrustedBundle, approvals: Sequence[Approval], *, at: int) -> tuple[Prepared, Files]:
    """Return what enough keyholders approved, and the files to publish.

    Raises: ApprovalsDiffer, InvitationOtherNetwork, ApprovalsTooFew, ApprovalSignatureInvalid, ApproverUnknown; the
    refusals of `prepare` and `rehearse`.
    """
    change = require_network(bundle, same_change(approvals))
    prepared = prepare(bundle, change, at=at)
    rehearse(bundle, prepared, at=at)
    signed = collect(prepared.documents, [s for approval in approvals for s in approval.signatures])
    return prepared, {**prepared.files, **signed}


def complete_founding(approvals: Sequence[Approval], *, statistics: bytes, at: int) -> tuple[PreparedFounding, Files]:
    """Return what enough founders approved, and the files of the first state; the online signer adds freshness.

    Raises: ApprovalsDiffer, ApprovalInvalid, ApprovalsTooFew, ApprovalSignatureInvalid, the refusals of
    `prepare_founding`.
    """
    first = same_change(approvals)
    if not isinstance(first.change, Founding):
        raise ApprovalInvalid(problem="it does not found a network")
    prepared = prepare_founding(first.change, statistics=statistics, at=at)
    signed = collect(prepared.documents, [s for approval in approvals for s in approval.signatures])
    return prepared, {**prepared.files, **signed}


@dataclass(frozen=True, slots=True)
class OwnRole:
    """What one organization signed about itself, on its way to the repository: role and statement, as served."""

    network: str
    root_sha256: str
    organization: OrgId
    role: bytes
    statement: bytes

    def to_bytes(self) -> bytes:
        return canonical_bytes(
            {
                "own_role_version": 1,
                "network": self.network,
                "root_sha256": self.root_sha256,
                "organization": self.organization,
                "role": self.role.decode("utf-8"),
                "statement": self.statement.decode("ascii"),
            }
        )


def own_role(bundle: TrustedBundle, organization: OrgId, files: Mapping[str, bytes]) -> OwnRole:
    """Return the file of what `own_role.rotate` made."""
    (role,) = (data for name, data in files.items() if "/" not in name)
    (statement,) = (data for name, data in files.items() if "/" in name)
    return OwnRole(bundle.network.id, bundle.root_sha256, organization, role, statement)


def parse_own_role(data: bytes) -> OwnRole:
    """Return what is in the file; nothing of it is verified yet. Raises: OwnRoleInvalid."""
    try:
        shape = Shape(parse_object(data, bytes_max=OWN_ROLE_BYTES_MAX), "own role")
        shape.integer("own_role_version", minimum=1, maximum=1)
        own = OwnRole(
            network=shape.text("network"),
            root_sha256=matching(shape, "root_sha256", HEX_DIGEST),
            organization=OrgId.parse(shape.text("organization")),
            role=shape.text("role", length_max=ROLE_BYTES_MAX).encode("utf-8"),
            statement=shape.text("statement", length_max=STATEMENT_BYTES_MAX).encode("utf-8"),
        )
        shape.finish()
    except RefusedDocument as error:
        raise OwnRoleInvalid(problem=error.message.rstrip(".")) from error
    return own


def complete_own_role(bundle: TrustedBundle, own: OwnRole, *, at: int) -> Files:
    """Return the files with which a member renews what it says of itself.

    Raises: InvitationOtherNetwork, MemberUnknown, MembershipTransitionRefused, ChangeOutdated, ApplicationInvalid,
    leaves `bundle_*` and `statement_*`.
    """
    if (own.network, own.root_sha256) != (bundle.network.id, bundle.root_sha256):
        raise InvitationOtherNetwork
    bundle.member(own.organization)
    require(own.organization, standing(bundle, own.organization), "rotate")
    version = bundle.memory.roles[own.organization] + 1
    served = {
        f"{version}.{own.organization}.json": own.role,
        f"targets/members/{own.organization}/{sha256_hex(own.statement)}.entity.jwt": own.statement,
    }
    delegations = targets_of(bundle).delegations
    key_ids = targets_of(bundle).get_delegated_role(own.organization).keyids
    listed = {} if delegations is None else {key_id: delegations.keys[key_id] for key_id in key_ids}
    found = require_role(own.organization, public_keys(listed, "targets.json"), own.role, at=at)
    if found.version != version:
        raise ChangeOutdated(base=f"version {found.version} of its role", current=f"version {version - 1}")
    members = rehearse_roles(bundle, {own.organization: version}, served, at=at)
    if own.organization in members.unusable:
        raise members.unusable[own.organization]
    if any(org not in bundle.unusable for org in members.unusable):
        raise OwnRoleInvalid(problem="another member could not be asked any more")
    refuse_claimed_issuer(bundle, own.organization, members.found[own.organization].visa_issuer)
    return served
