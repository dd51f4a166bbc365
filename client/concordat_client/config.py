"""What this client keeps: one session, and the root fingerprints of networks, below $XDG_CONFIG_HOME/concordat.

The session file holds a secret: it is written with mode 0600 and not read when others can read it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from concordat_client.errors import ConfigUnwritable, PinMismatch, RootNotPinned, SessionFileUnusable, SignedOut
from concordat_trust.canonical import JsonObject, parse_object
from concordat_trust.errors import RefusedDocument
from concordat_trust.shape import Shape

FILE_BYTES_MAX = 65_536
_NETWORK = re.compile(r"[a-z][a-z0-9-]{2,63}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SavedSession:
    """A session at a home node. `token` is the secret."""

    home: str
    token: str
    subject: str
    organization: str
    network: str
    expires_at: int

    def to_json(self) -> JsonObject:
        return {
            "expires_at": self.expires_at,
            "home": self.home,
            "network": self.network,
            "organization": self.organization,
            "session_version": 1,
            "subject": self.subject,
            "token": self.token,
        }


def config_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of this client's files; it need not exist."""
    base = environment.get("XDG_CONFIG_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    root = Path(base) if base.startswith("/") else Path(environment.get("HOME") or Path.home()) / ".config"
    return root / "concordat"


def session_path(directory: Path) -> Path:
    return directory / "session.json"


def load_session(directory: Path) -> SavedSession:
    """Return the session. Raises: SignedOut, SessionFileUnusable."""
    path = session_path(directory)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise SessionFileUnusable(path=str(path), problem=f"can be read by others (mode {mode:04o})")
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise SignedOut from error
    except OSError as error:
        raise SessionFileUnusable(path=str(path), problem=f"cannot be read: {error.strerror}") from error
    try:
        return _session(Shape(parse_object(data, bytes_max=FILE_BYTES_MAX), "session"))
    except RefusedDocument as error:
        raise SessionFileUnusable(path=str(path), problem="is damaged") from error


def _session(shape: Shape) -> SavedSession:
    shape.integer("session_version", minimum=1, maximum=1)
    session = SavedSession(
        home=shape.text("home", length_min=1, length_max=300),
        token=shape.text("token", length_min=1, length_max=200),
        subject=shape.text("subject", length_max=255),
        organization=shape.text("organization", length_max=40),
        network=shape.text("network", length_max=64),
        expires_at=shape.integer("expires_at", minimum=0),
    )
    shape.finish()
    return session


def store_session(directory: Path, session: SavedSession) -> Path:
    """Write the session file and return its path. Raises: ConfigUnwritable."""
    path = session_path(directory)
    write_private(path, json.dumps(session.to_json()).encode("utf-8"))
    return path


def forget_session(directory: Path) -> None:
    """Remove the session file if there is one. Raises: ConfigUnwritable."""
    path = session_path(directory)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigUnwritable(path=str(path), problem=error.strerror) from error


def pinned_root(directory: Path, network: str) -> str:
    """Return the pinned root fingerprint of a network. Raises: RootNotPinned."""
    if not _NETWORK.fullmatch(network):
        raise RootNotPinned(network=network[:64])
    path = directory / "networks" / f"{network}.json"
    try:
        with path.open("rb") as file:
            shape = Shape(parse_object(file.read(FILE_BYTES_MAX + 1), bytes_max=FILE_BYTES_MAX), "pin")
            fingerprint = shape.text("root_sha256", length_max=64)
    except (OSError, RefusedDocument) as error:
        raise RootNotPinned(network=network) from error
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise RootNotPinned(network=network)
    return fingerprint


def pin_root(directory: Path, network: str, root_sha256: str) -> None:
    """Pin a fingerprint that the person gave; never another one over it. Raises: PinMismatch, ConfigUnwritable."""
    try:
        if pinned_root(directory, network) != root_sha256:
            raise PinMismatch(network=network)
        return
    except RootNotPinned:
        content = json.dumps({"network": network, "root_sha256": root_sha256}).encode("utf-8")
        write_private(directory / "networks" / f"{network}.json", content)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, whole or not at all. Raises: ConfigUnwritable."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise ConfigUnwritable(path=str(path), problem=error.strerror) from error
