"""The home door's settings with the file they name: the declared mapping of claims, relative to `data_dir`."""

from __future__ import annotations

from pathlib import Path

from concordat_node.home.claims import MAPPING_BYTES_MAX
from concordat_node.home.errors import ClaimsMappingUnreadable
from concordat_node.home.settings import HomeSettings, parse_home_settings
from concordat_node.settings import Settings
from concordat_trust.canonical import JsonObject


def read_home_settings(settings: Settings, home: JsonObject) -> HomeSettings:
    """Return the settings of the home door.

    Raises: HomeSettingsInvalid, ClaimsMappingUnreadable, ClaimsMappingInvalid.
    """

    def read(name: str) -> bytes:
        path = settings.in_data_dir(Path(name))
        try:
            with path.open("rb") as file:
                return file.read(MAPPING_BYTES_MAX + 1)  # one more than is read: a longer file is refused as too large
        except OSError as error:
            raise ClaimsMappingUnreadable(path=str(path), problem=error.strerror or "no such file") from error

    return parse_home_settings(home, read=read)
