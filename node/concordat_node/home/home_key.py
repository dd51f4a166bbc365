"""The secret from which pseudonyms are made: one file of 32 random bytes, readable by its owner alone.

It is never made in passing: a new key gives every person a new pseudonym, and so ends every approval that names one.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from concordat_node.home.pseudonym import HOME_KEY_BYTES_MIN
from concordat_trust.errors import OperatorError


class HomeKeyUnusable(OperatorError):
    code = "home_key_unusable"
    sentence = "The home key {path} {problem}."
    hint = "Restore it from the backup; make a new one only for a new node (concordat node init)."


def load_home_key(path: Path) -> bytes:
    """Return the key. Raises: HomeKeyUnusable when it is missing, short, or readable by others."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise HomeKeyUnusable(path=str(path), problem="can be read by others")
            key = file.read(HOME_KEY_BYTES_MIN + 1)
    except OSError as error:
        raise HomeKeyUnusable(path=str(path), problem=f"cannot be read: {error.strerror}") from error
    if len(key) != HOME_KEY_BYTES_MIN:
        raise HomeKeyUnusable(path=str(path), problem=f"has not {HOME_KEY_BYTES_MIN} bytes")
    return key


def save_home_key(path: Path, key: bytes) -> None:
    """Write a new key file with mode 0600; an existing one is left alone. Raises: HomeKeyUnusable."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
    except OSError as error:
        raise HomeKeyUnusable(path=str(path), problem=f"cannot be written: {error.strerror}") from error
