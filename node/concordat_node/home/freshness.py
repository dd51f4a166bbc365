"""How old another node's view of the network is, as far as this home node can know.

An attestation names the snapshot its node believed. That snapshot was superseded when this node first saw the next one;
if that is longer ago than the network allows, the answer is STALE: the node may not know yet who was suspended.
"""

from __future__ import annotations

from concordat_trust.attestation import Attestation
from concordat_trust.bundle.trusted import TrustedBundle

VERSIONS_MAX = 1_000
BUNDLES_MAX = 8
"""Of how many snapshots the bundle itself is remembered: an attestation may be a few polls behind."""


class SeenSnapshots:
    """Remembers when each snapshot version was first seen here, and the bundles of the latest ones."""

    def __init__(self) -> None:
        self._bundles: dict[int, TrustedBundle] = {}
        self._first_seen: dict[int, int] = {}

    def note(self, bundle: TrustedBundle, *, now: int) -> None:
        """Remember the bundle's snapshot; called with every bundle that is used."""
        # The first one may have been current for long before this process started.
        seen_at = now if self._first_seen else min(now, bundle.signed_at)
        self._first_seen.setdefault(bundle.view.snapshot, seen_at)
        while len(self._first_seen) > VERSIONS_MAX:
            del self._first_seen[min(self._first_seen)]

        self._bundles.setdefault(bundle.view.snapshot, bundle)
        while len(self._bundles) > BUNDLES_MAX:
            del self._bundles[min(self._bundles)]

    def contradicted(self, attestation: Attestation) -> TrustedBundle | None:
        """Return the bundle that was seen here under the attested number, if it is another state."""
        seen = self._bundles.get(attestation.bundle.snapshot)
        is_other = seen is not None and seen.view.snapshot_sha256 != attestation.bundle.snapshot_sha256
        return seen if is_other else None

    def is_stale(self, attestation: Attestation, *, age_max_s: int, now: int) -> bool:
        """Return whether the attested view was superseded longer ago than `age_max_s`."""
        newer = [at for version, at in self._first_seen.items() if version > attestation.bundle.snapshot]
        return bool(newer) and now - min(newer) > age_max_s
