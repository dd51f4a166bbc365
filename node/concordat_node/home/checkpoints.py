"""What other organizations signed about their disclosure logs, as far as this home node has seen it.

A node signs one checkpoint per entry, so two roots for one size mean that its log was rewritten, or restored from an
older copy. Kept in memory: the receipts themselves are in the saved answers, which prove it years later.
"""

from __future__ import annotations

from concordat_trust.checkpoint import Checkpoint
from concordat_trust.ids import OrgId

CHECKPOINTS_MAX = 4_096
ORGANIZATIONS_MAX = 1_000


class SeenCheckpoints:
    """Remembers the latest verified checkpoints of each organization."""

    def __init__(self) -> None:
        self._roots: dict[OrgId, dict[int, bytes]] = {}

    def is_split(self, checkpoint: Checkpoint) -> bool:
        """Return whether another root was seen for this size; remembers the checkpoint when it was not."""
        roots = self._roots.setdefault(checkpoint.organization, {})
        known = roots.setdefault(checkpoint.size, checkpoint.root)
        while len(roots) > CHECKPOINTS_MAX:
            del roots[next(iter(roots))]
        while len(self._roots) > ORGANIZATIONS_MAX:
            del self._roots[next(iter(self._roots))]
        return known != checkpoint.root
