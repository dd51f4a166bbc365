"""The files of a network's life: what people hand to each other, and keys that stay where they are made.

What is handed over holds no secret and is never written over another file. A folder for keys is its owner's alone.
"""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Final, Literal, get_args

from concordat_client.ceremony import INPUT_BYTES_MAX
from concordat_client.exits import Exit
from concordat_trust.canonical import parse_object
from concordat_trust.errors import OperatorError, RefusedDocument
from concordat_trust.jwk import SigningKey
from concordat_trust.keys import load_private_key, save_private_key

Kind = Literal["application", "approval", "own_role"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class HandOverUnusable(OperatorError):
    exit = Exit.USAGE
    code = "hand_over_unusable"
    sentence = "{path} cannot be used: {problem}."
    hint = "Name a file that a command of `concordat trust` wrote, or a new file in a folder that exists."


class KeyFolderUnusable(OperatorError):
    code = "key_folder_unusable"
    sentence = "The folder for keys {path} {problem}."
    hint = "Name a folder of your own that nobody else can read (chmod 700)."


class PassphrasesDiffer(OperatorError):
    code = "passphrases_differ"
    sentence = "The two passphrases are not the same, or there is nobody to ask."
    hint = "Run the command in a terminal and type the passphrase twice."


def read_file(path: Path) -> bytes:
    """Return the bytes of a small file. Raises: HandOverUnusable."""
    try:
        with path.open("rb") as file:
            return file.read(INPUT_BYTES_MAX + 1)
    except OSError as error:
        raise HandOverUnusable(path=str(path), problem=error.strerror) from error


def kind_of(data: bytes, path: Path) -> Kind:
    """Return which document this is, by the one version field that it has. Raises: HandOverUnusable."""
    try:
        fields = parse_object(data, bytes_max=INPUT_BYTES_MAX)
    except RefusedDocument as error:
        raise HandOverUnusable(path=str(path), problem="it is not a JSON document of this program") from error
    for kind in KINDS:
        if f"{kind}_version" in fields:
            return kind
    raise HandOverUnusable(path=str(path), problem="it is neither an application nor an approval nor an own role")


def require_new(path: Path) -> Path:
    """Return a path at which nothing is yet, in a folder that exists. Raises: HandOverUnusable."""
    if path.exists() or path.is_symlink():
        raise HandOverUnusable(path=str(path), problem="it is there already")
    if not path.absolute().parent.is_dir():
        raise HandOverUnusable(path=str(path), problem="its folder does not exist")
    return path


def write_new(path: Path, data: bytes) -> None:
    """Write a file that everybody may read and that was not there. Raises: HandOverUnusable."""
    try:
        with path.open("xb") as file:
            file.write(data + b"\n")
    except OSError as error:
        raise HandOverUnusable(path=str(path), problem=error.strerror) from error


def private_folder(path: Path) -> Path:
    """Return a folder for keys, made for its owner alone when it is not there. Raises: KeyFolderUnusable."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = path.stat().st_mode
    except OSError as error:
        raise KeyFolderUnusable(path=str(path), problem=f"cannot be made: {error.strerror}") from error
    if mode & 0o022:
        raise KeyFolderUnusable(path=str(path), problem="can be changed by others")
    return path


def ask_passphrase(path: Path) -> str | None:
    """Ask the person at the terminal for the passphrase of a key file; None when nobody is there."""
    return getpass.getpass(f"Passphrase of {path}: ") if sys.stdin.isatty() else None


def load_key(path: Path) -> SigningKey:
    """Return a private key, asking for its passphrase where somebody can answer. Raises: KeyFile*, KeyPassphrase*."""
    return load_private_key(path, ask=ask_passphrase)


def load_or_make_key(path: Path) -> SigningKey:
    """Return the key of a file, made when the file is not there. Raises: KeyFile*, KeyPassphrase*."""
    if not path.exists():
        save_private_key(path, SigningKey.generate())
    return load_key(path)


def new_passphrase() -> bytes:
    """Return a passphrase that was typed twice. Raises: PassphrasesDiffer."""
    first = getpass.getpass("New passphrase: ") if sys.stdin.isatty() else ""
    if not first or first != getpass.getpass("The same again: "):
        raise PassphrasesDiffer
    return first.encode("utf-8")
