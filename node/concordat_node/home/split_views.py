"""Split views that this home node found, each kept as a file with the two signed objects.

A file is written once for each organization and snapshot, named by them, and never changed; at most KEPT_MAX are kept
of each organization, the first ones, so that one liar leaves room for what others are found to have signed.
`concordat trust verify-split FILE` checks one again, `concordat node doctor` names them.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from concordat_trust.bundle.split_view import split_view_bytes
from concordat_trust.bundle.store import write_atomically
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId

FOLDER: Final = "split-views"
KEPT_MAX: Final = 4
_log = logging.getLogger(__name__)


class SplitViews:
    """The kept proofs of one node. What cannot be written is logged: the answer is refused in any case."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, organization: OrgId, attestation: str, bundle: TrustedBundle) -> None:
        """Keep the attestation of `organization` beside the bundle that contradicts it."""
        path = self._folder / f"{bundle.view.snapshot}-{organization}.json"
        if path.exists() or len(self._kept_of(organization)) >= KEPT_MAX:
            return
        try:
            write_atomically(path, split_view_bytes(attestation, bundle))
        except ConcordatError as error:
            _log.error("a split view could not be kept: %s", error.code)
            return
        _log.error("split view: two signed states under one number, kept as %s", path)

    def kept(self) -> tuple[Path, ...]:
        """Return the files, sorted by name."""
        return tuple(sorted(self._folder.glob("*.json"))) if self._folder.is_dir() else ()

    def _kept_of(self, organization: OrgId) -> tuple[Path, ...]:
        return tuple(path for path in self.kept() if path.stem.partition("-")[2] == organization)
