"""What a party remembers of the bundles it has verified: versions that never go back, and suspensions that stick.

One bundle cannot show that it is old, nor that one keyholder emptied the list of suspensions. The memory of the last
verified bundle can: it is small, it is stored beside the last good copy, and it only ever grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from concordat_trust.bundle.errors import BundleMalformed, BundleMissingMember, BundleRollback
from concordat_trust.canonical import canonical_bytes, parse_object
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.shape import Shape

MEMORY_BYTES_MAX = 1_000_000
ROLES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class BundleMemory:
    """Versions of one verified state, and the union of all suspensions not yet lifted by the quorum.

    `roles` are the versions in the snapshot, by role name. `online_keys` signed timestamp and snapshot.
    """

    root_sha256: str
    root: int
    timestamp: int
    snapshot: int
    roles: Mapping[str, int]
    online_keys: frozenset[str]
    suspended: Mapping[OrgId, int]

    def refuse_rollback(self, new: BundleMemory) -> None:
        """Refuse a state that is older in any part (TUF specification 5.3 to 5.5).

        When the quorum replaced the online keys, versions that only those keys vouched for start again (5.3.11): this
        is how a network recovers from a thief who raised them.

        Raises: BundleRollback, BundleMissingMember.
        """
        _refuse_older("root", self.root, new.root)
        _refuse_older("targets", self.roles.get("targets", 0), new.roles["targets"])
        self.refuse_older_timestamp(new.timestamp, new.online_keys)
        if not self.online_keys & new.online_keys:
            return
        _refuse_older("snapshot", self.snapshot, new.snapshot)
        for role, version in self.roles.items():
            if role not in new.roles:
                raise BundleMissingMember(member=role)
            _refuse_older(role, version, new.roles[role])

    def refuse_older_timestamp(self, version: int, online_keys: frozenset[str]) -> None:
        """Refuse a timestamp from before, unless the quorum replaced the keys that sign it. Raises: BundleRollback."""
        if self.online_keys & online_keys:
            _refuse_older("timestamp", self.timestamp, version)

    def to_bytes(self) -> bytes:
        """Return the canonical JSON to be stored."""
        return canonical_bytes(
            {
                "memory_version": 1,
                "root_sha256": self.root_sha256,
                "root": self.root,
                "timestamp": self.timestamp,
                "snapshot": self.snapshot,
                "roles": [{"role": role, "version": version} for role, version in sorted(self.roles.items())],
                "online_keys": [*sorted(self.online_keys)],
                "suspended": [{"organization": org, "version": v} for org, v in sorted(self.suspended.items())],
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> BundleMemory:
        """Return the stored memory. Raises: BundleMalformed."""
        try:
            shape = Shape(parse_object(data, bytes_max=MEMORY_BYTES_MAX), "memory.json")
            shape.integer("memory_version", minimum=1, maximum=1)
            roles = shape.objects("roles", count_max=ROLES_MAX)
            suspended = shape.objects("suspended", count_max=ROLES_MAX)
            return cls(
                root_sha256=shape.text("root_sha256"),
                root=shape.integer("root", minimum=1),
                timestamp=shape.integer("timestamp", minimum=1),
                snapshot=shape.integer("snapshot", minimum=1),
                roles={r.text("role"): r.integer("version", minimum=1) for r in roles},
                online_keys=frozenset(shape.texts("online_keys")),
                suspended={OrgId.parse(s.text("organization")): s.integer("version", minimum=1) for s in suspended},
            )
        except RefusedDocument as error:
            raise BundleMalformed(document="memory.json", problem=error.message.rstrip(".")) from error


def _refuse_older(role: str, expected: int, found: int) -> None:
    if found < expected:
        raise BundleRollback(role=role, found=found, expected=expected)
