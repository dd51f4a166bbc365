"""The TUF client workflow as every party runs it: the library's client with our limits, at our reading of the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from concordat_trust.bundle.files import TARGETS
from concordat_trust.bundle.metadata import BYTES_MAX, ROOT_VERSIONS_MAX
from concordat_trust.bundle.policy import MEMBERS_MAX
from concordat_trust.bundle.tuf_client import FetcherInterface, Updater, UpdaterConfig


@dataclass(frozen=True, slots=True)
class Places:
    """Where metadata and targets come from (addresses with a slash at the end), and where they are kept."""

    metadata_url: str
    metadata_dir: Path
    target_url: str
    target_dir: Path

    @classmethod
    def of_mirror(cls, mirror: str, folder: Path) -> Places:
        """Return the places of a mirror: it serves targets below its metadata, and one folder keeps both."""
        return cls(mirror, folder / "metadata", mirror + TARGETS, folder / "targets")


class ClockedUpdater(Updater):
    """The library's client at our reading of the clock; the library offers no public way to set it."""

    def __init__(self, places: Places, *, fetcher: FetcherInterface, bootstrap: bytes, at: int) -> None:
        for folder in (places.metadata_dir, places.target_dir):
            folder.mkdir(parents=True, exist_ok=True)
        super().__init__(
            metadata_dir=str(places.metadata_dir),
            metadata_base_url=places.metadata_url,
            target_dir=str(places.target_dir),
            target_base_url=places.target_url,
            fetcher=fetcher,
            config=UpdaterConfig(
                max_root_rotations=ROOT_VERSIONS_MAX,
                max_delegations=MEMBERS_MAX,
                root_max_length=BYTES_MAX["root"],
                timestamp_max_length=BYTES_MAX["timestamp"],
                snapshot_max_length=BYTES_MAX["snapshot"],
                targets_max_length=BYTES_MAX["targets"],
            ),
            bootstrap=bootstrap,
        )
        self._trusted_set.reference_time = datetime.fromtimestamp(at, UTC)


def with_slash(address: str) -> str:
    """Return the address of a folder, which ends in a slash."""
    return address if address.endswith("/") else address + "/"
