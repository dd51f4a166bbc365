"""What the online signer does: say again which versions are current, and for how long.

It vouches for nothing but freshness. Still, only what its role really signed goes into the snapshot: a bad upload must
not close the network for everybody. The snapshot gets a new version only when a role has one or in the second half of
its life, so that a poll with nothing new costs one small file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from concordat_trust.bundle.errors import (
    BundleMalformed,
    BundleMissingMember,
    BundleRollback,
    OnlineKeyUnlisted,
)
from concordat_trust.bundle.files import BundleFiles
from concordat_trust.bundle.metadata import (
    BYTES_MAX,
    DAY_S,
    SIGNED_AT,
    parse_metadata,
    refuse_below_threshold,
    verify_target,
)
from concordat_trust.bundle.signing import expiry, sign_metadata
from concordat_trust.bundle.tuf_api import MetaFile, Root, Snapshot, Targets, Timestamp
from concordat_trust.errors import RefusedDocument
from concordat_trust.jwk import Signer

SNAPSHOT_LIFETIME_S: Final = 7 * DAY_S
TIMESTAMP_LIFETIME_S: Final = 3_600
_VERSIONED = re.compile(r"([1-9][0-9]{0,8})\.([a-z][a-z0-9-]{2,39})\.json")


@dataclass(frozen=True, slots=True)
class OnlineLifetimes:
    """For how long the online key signs; a snapshot is renewed in the second half of its life."""

    timestamp_s: int = TIMESTAMP_LIFETIME_S
    snapshot_s: int = SNAPSHOT_LIFETIME_S


def renew(
    files: Mapping[str, bytes],
    *,
    online: Signer,
    at: int,
    lifetimes: OnlineLifetimes = OnlineLifetimes(),  # frozen
) -> dict[str, bytes]:
    """Return the new timestamp and, when one is due, the new snapshot. Raises: BundleMalformed."""
    versions = current_versions(files, online)
    timestamp, snapshot = _last(files)
    new: dict[str, bytes] = {}
    if snapshot is None or _is_due(snapshot, versions, at, lifetimes):
        # An entry never leaves the snapshot: clients take a missing one for an attack (specification 5.5.5).
        meta = {} if snapshot is None else dict(snapshot.meta)
        meta |= {f"{role}.json": MetaFile(version) for role, version in versions.items()}
        version = 1 if snapshot is None else snapshot.version + 1
        snapshot = Snapshot(version=version, expires=expiry(at, lifetimes.snapshot_s), meta=meta)
        new[f"{version}.snapshot.json"] = sign_metadata(snapshot, [online])
    data = new.get(f"{snapshot.version}.snapshot.json") or files[f"{snapshot.version}.snapshot.json"]
    new["timestamp.json"] = sign_metadata(
        Timestamp(
            version=1 if timestamp is None else timestamp.version + 1,
            expires=expiry(at, lifetimes.timestamp_s),
            snapshot_meta=MetaFile.from_data(snapshot.version, data, ["sha256"]),
            unrecognized_fields={SIGNED_AT: at},
        ),
        [online],
    )
    return new


def current_versions(files: Mapping[str, bytes], online: Signer) -> dict[str, int]:
    """Return role → version of the newest complete state: signed by its roles, with every target in its place.

    Raises: OnlineKeyUnlisted, BundleMalformed when there is no complete state.
    """
    source = BundleFiles(files)
    root = _newest_root(source)
    if any(online.key_id not in root.roles[role].keyids for role in ("snapshot", "timestamp")):
        raise OnlineKeyUnlisted
    for version in _versions(files, "targets"):
        try:
            targets = _complete(source, root, "targets", version)
            if targets.delegations is None or targets.delegations.roles is None:
                raise BundleMalformed(document="targets.json", problem="it delegates to nobody")
            roles = list(targets.delegations.roles)
            return {"targets": version} | {role: _newest(files, source, targets, role) for role in roles}
        except RefusedDocument:
            continue  # a half-uploaded or unsigned state: the one before stays current
    raise BundleMalformed(document="repository", problem="it holds no complete state that its roles signed")


def _newest_root(source: BundleFiles) -> Root:
    data = source.root(source.root_version_max())
    if data is None:
        raise BundleMalformed(document="repository", problem="it holds no root")
    return parse_metadata(data, Root, role="root", bytes_max=BYTES_MAX["root"]).signed


def _newest(files: Mapping[str, bytes], source: BundleFiles, targets: Targets, role: str) -> int:
    for version in _versions(files, role):
        try:
            _complete(source, targets, role, version)
        except RefusedDocument:
            continue
        return version
    raise BundleMissingMember(member=role)


def _complete(source: BundleFiles, delegator: Root | Targets, role: str, version: int) -> Targets:
    data = source.metadata(role, version)
    metadata = parse_metadata(data, Targets, role=role, bytes_max=BYTES_MAX["targets"])
    refuse_below_threshold(delegator, role, metadata.signed_bytes, metadata.signatures)
    if metadata.signed.version != version:
        raise BundleRollback(role=role, found=metadata.signed.version, expected=version)
    for path, listed in metadata.signed.targets.items():
        verify_target(source, path, listed)
    return metadata.signed


def _versions(files: Mapping[str, bytes], role: str) -> list[int]:
    matches = (match for match in map(_VERSIONED.fullmatch, files) if match and match[2] == role)
    return sorted((int(match[1]) for match in matches), reverse=True)


def _last(files: Mapping[str, bytes]) -> tuple[Timestamp | None, Snapshot | None]:
    data = files.get("timestamp.json")
    if data is None:
        return None, None
    timestamp = parse_metadata(data, Timestamp, role="timestamp", bytes_max=BYTES_MAX["timestamp"]).signed
    version = timestamp.snapshot_meta.version
    snapshot_data = BundleFiles(files).metadata("snapshot", version)
    return timestamp, parse_metadata(snapshot_data, Snapshot, role="snapshot", bytes_max=BYTES_MAX["snapshot"]).signed


def _is_due(snapshot: Snapshot, versions: Mapping[str, int], at: int, lifetimes: OnlineLifetimes) -> bool:
    # Renewed in the second half of its life, so that a signer that was down for a while finds no expired snapshot.
    if int(snapshot.expires.timestamp()) - at < lifetimes.snapshot_s // 2:
        return True
    return any(f"{r}.json" not in snapshot.meta or snapshot.meta[f"{r}.json"].version != v for r, v in versions.items())
