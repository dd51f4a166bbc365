"""The secret that turns local names into ids: a file for its owner alone, of one length."""

from __future__ import annotations

from pathlib import Path

from concordat_node.errors import IdSecretUnusable
from concordat_node.secret_file import read_secret
from concordat_node.settings import Settings

ID_SECRET = Path("keys/asset_ids.key")


def read_id_secret(settings: Settings) -> bytes:
    """Return the secret that turns local names into ids. Raises: IdSecretUnusable."""
    return read_secret(settings.data_dir / ID_SECRET, IdSecretUnusable)
