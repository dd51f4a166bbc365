"""`verify_bundle`: from files and a root fingerprint to a `TrustedBundle`, or one stable error code. Pure.

Order: root chain → timestamp → snapshot → targets (metadata) → delegations → memory → network policy and statistics →
suspensions → members. What the mirror, the online key or the keyholders got wrong refuses the bundle; what a member
itself signed wrongly, or let expire, closes that member only and is listed in `unusable`.
What must hold is numbered and said in plain words in `rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from concordat_trust.bundle.errors import (
    BundleBootstrapMismatch,
    BundleDelegationForeign,
    BundleKeyTwoRoles,
    BundleMalformed,
    BundleReinstateUnauthorised,
    BundleSuspendedRoleForeign,
)
from concordat_trust.bundle.files import BundleFiles
from concordat_trust.bundle.members import read_members
from concordat_trust.bundle.memory import BundleMemory
from concordat_trust.bundle.metadata import (
    LIFETIME_MAX_S,
    TopLevel,
    online_keys,
    public_keys,
    refuse_outside_lifetime,
    verify_delegated,
    verify_target,
    verify_top_level,
)
from concordat_trust.bundle.policy import NetworkPolicy, parse_network, parse_suspended
from concordat_trust.bundle.trusted import VERIFIED, BundleView, TrustedBundle
from concordat_trust.bundle.tuf_api import DelegatedRole, Root
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.text import TermStatistics

SUSPENDED: Final = "suspended"
NETWORK_PATH: Final = "network.json"
STATISTICS_PATH: Final = "statistics.json"
SUSPENDED_PATH: Final = "suspended.json"


def verify_bundle(
    files: Mapping[str, bytes], *, root_sha256: str, at: int, memory: BundleMemory | None = None
) -> TrustedBundle:
    """Return the network as it stands at `at`, trusting nothing but the fingerprint of the first root.

    `memory` is that of the last verified bundle: with it, versions never go back and suspensions stick.

    Raises: BundleBootstrapMismatch, BundleRootChain, BundleThreshold, BundleTampered, BundleRollback, BundleExpired,
    BundleLifetimeCap, BundleMissingMember, BundleMalformed.
    """
    if memory is not None:
        refuse_foreign_memory(memory, root_sha256)
    source = BundleFiles(files)
    top = verify_top_level(source, root_sha256=root_sha256, at=at, memory=memory)
    network = parse_network(_own_target(source, top, NETWORK_PATH))
    delegations = refuse_foreign_delegations(top, network)
    refuse_key_of_two_roles(top.root, delegations)
    refuse_foreign_suspended_role(top.root, delegations[SUSPENDED])
    statistics = _statistics(_own_target(source, top, STATISTICS_PATH))
    listed, suspended_expires = _listed_suspensions(source, top, at)
    suspended, findings = standing_suspensions(listed, network, memory)
    new_memory = _memory(top, root_sha256, suspended)
    if memory is not None:
        memory.refuse_rollback(new_memory)
    members = read_members(source, top, network, suspended=suspended, at=at)
    return TrustedBundle(
        network=network,
        view=BundleView(
            root=top.root.version,
            targets=top.targets.version,
            snapshot=top.snapshot.version,
            timestamp=top.timestamp.version,
            snapshot_sha256=top.snapshot_sha256,
        ),
        root_sha256=root_sha256,
        verified_at=at,
        signed_at=top.signed_at,
        expires_at=min(top.expires_at, suspended_expires),
        organizations=members.usable("organization"),
        coordinators=members.usable("coordinator"),
        members=members.found,
        request_owners=members.request_owners,
        unusable=members.unusable,
        findings=(*findings, *members.shared_issuers()),
        statistics=statistics,
        memory=new_memory,
        files=source.used,
        seal=VERIFIED,
    )


def _own_target(source: BundleFiles, top: TopLevel, path: str) -> bytes:
    listed = top.targets.targets.get(path)
    if listed is None:
        raise BundleMalformed(document="targets.json", problem=f"it does not list {path}")
    return verify_target(source, path, listed)


def _statistics(data: bytes) -> TermStatistics:
    try:
        return TermStatistics.parse(data)
    except RefusedDocument as error:
        raise BundleMalformed(document=STATISTICS_PATH, problem=error.message.rstrip(".")) from error


def refuse_foreign_memory(memory: BundleMemory, root_sha256: str) -> None:
    """BR-01: what is remembered is this network's. Raises: BundleBootstrapMismatch."""
    if memory.root_sha256 != root_sha256:
        raise BundleBootstrapMismatch(expected=root_sha256)


def refuse_foreign_delegations(top: TopLevel, network: NetworkPolicy) -> Mapping[str, DelegatedRole]:
    """Return the delegated roles: one per member, for its own path alone, and `suspended` (BR-08).

    Raises: BundleDelegationForeign, BundleKeyForm.
    """
    delegations = top.targets.delegations
    if delegations is None or delegations.roles is None:
        raise BundleDelegationForeign(problem="it delegates to nobody")
    keys = public_keys(delegations.keys, "targets.json")
    if set(delegations.roles) != {SUSPENDED, *(m.id for m in network.members)}:
        raise BundleDelegationForeign(problem="its roles are not the members of network.json")
    for name, role in delegations.roles.items():
        paths = [SUSPENDED_PATH] if name == SUSPENDED else [f"members/{name}/*"]
        if role.paths != paths or not role.terminating or not set(role.keyids) <= set(keys):
            raise BundleDelegationForeign(problem=f"the role {name} has other paths or keys than its own")
    return delegations.roles


def refuse_key_of_two_roles(root: Root, delegations: Mapping[str, DelegatedRole]) -> None:
    """BR-12. Raises: BundleKeyTwoRoles."""
    own_keys = [key_id for name, role in delegations.items() if name != SUSPENDED for key_id in role.keyids]
    if len(set(own_keys)) != len(own_keys) or set(own_keys) & set(root.keys):
        raise BundleKeyTwoRoles


def refuse_foreign_suspended_role(root: Root, suspended: DelegatedRole) -> None:
    """BR-09. Raises: BundleSuspendedRoleForeign."""
    if suspended.threshold != 1 or not set(suspended.keyids) <= set(root.roles["targets"].keyids):
        raise BundleSuspendedRoleForeign


def _listed_suspensions(source: BundleFiles, top: TopLevel, at: int) -> tuple[Mapping[OrgId, int], int]:
    role = verify_delegated(source, top, SUSPENDED)
    expires = refuse_outside_lifetime("suspended.json", role, at=at, lifetime_max_s=LIFETIME_MAX_S[SUSPENDED])
    if set(role.targets) != {SUSPENDED_PATH} or role.delegations is not None:
        raise BundleMalformed(document="suspended.json", problem="its role must list this one target and nothing else")
    data = verify_target(source, SUSPENDED_PATH, role.targets[SUSPENDED_PATH])
    return parse_suspended(data, role_version=role.version), expires


def standing_suspensions(
    listed: Mapping[OrgId, int], network: NetworkPolicy, memory: BundleMemory | None
) -> tuple[Mapping[OrgId, int], tuple[RefusedDocument, ...]]:
    """Return who is suspended, and an alarm for each that one keyholder dropped from the list (BR-07).

    That is the union of what is listed and what is remembered, minus what the quorum lifted by its version.
    """
    remembered = {} if memory is None else memory.suspended
    standing: dict[OrgId, int] = {}
    for org in {*listed, *remembered}:
        version = max(listed.get(org, 0), remembered.get(org, 0))
        if version > network.reinstated.get(org, 0):
            standing[org] = version
    dropped = sorted(org for org in standing if standing[org] > listed.get(org, 0))
    return standing, tuple(BundleReinstateUnauthorised(member=org) for org in dropped)


def _memory(top: TopLevel, root_sha256: str, suspended: Mapping[OrgId, int]) -> BundleMemory:
    return BundleMemory(
        root_sha256=root_sha256,
        root=top.root.version,
        timestamp=top.timestamp.version,
        snapshot=top.snapshot.version,
        roles={name.removesuffix(".json"): meta.version for name, meta in top.snapshot.meta.items()},
        online_keys=online_keys(top.root),
        suspended=suspended,
    )
