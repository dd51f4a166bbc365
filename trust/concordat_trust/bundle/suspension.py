"""Suspending an organization with one keyholder's key. Pure; only the quorum lifts it (`life.change`).

Rules of this file:

* What is signed again was verified first, from the root fingerprint: nobody gets a keyholder's signature under a list
  that the keyholders did not sign.
* A list only grows. An entry that the quorum has lifted stays, because its version keeps it lifted; so a keyholder can
  suspend and never reinstate (BR-07).
* The two files that result are all that the online signer needs. They hold no secret, and nobody else can make them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from concordat_trust.bundle.errors import SuspensionKeyRefused, SuspensionReasonInvalid, SuspensionStands
from concordat_trust.bundle.files import TARGETS
from concordat_trust.bundle.life.state import targets_of
from concordat_trust.bundle.policy import listed_suspensions
from concordat_trust.bundle.repository import Files, sign_suspended
from concordat_trust.bundle.verify import SUSPENDED, SUSPENDED_PATH, verify_bundle
from concordat_trust.ids import OrgId
from concordat_trust.jwk import Signer

REASON_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class SignedSuspension:
    """The new files under the names a repository serves, the target first; `role_file` makes them current.

    `version` is that of the suspension.
    """

    organization: OrgId
    version: int
    target_file: str
    role_file: str
    files: Files


def suspend(
    files: Mapping[str, bytes],
    *,
    root_sha256: str,
    organization: OrgId,
    reason: str,
    keyholder: Signer,
    at: int,
) -> SignedSuspension:
    """Return the files that suspend a member from now on; `reason` is for every member to read.

    Raises: SuspensionReasonInvalid, the refusals of `verify_bundle`, MemberUnknown, SuspensionStands,
    SuspensionKeyRefused.
    """
    if not reason.strip() or len(reason) > REASON_MAX or not reason.isprintable():
        raise SuspensionReasonInvalid(length_max=REASON_MAX)
    bundle = verify_bundle(files, root_sha256=root_sha256, at=at)
    if bundle.member(organization).suspended:
        raise SuspensionStands(organization=organization)
    delegations = targets_of(bundle).delegations
    roles = None if delegations is None else delegations.roles
    if roles is None or keyholder.key_id not in roles[SUSPENDED].keyids:
        raise SuspensionKeyRefused(key_id=keyholder.key_id)
    version = bundle.memory.roles[SUSPENDED] + 1
    listed = dict(listed_suspensions(bundle.files[TARGETS + SUSPENDED_PATH]))
    listed[organization] = (version, reason)
    signed = sign_suspended(
        {org: since for org, (since, _) in listed.items()},
        signer=keyholder,
        version=version,
        at=at,
        reasons={org: why for org, (_, why) in listed.items() if why is not None},
    )
    role_file = f"{version}.{SUSPENDED}.json"
    (target_file,) = signed.keys() - {role_file}
    return SignedSuspension(organization, version, target_file, role_file, signed)
