"""What a change would make of the network, before anybody signs it: read as every party will read it. Pure.

Only the signatures of keyholders and of the online key are missing then; everything else is read with the same code as
a published bundle, so that a change which would close the network, or a member, is not signed at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from concordat_trust.bundle.files import BundleFiles
from concordat_trust.bundle.life.change import Prepared
from concordat_trust.bundle.life.errors import ChangeRefused
from concordat_trust.bundle.life.state import root_of, targets_of
from concordat_trust.bundle.members import Members, read_members
from concordat_trust.bundle.metadata import TopLevel
from concordat_trust.bundle.policy import NetworkPolicy, parse_network
from concordat_trust.bundle.signing import expiry
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.bundle.tuf_api import MetaFile, Root, Snapshot, Targets, Timestamp
from concordat_trust.bundle.verify import (
    SUSPENDED,
    refuse_foreign_delegations,
    refuse_foreign_suspended_role,
    refuse_key_of_two_roles,
)
from concordat_trust.ids import OrgId


def rehearse(bundle: TrustedBundle, prepared: Prepared, *, at: int) -> tuple[NetworkPolicy, Members]:
    """Return the policy and the members as they would be.

    Raises: ChangeRefused, leaves `bundle_*` and `statement_*`.
    """
    network = parse_network(prepared.network)
    top = _top(prepared.root, prepared.targets, prepared.roles, at)
    delegations = refuse_foreign_delegations(top, network)
    refuse_key_of_two_roles(top.root, delegations)
    refuse_foreign_suspended_role(top.root, delegations[SUSPENDED])
    suspended = _suspended(bundle, network)
    # A name that a repository serves stands before the one that a client keeps, so a new role replaces the old one.
    files = BundleFiles({**bundle.files, **prepared.files})
    members = read_members(files, top, network, suspended=suspended, at=at)
    _refuse_newly_unusable(bundle, prepared, members)
    return network, members


def rehearse_roles(
    bundle: TrustedBundle, versions: Mapping[str, int], files: Mapping[str, bytes], *, at: int
) -> Members:
    """Return the members as they would be when some of them have new roles. Raises: leaves `bundle_*`."""
    top = _top(root_of(bundle), targets_of(bundle), {**bundle.memory.roles, **versions}, at)
    source = BundleFiles({**bundle.files, **files})
    return read_members(source, top, bundle.network, suspended=bundle.memory.suspended, at=at)


def _top(root: Root, targets: Targets, roles: Mapping[str, int], at: int) -> TopLevel:
    return TopLevel(
        root=root,
        timestamp=Timestamp(version=1, expires=expiry(at, 1)),
        snapshot=Snapshot(version=1, meta={f"{name}.json": MetaFile(v) for name, v in roles.items()}),
        targets=targets,
        snapshot_sha256="",
        signed_at=at,
        expires_at=at,
    )


def _suspended(bundle: TrustedBundle, network: NetworkPolicy) -> Mapping[OrgId, int]:
    return {org: v for org, v in bundle.memory.suspended.items() if v > network.reinstated.get(org, 0)}


def _refuse_newly_unusable(bundle: TrustedBundle, prepared: Prepared, members: Members) -> None:
    about = prepared.change.member
    if about is not None and about in members.unusable:
        raise members.unusable[about]
    for org, error in members.unusable.items():
        if org not in bundle.unusable:
            raise ChangeRefused(problem=f"{org} could not be asked any more: {error.message.rstrip('.')}")
