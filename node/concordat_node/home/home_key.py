"""The secret from which pseudonyms are made: one file of 32 random bytes, readable by its owner alone.

It is never made in passing: a new key gives every person a new pseudonym, and so ends every approval that names one.
"""

from __future__ import annotations

import os
from pathlib import Path

from concordat_node.secret_file import read_secret
from concordat_trust.errors import OperatorError


class HomeKeyUnusable(OperatorError):
    code = "home_key_unusable"
    sentence = "The home key {path} {problem}."
    hint = "Restore it from the backup; make a new one only for a new node (concordat node init)."


def load_home_key(path: Path) -> bytes:
    """Return the key. Raises: HomeKeyUnusable when it is missing, short, or readable by others."""
    return read_secret(path, HomeKeyUnusable)


def save_home_key(path: Path, key: bytes) -> None:
    """Write a new key file with mode 0600; an existing one is left alone. Raises: HomeKeyUnusable."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
    except OSError as error:
        raise HomeKeyUnusable(path=str(path), problem=f"cannot be written: {error.strerror}") from error
