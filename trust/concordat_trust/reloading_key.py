"""A signing key that follows its file: an organization exchanges its keys without stopping anything.

The new key is used from the moment when it is in the file and in the trust bundle, whichever comes last; until then the
old one signs. What cannot be read (half-written, open to others) is logged once and changes nothing. A signature and
the key id beside it are always of one key: whoever writes both looks again afterwards (`jose.sign`, `sign_request`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from concordat_trust.canonical import JsonObject
from concordat_trust.errors import OperatorError
from concordat_trust.ids import KeyId
from concordat_trust.jwk import SigningKey
from concordat_trust.keys import load_private_key

IsListed = Callable[[KeyId], bool]
Stamp = tuple[int, int, int]
_log = logging.getLogger(__name__)


class ReloadingKey:
    """A `Signer` over a key file. Raises when it is made: what `load_private_key` raises."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = file_stamp(path)
        self._key = load_private_key(path)
        self._waiting: SigningKey | None = None

    @property
    def key_id(self) -> KeyId:
        return self._key.key_id

    @property
    def public_jwk(self) -> JsonObject:
        return self._key.public_jwk

    def sign(self, data: bytes) -> bytes:
        """Return the signature of the key in use."""
        return self._key.sign(data)

    def reload(self, is_listed: IsListed) -> bool:
        """Use the key in the file from now on if it is another one and `is_listed`; tell whether it was exchanged."""
        self._read()
        waiting = self._waiting
        if waiting is None or not is_listed(waiting.key_id):
            return False
        self._key, self._waiting = waiting, None
        _log.info("the key in %s is used from now on", self._path)
        return True

    def _read(self) -> None:
        stamp = file_stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            key = load_private_key(self._path)
        except OperatorError as error:
            _log.warning("the key that is used stays in use: %s", error.code)
            return
        self._waiting = None if key.key_id == self._key.key_id else key


def file_stamp(path: Path) -> Stamp | None:
    """Return what changes when a file is exchanged or written; None when it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)
