"""Keys as files: a private key that only its owner can read, or no key at all.

Rules of this file:

* A private key is one PKCS#8 PEM file with an Ed25519 key and no permission for group or others. A file that others
  can read is refused, not repaired: it has to be assumed copied.
* It may be encrypted with a passphrase. That comes from a prompt, or from a file that CONCORDAT_KEY_PASSPHRASE_FILE
  names and only its owner can read; never from an argument or a variable's value, which others on the machine may see.
* The checks are made on the opened file, so that it cannot be exchanged between check and reading.
* This module touches the file system; the values themselves are in `jwk`, which is pure, and are offered here again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from concordat_trust.errors import OperatorError
from concordat_trust.jwk import SigningKey, public_jwk, public_key_from_jwk, thumbprint

__all__ = [
    "SigningKey",
    "load_private_key",
    "passphrase_from",
    "public_jwk",
    "public_key_from_jwk",
    "save_private_key",
    "thumbprint",
]

KEY_FILE_BYTES_MAX = 4_096
PASSPHRASE_VARIABLE = "CONCORDAT_KEY_PASSPHRASE_FILE"  # noqa: S105  # the name of a variable
PASSPHRASE_CHARS_MIN = 12
PASSPHRASE_BYTES_MAX = 1_000
Ask = Callable[[Path], str | None]
"""Asks a person for the passphrase of a key file; None when there is nobody to ask."""
_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
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
    sentence = "The key file {path} holds no Ed25519 key in PKCS#8 PEM."
    hint = "Restore the file from a backup, or make a new key and publish it."


class KeyPassphraseMissing(OperatorError):
    code = "key_passphrase_missing"
    sentence = "The key file {path} is encrypted, and there is no passphrase."
    hint = "Run the command where it can ask, or name a file with the passphrase in CONCORDAT_KEY_PASSPHRASE_FILE."


class KeyPassphraseWrong(OperatorError):
    code = "key_passphrase_wrong"
    sentence = "The passphrase does not open the key file {path}."
    hint = "Give the passphrase with which this file was made."


class KeyPassphraseWeak(OperatorError):
    code = "key_passphrase_weak"
    sentence = "The passphrase has less than {length_min} characters, or more than {bytes_max} bytes, or a line break."
    hint = "Take several words; the file may be copied one day, and then the passphrase is all that protects the key."


class PassphraseFileUnusable(OperatorError):
    code = "passphrase_file_unusable"
    sentence = "The passphrase file {path} {problem}."
    hint = "Name a file with one line that only its owner can read (chmod 600)."


class KeyFileExists(OperatorError):
    code = "key_file_exists"
    sentence = "The key file {path} is there already and is never overwritten."
    hint = "Choose another path, or move the old key away yourself."


class KeyFileUnwritable(OperatorError):
    code = "key_file_unwritable"
    sentence = "The key file {path} cannot be written: {problem}."
    hint = "Check the directory, its permissions and the free space."


def load_private_key(path: Path, *, ask: Ask | None = None, environment: Mapping[str, str] = os.environ) -> SigningKey:
    """Return the signing key of a file that only its owner can read, opened with its passphrase if it has one.

    Raises: KeyFileMissing, KeyFilePermissions, KeyFileInvalid, KeyPassphraseMissing, KeyPassphraseWrong,
    PassphraseFileUnusable.
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
    if _ENCRYPTED not in pem:
        return _parse(path, pem)
    passphrase = passphrase_from(environment)
    if passphrase is None and ask is not None:
        told = ask(path)
        passphrase = None if told is None else told.encode("utf-8")
    if not passphrase:
        raise KeyPassphraseMissing(path=str(path))
    return _parse(path, pem, passphrase)


def passphrase_from(environment: Mapping[str, str]) -> bytes | None:
    """Return the passphrase in the file that the environment names, None when it names none.

    Raises: PassphraseFileUnusable.
    """
    named = environment.get(PASSPHRASE_VARIABLE)
    if not named:
        return None
    try:
        with Path(named).open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                raise PassphraseFileUnusable(path=named, problem="can be read by others")
            passphrase = file.read(PASSPHRASE_BYTES_MAX + 2).removesuffix(b"\n")
    except OSError as error:
        raise PassphraseFileUnusable(path=named, problem=f"cannot be read: {error.strerror}") from error
    if not passphrase or len(passphrase) > PASSPHRASE_BYTES_MAX or b"\n" in passphrase:
        raise PassphraseFileUnusable(path=named, problem="has not one line with a passphrase")
    return passphrase


def require_strong(passphrase: bytes) -> bytes:
    """Return a passphrase that may protect a new key. Raises: KeyPassphraseWeak."""
    text = passphrase.decode("utf-8", "replace")
    if len(text) < PASSPHRASE_CHARS_MIN or len(passphrase) > PASSPHRASE_BYTES_MAX or b"\n" in passphrase:
        raise KeyPassphraseWeak(length_min=PASSPHRASE_CHARS_MIN, bytes_max=PASSPHRASE_BYTES_MAX)
    return passphrase


def save_private_key(path: Path, key: SigningKey, *, passphrase: bytes | None = None) -> None:
    """Write a new key file with mode 0600, encrypted when there is a passphrase; an existing file is left alone.

    Raises: KeyFileExists, KeyFileUnwritable (nothing half-written is left behind), KeyPassphraseWeak.
    """
    pem = key.private_pem(None if passphrase is None else require_strong(passphrase))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
    except FileExistsError as error:
        raise KeyFileExists(path=str(path)) from error
    except OSError as error:
        raise KeyFileUnwritable(path=str(path), problem=error.strerror) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
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


def _parse(path: Path, pem: bytes, passphrase: bytes | None = None) -> SigningKey:
    if len(pem) > KEY_FILE_BYTES_MAX:
        raise KeyFileInvalid(path=str(path))
    try:
        private = load_pem_private_key(pem, password=passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError) as error:
        if passphrase is not None and isinstance(error, ValueError):
            raise KeyPassphraseWrong(path=str(path)) from error
        # InternalError: what a damaged algorithm identifier (X448 with 32 bytes) gives in cryptography 50.
        raise KeyFileInvalid(path=str(path)) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileInvalid(path=str(path))
    return SigningKey.of(private)
