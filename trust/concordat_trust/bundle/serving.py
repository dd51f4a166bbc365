"""A verified bundle as a repository serves it, so that a party can hand on what it has: read-only, and of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from concordat_trust.bundle.files import TARGETS
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.encoding import sha256_hex

BUNDLE_PATH: Final = "/v1/bundle/"
"""Where every node serves the bundle it has in force; below it are the names of a repository."""


def repository_files(bundle: TrustedBundle) -> Mapping[str, bytes]:
    """Return the verified files under the names that a repository with consistent snapshots serves."""
    versions = {**bundle.memory.roles, "snapshot": bundle.view.snapshot}
    files: dict[str, bytes] = {}
    for name, data in bundle.files.items():
        role = name.removesuffix(".json")
        if name.startswith(TARGETS):
            folder, _, last = name.rpartition("/")
            files[f"{folder}/{sha256_hex(data)}.{last}"] = data
        elif role in versions:
            files[f"{versions[role]}.{name}"] = data
        else:
            files[name] = data  # the roots and the timestamp
    return files


class ServedBundle:
    """The files of the bundle in force, arranged once for each bundle."""

    def __init__(self, bundle: Callable[[], TrustedBundle | None]) -> None:
        self._bundle = bundle
        self._arranged: tuple[TrustedBundle, Mapping[str, bytes]] | None = None

    def file(self, name: str) -> bytes | None:
        """Return a file by its repository name; None when it is not there, or no bundle is in force."""
        bundle = self._bundle()
        if bundle is None:
            return None
        if self._arranged is None or self._arranged[0] is not bundle:
            self._arranged = (bundle, repository_files(bundle))
        return self._arranged[1].get(name)
