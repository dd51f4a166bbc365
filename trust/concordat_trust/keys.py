"""Keys as files: a private key that only its owner can read, or no key at all.

Rules of this file:

* A private key is one PKCS#8 PEM file with an Ed25519 key and no permission for group or others. A file that others
  can read is refused, not repaired: it has to be assumed copied.
* The checks are made on the opened file, so that it cannot be exchanged between check and reading.
* This module touches the file system; the values themselves are in `jwk`, which is pure, and are offered here again.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from concordat_trust.errors import OperatorError
from concordat_trust.jwk import SigningKey, public_jwk, public_key_from_jwk, thumbprint

__all__ = ["SigningKey", "load_private_key", "public_jwk", "public_key_from_jwk", "save_private_key", "thumbprint"]

KEY_FILE_BYTES_MAX = 4_096
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OWNER_ONLY = stat.S_IRUSR | stat.S_IWUSR


class KeyFileMissing(OperatorError):
    code = "key_file_missing"
    sentence = "The key file {path} cannot be opened: {problem}."
    hint = "Name an existing key file in the settings, or make one with `concordat node init`."


class KeyFilePermissions(OperatorError):
    code = "key_file_permissions"
    sentence = "The key file {path} can be read by others (mode {mode})."
    hint = "Treat the key as copied and make a new one; if you are sure that it was not, run chmod 600 on it."


class KeyFileInvalid(OperatorError):
    code = "key_file_invalid"
    sentence = "The key file {path} holds no Ed25519 key in PKCS#8 PEM without a passphrase."
    hint = "Restore the file from a backup, or make a new key and publish it."


class KeyFileExists(OperatorError):
    code = "key_file_exists"
    sentence = "The key file {path} is there already and is never overwritten."
    hint = "Choose another path, or move the old key away yourself."


class KeyFileUnwritable(OperatorError):
    code = "key_file_unwritable"
    sentence = "The key file {path} cannot be written: {problem}."
    hint = "Check the directory, its permissions and the free space."


def load_private_key(path: Path) -> SigningKey:
    """Return the signing key of a file that only its owner can read.

    Raises: KeyFileMissing, KeyFilePermissions, KeyFileInvalid.
    """
    try:
        # O_NONBLOCK, so that a pipe put in the file's place cannot hang the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise KeyFileMissing(path=str(path), problem=error.strerror) from error
    try:
        _refuse_readable_by_others(path, os.fstat(descriptor))
        pem = os.read(descriptor, KEY_FILE_BYTES_MAX + 1)
    finally:
        os.close(descriptor)
    return _parse(path, pem)


def save_private_key(path: Path, key: SigningKey) -> None:
    """Write a new key file with mode 0600; an existing file is left alone.

    Raises: KeyFileExists, KeyFileUnwritable (nothing half-written is left behind).
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
    except FileExistsError as error:
        raise KeyFileExists(path=str(path)) from error
    except OSError as error:
        raise KeyFileUnwritable(path=str(path), problem=error.strerror) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.private_pem())
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise KeyFileUnwritable(path=str(path), problem=error.strerror) from error


def _refuse_readable_by_others(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileInvalid(path=str(path))
    if status.st_mode & _OTHERS:
        raise KeyFilePermissions(path=str(path), mode=f"{stat.S_IMODE(status.st_mode):04o}")


def _parse(path: Path, pem: bytes) -> SigningKey:
    if len(pem) > KEY_FILE_BYTES_MAX:
        raise KeyFileInvalid(path=str(path))
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError) as error:
        # InternalError: what a damaged algorithm identifier (X448 with 32 bytes) gives in cryptography 50.
        raise KeyFileInvalid(path=str(path)) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileInvalid(path=str(path))
    return SigningKey.of(private)
