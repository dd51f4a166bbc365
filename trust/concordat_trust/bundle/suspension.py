"""Suspending an organization with one keyholder's key, and lifting that with the quorum's. Pure.

Rules of this file:

* What is signed again was verified first, from the root fingerprint: nobody gets a keyholder's signature under a list
  that the keyholders did not sign.
* A list only grows. An entry that the quorum has lifted stays, because its version keeps it lifted; so a keyholder can
  suspend and never reinstate (BR-07).
* Lifting is a new version of the targets role, signed by a threshold of keyholders in one place.
* The two files that result are all that the online signer needs. They hold no secret, and nobody else can make them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from concordat_trust.bundle.errors import (
    SuspensionAbsent,
    SuspensionKeyRefused,
    SuspensionReasonInvalid,
    SuspensionStands,
)
from concordat_trust.bundle.files import TARGETS
from concordat_trust.bundle.metadata import BYTES_MAX, parse_metadata, refuse_below_threshold
from concordat_trust.bundle.policy import listed_suspensions
from concordat_trust.bundle.repository import TARGETS_LIFETIME_S, Files, sign_suspended, target_files
from concordat_trust.bundle.signing import expiry, sign_metadata
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.bundle.tuf_api import Root, TargetFile, Targets
from concordat_trust.bundle.verify import NETWORK_PATH, SUSPENDED, SUSPENDED_PATH, verify_bundle
from concordat_trust.ids import OrgId
from concordat_trust.jwk import Signer

REASON_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class SignedSuspension:
    """The new files under the names a repository serves, the target first; `role_file` makes them current.

    `version` is that of the suspension, made or lifted.
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
    delegations = _targets(bundle).delegations
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


def reinstate(
    files: Mapping[str, bytes],
    *,
    root_sha256: str,
    organization: OrgId,
    keyholders: Sequence[Signer],
    at: int,
) -> SignedSuspension:
    """Return the targets files in which the quorum lifts the suspension that stands, by naming its version.

    Raises: the refusals of `verify_bundle`, MemberUnknown, SuspensionAbsent, SuspensionKeyRefused, BundleThreshold.
    """
    bundle = verify_bundle(files, root_sha256=root_sha256, at=at)
    bundle.member(organization)
    version = bundle.memory.suspended.get(organization)
    if version is None:
        raise SuspensionAbsent(organization=organization)
    targets = _targets(bundle)
    network = replace(bundle.network, reinstated={**bundle.network.reinstated, organization: version}).to_bytes()
    targets.version = bundle.view.targets + 1
    targets.expires = expiry(at, TARGETS_LIFETIME_S)
    targets.targets = {**targets.targets, NETWORK_PATH: TargetFile.from_data(NETWORK_PATH, network, ["sha256"])}
    data = sign_metadata(targets, keyholders)
    signed = parse_metadata(data, Targets, role="targets", bytes_max=BYTES_MAX["targets"])
    root = parse_metadata(_newest_root(bundle), Root, role="root", bytes_max=BYTES_MAX["root"]).signed
    for key in keyholders:
        if key.key_id not in root.roles["targets"].keyids:
            raise SuspensionKeyRefused(key_id=key.key_id)
    refuse_below_threshold(root, "targets", signed.signed_bytes, signed.signatures)
    role_file = f"{targets.version}.targets.json"
    target = target_files({NETWORK_PATH: network})
    (target_file,) = target
    return SignedSuspension(organization, version, target_file, role_file, {role_file: data, **target})


def _targets(bundle: TrustedBundle) -> Targets:
    data = bundle.files["targets.json"]
    return parse_metadata(data, Targets, role="targets", bytes_max=BYTES_MAX["targets"]).signed


def _newest_root(bundle: TrustedBundle) -> bytes:
    return bundle.files[f"{bundle.view.root}.root.json"]
