"""The replay of the TUF client workflow over bytes, at any time (TUF specification 5.3 to 5.6).

`tuf.ngclient` does the same against a mirror and the clock of the machine; a test runs both over the same repositories.
Here no file, socket or clock is touched. Beyond the specification our own rules hold, numbered in `rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from concordat_trust.bundle.errors import (
    BundleAgeHidden,
    BundleBootstrapMismatch,
    BundleExpired,
    BundleKeyForm,
    BundleLifetimeCap,
    BundleMalformed,
    BundleMissingMember,
    BundleOnlineKeyShared,
    BundleQuorumTooSmall,
    BundleRollback,
    BundleRootChain,
    BundleTampered,
    BundleThreshold,
)
from concordat_trust.bundle.files import BundleFiles
from concordat_trust.bundle.memory import BundleMemory
from concordat_trust.bundle.tuf_api import (
    DeserializationError,
    Key,
    LengthOrHashMismatchError,
    Metadata,
    MetaFile,
    Root,
    Signature,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from concordat_trust.canonical import parse_object
from concordat_trust.encoding import b64u, sha256_hex
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId
from concordat_trust.jwk import public_key_from_jwk, thumbprint

DAY_S: Final = 86_400
LIFETIME_MAX_S: Final[Mapping[str, int]] = {
    "root": 400 * DAY_S,
    "targets": 45 * DAY_S,
    "suspended": 45 * DAY_S,
    "snapshot": 14 * DAY_S,
    "timestamp": 2 * DAY_S,
}
MEMBER_LIFETIME_MAX_S: Final = 120 * DAY_S
BYTES_MAX: Final[Mapping[str, int]] = {
    "root": 512_000,
    "timestamp": 16_384,
    "snapshot": 2_000_000,
    "targets": 5_000_000,
}
ROLE_BYTES_MAX: Final = 65_536
TARGET_BYTES_MAX: Final = 8_000_000
ROOT_VERSIONS_MAX: Final = 256
KEYHOLDER_THRESHOLD_MIN: Final = 2
SIGNED_AT: Final = "x-concordat-signed-at"
AnySigned = TypeVar("AnySigned", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True)
class TopLevel:
    """The four top-level roles, each signed, consistent with the others and in force."""

    root: Root
    timestamp: Timestamp
    snapshot: Snapshot
    targets: Targets
    snapshot_sha256: str
    signed_at: int
    expires_at: int


def verify_top_level(files: BundleFiles, *, root_sha256: str, at: int, memory: BundleMemory | None = None) -> TopLevel:
    """Return the four top-level roles as they stand at `at`. Raises: leaves `bundle_*`."""
    root = root_chain(files, root_sha256)
    expires = [_refuse_outside_cap("root", root, at)]
    timestamp = _signed_by(root, "timestamp", files.metadata("timestamp", None), Timestamp)
    if memory is not None:
        # Specification 5.4.3: an old timestamp is called old before anything is compared with what it names.
        memory.refuse_older_timestamp(timestamp.version, online_keys(root))
    expires.append(_refuse_outside_cap("timestamp", timestamp, at))

    snapshot_data = files.metadata("snapshot", timestamp.snapshot_meta.version)
    refuse_changed("snapshot", timestamp.snapshot_meta, snapshot_data)
    snapshot = _signed_by(root, "snapshot", snapshot_data, Snapshot)
    refuse_other_version("snapshot", snapshot, timestamp.snapshot_meta.version)
    expires.append(_refuse_outside_cap("snapshot", snapshot, at))

    meta = snapshot.meta.get("targets.json")
    if meta is None:
        raise BundleMalformed(document="snapshot.json", problem="it does not name targets.json")
    targets_data = files.metadata("targets", meta.version)
    refuse_changed("targets", meta, targets_data)
    targets = _signed_by(root, "targets", targets_data, Targets)
    refuse_other_version("targets", targets, meta.version)
    expires.append(_refuse_outside_cap("targets", targets, at))
    return TopLevel(
        root=root,
        timestamp=timestamp,
        snapshot=snapshot,
        targets=targets,
        snapshot_sha256=sha256_hex(snapshot_data),
        signed_at=signed_at(timestamp),
        expires_at=min(expires),
    )


def online_keys(root: Root) -> frozenset[KeyId]:
    """Return the keys that may sign timestamp and snapshot."""
    return frozenset({*root.roles["timestamp"].keyids, *root.roles["snapshot"].keyids})


def verify_delegated(files: BundleFiles, top: TopLevel, role: str) -> Targets:
    """Return a delegated role, signed and of the version that the snapshot names; its times are not checked here.

    Raises: BundleMissingMember when snapshot or files leave it out, other leaves `bundle_*`.
    """
    meta = top.snapshot.meta.get(f"{role}.json")
    data = None if meta is None else files.find_metadata(role, meta.version)
    if meta is None or data is None:
        raise BundleMissingMember(member=role)
    refuse_changed(role, meta, data)
    metadata = parse_metadata(data, Targets, role=role, bytes_max=ROLE_BYTES_MAX)
    refuse_below_threshold(top.targets, role, metadata.signed_bytes, metadata.signatures)
    refuse_other_version(role, metadata.signed, meta.version)
    return metadata.signed


def verify_target(files: BundleFiles, path: str, listed: TargetFile) -> bytes:
    """Return the bytes of a target with the length and SHA-256 that its role lists.

    Raises: BundleMalformed without a SHA-256, BundleMissingMember, BundleTampered.
    """
    digest = listed.hashes.get("sha256")
    if digest is None or listed.length > TARGET_BYTES_MAX:
        raise BundleMalformed(document=path, problem="its role lists no SHA-256 or too large a file")
    data = files.find_target(path, digest)
    if data is None:
        raise BundleMissingMember(member=path)
    refuse_changed(path, listed, data)
    return data


def refuse_outside_lifetime(role: str, signed: Signed, *, at: int, lifetime_max_s: int) -> int:
    """Return when `signed` expires. Raises: BundleExpired, BundleLifetimeCap."""
    expires_at = int(signed.expires.timestamp())
    refuse_expired(role, expires_at, at=at)
    refuse_beyond_cap(role, expires_at - at, lifetime_max_s=lifetime_max_s)
    return expires_at


def refuse_expired(role: str, expires_at: int, *, at: int) -> None:
    """BR-18. Raises: BundleExpired."""
    if expires_at <= at:
        raise BundleExpired(role=role, expires_at=expires_at, at=at)


def refuse_beyond_cap(role: str, lifetime_s: int, *, lifetime_max_s: int) -> None:
    """BR-05. Raises: BundleLifetimeCap."""
    if lifetime_s > lifetime_max_s:
        raise BundleLifetimeCap(role=role, lifetime_s=lifetime_s, lifetime_max_s=lifetime_max_s)


def public_keys(keys: Mapping[str, Key], where: str) -> Mapping[KeyId, Ed25519PublicKey]:
    """Return the keys of a delegator, each Ed25519 and under its thumbprint (BR-02). Raises: BundleKeyForm."""
    found: dict[KeyId, Ed25519PublicKey] = {}
    for key_id, key in keys.items():
        if (key.keytype, key.scheme) != ("ed25519", "ed25519"):
            raise BundleKeyForm(document=where, problem="an Ed25519 key")
        try:
            raw = bytes.fromhex(str(key.keyval.get("public", "")))
            public = public_key_from_jwk({"kty": "OKP", "crv": "Ed25519", "x": b64u(raw)})
        except (ValueError, RefusedDocument) as error:
            raise BundleKeyForm(document=where, problem="an Ed25519 key") from error
        if thumbprint(public) != key_id:
            raise BundleKeyForm(document=where, problem="named by its thumbprint")
        found[key_id] = public
    return found


def root_chain(files: BundleFiles, root_sha256: str) -> Root:
    """Return the newest root (BR-14). Raises: BundleRootChain and what closes a single root."""
    # Specification 5.3: each root is signed by the one before and by itself; only the last one has to be in force.
    root = _next_root(first_root(files, root_sha256), None, 1)
    for version in range(2, ROOT_VERSIONS_MAX + 1):
        data = files.root(version)
        if data is None:
            break
        root = _next_root(data, root, version)
    if files.root_version_max() > root.version:
        raise BundleRootChain(version=files.root_version_max(), problem="a version between them is missing")
    return root


def first_root(files: BundleFiles, root_sha256: str) -> bytes:
    """Return the first root, known by its fingerprint (BR-01). Raises: BundleBootstrapMismatch."""
    data = files.root(1)
    if data is None or sha256_hex(data) != root_sha256:
        raise BundleBootstrapMismatch(expected=root_sha256)
    return data


def _next_root(data: bytes, previous: Root | None, version: int) -> Root:
    metadata = parse_metadata(data, Root, role="root", bytes_max=BYTES_MAX["root"])
    root = metadata.signed
    if root.version != version:
        raise BundleRootChain(version=version, problem=f"the file carries version {root.version}")
    try:
        for delegator in (root,) if previous is None else (previous, root):
            refuse_below_threshold(delegator, "root", metadata.signed_bytes, metadata.signatures)
    except (BundleThreshold, BundleTampered) as error:
        raise BundleRootChain(version=version, problem=error.message.rstrip(".")) from error
    public_keys(root.keys, "root.json")
    refuse_small_quorum(root)
    refuse_shared_online_key(root)
    return root


def refuse_small_quorum(root: Root) -> None:
    """BR-03. Raises: BundleQuorumTooSmall."""
    for role in ("root", "targets"):
        threshold = root.roles[role].threshold
        if threshold < KEYHOLDER_THRESHOLD_MIN:
            raise BundleQuorumTooSmall(role=role, threshold=threshold, threshold_min=KEYHOLDER_THRESHOLD_MIN)


def refuse_shared_online_key(root: Root) -> None:
    """BR-04. Raises: BundleOnlineKeyShared."""
    roles = root.roles
    keyholders = {*roles["root"].keyids, *roles["targets"].keyids}
    if keyholders & online_keys(root):
        raise BundleOnlineKeyShared


def _signed_by(root: Root, role: str, data: bytes, role_type: type[AnySigned]) -> AnySigned:
    metadata = parse_metadata(data, role_type, role=role, bytes_max=BYTES_MAX[role])
    refuse_below_threshold(root, role, metadata.signed_bytes, metadata.signatures)
    return metadata.signed


def parse_metadata(data: bytes, role_type: type[AnySigned], *, role: str, bytes_max: int) -> Metadata[AnySigned]:
    """Return unverified metadata of the type that its role must have. Raises: BundleMalformed."""
    # The strict parser first: duplicate keys, floats, bombs. The library would take the last of two keys.
    try:
        parse_object(data, bytes_max=bytes_max)
        metadata = Metadata[AnySigned].from_bytes(data)
    except (RefusedDocument, DeserializationError) as error:
        raise BundleMalformed(document=f"{role}.json", problem="it is not TUF metadata with one reading") from error
    if not isinstance(metadata.signed, role_type):
        raise BundleMalformed(document=f"{role}.json", problem="it is metadata of another role")
    return metadata


def refuse_below_threshold(
    delegator: Root | Targets, role: str, payload: bytes, signatures: dict[str, Signature]
) -> None:
    """Refuse metadata that too few keys of its role signed.

    Raises: BundleTampered when a signature of a right key does not fit the bytes; BundleThreshold when one is absent;
    BundleMalformed when `delegator` knows no such role.
    """
    try:
        result = delegator.get_verification_result(role, payload, signatures)
    except ValueError as error:
        raise BundleMalformed(document=f"{role}.json", problem="nobody delegated this role") from error
    if result.verified:
        return
    refuse_broken_signature(role, set(result.unsigned) & set(signatures))
    raise BundleThreshold(role=f"{role}.json", signed=len(result.signed), threshold=result.threshold)


def refuse_broken_signature(role: str, broken: set[KeyId]) -> None:
    """BR-16: a right key signed other bytes. Raises: BundleTampered."""
    if broken:
        raise BundleTampered(role=f"{role}.json")


def refuse_changed(role: str, promised: MetaFile | TargetFile, data: bytes) -> None:
    """BR-16: another length or hash than its role promised. Raises: BundleTampered."""
    try:
        promised.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        raise BundleTampered(role=role) from error


def refuse_other_version(role: str, signed: Signed, expected: int) -> None:
    """BR-17: timestamp and snapshot name the versions. Raises: BundleRollback."""
    if signed.version != expected:
        raise BundleRollback(role=f"{role}.json", found=signed.version, expected=expected)


def _refuse_outside_cap(role: str, signed: Signed, at: int) -> int:
    return refuse_outside_lifetime(f"{role}.json", signed, at=at, lifetime_max_s=LIFETIME_MAX_S[role])


def confirmed_at(files: Mapping[str, bytes]) -> int:
    """Return when the online signer says it confirmed this state, believed by nobody before it is verified.

    To verify an old state as it stood then. Raises: BundleMalformed, BundleAgeHidden.
    """
    data = BundleFiles(files).metadata("timestamp", None)
    return signed_at(parse_metadata(data, Timestamp, role="timestamp", bytes_max=BYTES_MAX["timestamp"]).signed)


def signed_at(timestamp: Timestamp) -> int:
    """Return when the online signer confirmed this state (BR-06). Raises: BundleAgeHidden."""
    value = timestamp.unrecognized_fields.get(SIGNED_AT)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BundleAgeHidden
    return value
