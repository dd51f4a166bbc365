"""The secret that turns local names into ids: a file for its owner alone, of one length."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from concordat_node.errors import IdSecretUnusable
from concordat_node.settings import Settings

ID_SECRET = Path("keys/asset_ids.key")
ID_SECRET_BYTES = 32


def read_id_secret(settings: Settings) -> bytes:
    """Return the secret that turns local names into ids. Raises: IdSecretUnusable."""
    path = settings.data_dir / ID_SECRET
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise IdSecretUnusable(path=str(path), problem="can be read by others")
            secret = file.read(ID_SECRET_BYTES + 1)
    except OSError as error:
        raise IdSecretUnusable(path=str(path), problem=f"cannot be read: {error.strerror}") from error
    if len(secret) != ID_SECRET_BYTES:
        raise IdSecretUnusable(path=str(path), problem=f"has not {ID_SECRET_BYTES} bytes")
    return secret
