"""The names of the TUF client that this package uses; see `tuf_api` for why they pass through here."""

from __future__ import annotations

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, RepositoryError
from tuf.ngclient import (  # type: ignore[attr-defined]  # __all__ is computed
    FetcherInterface,
    Updater,
    UpdaterConfig,
)

__all__ = [
    "DownloadError",
    "DownloadHTTPError",
    "DownloadLengthMismatchError",
    "FetcherInterface",
    "RepositoryError",
    "Updater",
    "UpdaterConfig",
]
