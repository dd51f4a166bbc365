"""A secret of 32 random bytes in a file of its own, readable by its owner alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from concordat_trust.errors import OperatorError

SECRET_BYTES = 32


def read_secret(path: Path, unusable: type[OperatorError]) -> bytes:
    """Return the secret. Raises: `unusable`, with `path` and `problem`, when it is missing, short or open to others."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise unusable(path=str(path), problem="can be read by others")
            secret = file.read(SECRET_BYTES + 1)
    except OSError as error:
        raise unusable(path=str(path), problem=f"cannot be read: {error.strerror}") from error
    if len(secret) != SECRET_BYTES:
        raise unusable(path=str(path), problem=f"has not {SECRET_BYTES} bytes")
    return secret
