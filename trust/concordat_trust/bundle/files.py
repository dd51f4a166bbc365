"""The files of a bundle by role and path, whether they are named as a repository serves or as a client keeps them.

A repository with consistent snapshots serves `7.snapshot.json`, `3.targets.json`, `targets/…/<sha256>.entity.jwt`; a
client keeps `snapshot.json`, `targets.json`, `targets/…/entity.jwt`. Versions and hashes are verified in both cases, so
a name only says where to look. What was looked up is remembered under client names: a complete archive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from concordat_trust.bundle.errors import BundleMalformed

FILES_MAX = 20_000
TARGETS = "targets/"
_ROOT = re.compile(r"([1-9][0-9]{0,8})\.root\.json")


class BundleFiles:
    """A set of unverified files. `used` are those that were handed out, under client names."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        if len(files) > FILES_MAX:
            raise BundleMalformed(document="bundle", problem=f"it has more than {FILES_MAX} files")
        self._files = files
        self.used: dict[str, bytes] = {}

    def root(self, version: int) -> bytes | None:
        return self._take(f"{version}.root.json", f"{version}.root.json")

    def root_version_max(self) -> int:
        """Return the highest root version among the names; 0 without any."""
        return max((int(match[1]) for match in map(_ROOT.fullmatch, self._files) if match), default=0)

    def find_metadata(self, role: str, version: int | None) -> bytes | None:
        kept = f"{role}.json"
        served = kept if version is None else f"{version}.{kept}"
        return self._take(kept, served, kept)

    def metadata(self, role: str, version: int | None) -> bytes:
        """Like `find_metadata`. Raises: BundleMalformed when it is not there."""
        data = self.find_metadata(role, version)
        if data is None:
            raise BundleMalformed(document=f"{role}.json", problem="it is not in the bundle")
        return data

    def find_target(self, path: str, sha256: str) -> bytes | None:
        kept = TARGETS + path
        folder, _, name = kept.rpartition("/")
        return self._take(kept, f"{folder}/{sha256}.{name}", kept)

    def _take(self, kept: str, *names: str) -> bytes | None:
        for name in names:
            data = self._files.get(name)
            if data is not None:
                self.used[kept] = data
                return data
        return None
