"""Making and signing the files of a network: the ceremony, as pure functions over plans, keys and a clock reading.

Who signs what: keyholders root and targets (threshold) and the suspended role (one); every member its statement and
its role; the online key snapshot and timestamp (`renewal`). Nothing here reads or writes a file, so that demo, tests
and command line share one way of signing. Names follow consistent snapshots: `7.snapshot.json`,
`targets/…/<sha256>.name`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from concordat_trust.bundle.files import TARGETS
from concordat_trust.bundle.members import statement_path
from concordat_trust.bundle.metadata import DAY_S
from concordat_trust.bundle.policy import MemberPolicy, NetworkPolicy, suspended_bytes
from concordat_trust.bundle.renewal import renew
from concordat_trust.bundle.signing import expiry, sign_metadata, tuf_key
from concordat_trust.bundle.statement import sign_statement
from concordat_trust.bundle.tuf_api import DelegatedRole, Delegations, Key, Role, Root, TargetFile, Targets
from concordat_trust.bundle.verify import NETWORK_PATH, STATISTICS_PATH, SUSPENDED, SUSPENDED_PATH
from concordat_trust.canonical import JsonObject
from concordat_trust.directory import KeyUse
from concordat_trust.encoding import sha256_hex
from concordat_trust.ids import OrgId
from concordat_trust.jwk import Signer, SigningKey

Files = dict[str, bytes]

ROOT_LIFETIME_S: Final = 365 * DAY_S
TARGETS_LIFETIME_S: Final = 30 * DAY_S
SUSPENDED_LIFETIME_S: Final = 30 * DAY_S
MEMBER_LIFETIME_S: Final = 90 * DAY_S
KEYHOLDER_NAMES: Final = "x-concordat-keyholders"
"""In a root: key id → name, so that people can be told who signed."""


@dataclass(frozen=True, slots=True)
class MemberKeys:
    """The private keys of one member: `entity` signs its statement and role, the others are its operational keys."""

    entity: SigningKey
    uses: Mapping[KeyUse, SigningKey]


@dataclass(frozen=True, slots=True)
class NetworkKeys:
    """All keys of a ceremony. In life no one holds them together; demo and tests do."""

    keyholders: tuple[SigningKey, ...]
    threshold: int
    online: SigningKey
    members: Mapping[OrgId, MemberKeys]


@dataclass(frozen=True, slots=True)
class MemberProfile:
    """What a member says of itself in its statement."""

    legal_name: str
    endpoint: str
    visa_issuer: JsonObject | None = None


def found_network(
    network: NetworkPolicy,
    profiles: Mapping[OrgId, MemberProfile],
    keys: NetworkKeys,
    *,
    statistics: bytes,
    at: int,
    names: Sequence[str] = (),
) -> Files:
    """Return the complete first state of a network: every role at version 1; `names` are those of the keyholders."""
    quorum = keys.keyholders[: keys.threshold]
    files = sign_root(keys, signers=quorum, version=1, at=at, names=names)
    entities = {m.id: (keys.members[m.id].entity,) for m in network.members}
    files |= sign_targets(
        network, entities, statistics=statistics, keyholders=keys.keyholders, signers=quorum, version=1, at=at
    )
    files |= sign_suspended({}, signer=keys.keyholders[0], version=1, at=at)
    for member in network.members:
        files |= sign_member(member, profiles[member.id], keys.members[member.id], version=1, at=at)
    return files | renew(files, online=keys.online, at=at)


def sign_root(
    keys: NetworkKeys, *, signers: Sequence[Signer], version: int, at: int, names: Sequence[str] = ()
) -> Files:
    """Return `<version>.root.json`; a later root also needs the signatures of the keyholders before it."""
    listed: dict[str, Key] = {k.key_id: tuf_key(k) for k in (*keys.keyholders, keys.online)}
    quorum = [k.key_id for k in keys.keyholders]
    roles = {
        "root": Role(quorum, keys.threshold),
        "targets": Role(list(quorum), keys.threshold),
        "snapshot": Role([keys.online.key_id], 1),
        "timestamp": Role([keys.online.key_id], 1),
    }
    root = Root(
        version=version, expires=expiry(at, ROOT_LIFETIME_S), keys=listed, roles=roles, consistent_snapshot=True
    )
    if names:
        root.unrecognized_fields[KEYHOLDER_NAMES] = dict(zip(quorum, map(str, names), strict=True))
    return {f"{version}.root.json": sign_metadata(root, signers)}


def sign_targets(
    network: NetworkPolicy,
    entities: Mapping[OrgId, Sequence[Signer]],
    *,
    statistics: bytes,
    keyholders: Sequence[Signer],
    signers: Sequence[Signer],
    version: int,
    at: int,
) -> Files:
    """Return targets metadata with the network policy, the statistics and one delegated role per member."""
    own = {NETWORK_PATH: network.to_bytes(), STATISTICS_PATH: statistics}
    targets = Targets(
        version=version,
        expires=expiry(at, TARGETS_LIFETIME_S),
        targets={path: TargetFile.from_data(path, data, ["sha256"]) for path, data in own.items()},
        delegations=_delegations(network.members, entities, keyholders),
    )
    return {f"{version}.targets.json": sign_metadata(targets, signers)} | target_files(own)


def _delegations(
    members: Sequence[MemberPolicy],
    entities: Mapping[OrgId, Sequence[Signer]],
    keyholders: Sequence[Signer],
) -> Delegations:
    keys: dict[str, Key] = {k.key_id: tuf_key(k) for k in keyholders}
    roles = {SUSPENDED: DelegatedRole(SUSPENDED, list(keys), 1, terminating=True, paths=[SUSPENDED_PATH])}
    for member in members:
        listed = {k.key_id: tuf_key(k) for k in entities[member.id]}
        keys |= listed
        roles[member.id] = DelegatedRole(member.id, list(listed), 1, terminating=True, paths=[f"members/{member.id}/*"])
    return Delegations(keys, roles)


def sign_suspended(
    suspended: Mapping[OrgId, int],
    *,
    signer: Signer,
    version: int,
    at: int,
    reasons: Mapping[OrgId, str] = MappingProxyType({}),
) -> Files:
    """Return the suspended role with its list: organization → version of this role that first listed it."""
    own = {SUSPENDED_PATH: suspended_bytes(suspended, reasons)}
    return sign_role(SUSPENDED, own, signer=signer, version=version, expires_at=at + SUSPENDED_LIFETIME_S)


def sign_member(member: MemberPolicy, profile: MemberProfile, keys: MemberKeys, *, version: int, at: int) -> Files:
    """Return a member's role with its entity statement; a member rotates its operational keys alone with this."""
    statement = sign_statement(
        member.id,
        kind=member.kind,
        legal_name=profile.legal_name,
        endpoint=profile.endpoint,
        keys=keys.uses,
        entity_key=keys.entity,
        issued_at=at,
        visa_issuer=profile.visa_issuer,
        expires_at=at + MEMBER_LIFETIME_S,
    )
    own = {statement_path(member.id): statement.encode("ascii")}
    return sign_role(member.id, own, signer=keys.entity, version=version, expires_at=at + MEMBER_LIFETIME_S)


def sign_role(role: str, targets: Mapping[str, bytes], *, signer: Signer, version: int, expires_at: int) -> Files:
    """Return a delegated role that lists `targets`, and the target files."""
    listed = {path: TargetFile.from_data(path, data, ["sha256"]) for path, data in targets.items()}
    signed = Targets(version=version, expires=expiry(expires_at, 0), targets=listed)
    return {f"{version}.{role}.json": sign_metadata(signed, [signer])} | target_files(targets)


def target_files(targets: Mapping[str, bytes]) -> Files:
    """Return target files under the names a repository with consistent snapshots serves."""
    files: Files = {}
    for path, data in targets.items():
        folder, _, name = (TARGETS + path).rpartition("/")
        files[f"{folder}/{sha256_hex(data)}.{name}"] = data
    return files
