"""The founding of a network as files: one folder per party with its keys (0600), and the repository for everybody.

    keyholders/<name>/keyholder.pem      each keyholder takes one away
    online-signer/online.pem             for `concordat trust sign-online`
    members/<id>/entity.pem              signs the member's statement and role; kept offline
    members/<id>/keys/<use>.pem          what a node or coordinator needs
    repository/                          what is served; holds no secret
    root.sha256                          the fingerprint to be handed over by another channel

In one place, all keys are made on one machine: right for a demonstration and a trial. Keyholders apart begin with their
public parts (`life_actions.init_apart`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from concordat_client.exits import Exit
from concordat_trust.bundle.errors import BundleDirectoryUnwritable, BundleFileUnreadable
from concordat_trust.bundle.repository import NetworkKeys, found_network
from concordat_trust.bundle.store import publish, write_atomically
from concordat_trust.bundle.topology import TOPOLOGY_BYTES_MAX, Topology, make_keys, parse_topology
from concordat_trust.bundle.verify import verify_bundle
from concordat_trust.encoding import sha256_hex
from concordat_trust.errors import OperatorError
from concordat_trust.jwk import SigningKey
from concordat_trust.keys import save_private_key

INPUT_BYTES_MAX = 8 * TOPOLOGY_BYTES_MAX
REPOSITORY = "repository"
FINGERPRINT = "root.sha256"


class TrustFolderTaken(OperatorError):
    exit = Exit.USAGE
    code = "trust_folder_taken"
    sentence = "{path} is there already and is not empty."
    hint = "Choose a new folder: a ceremony never overwrites keys."


@dataclass(frozen=True, slots=True)
class Ceremony:
    """Where everything is. `keys` by party and use, such as `members/vitalis/request`."""

    network: str
    root_sha256: str
    repository: Path
    keys: Mapping[str, Path]


def hold_ceremony(topology_file: bytes, folder: Path, *, statistics: bytes, at: int) -> Ceremony:
    """Make all keys, sign the first state of the network, verify it, and write it into the new `folder`.

    Raises: TopologyInvalid, TrustFolderTaken, leaves `bundle_*` for unusable statistics, KeyFileUnwritable,
    BundleDirectoryUnwritable.
    """
    topology = parse_topology(topology_file)
    keys = make_keys(topology, SigningKey.generate)
    files = found_network(
        topology.policy, topology.profiles, keys, statistics=statistics, at=at, names=topology.keyholders
    )
    root_sha256 = sha256_hex(files["1.root.json"])
    verify_bundle(files, root_sha256=root_sha256, at=at)
    _make_folder(folder)
    paths = {name: folder / f"{name}.pem" for name in _named(topology, keys)}
    for name, key in _named(topology, keys).items():
        _make_private(paths[name].parent, folder)
        save_private_key(paths[name], key)
    publish(folder / REPOSITORY, files)
    write_atomically(folder / FINGERPRINT, root_sha256.encode("ascii") + b"\n")
    return Ceremony(topology.policy.id, root_sha256, folder / REPOSITORY, paths)


def read_input(path: Path) -> bytes:
    """Return the bytes of a small input file. Raises: BundleFileUnreadable."""
    try:
        with path.open("rb") as file:
            return file.read(INPUT_BYTES_MAX + 1)
    except OSError as error:
        raise BundleFileUnreadable(path=str(path), problem=error.strerror) from error


def _named(topology: Topology, keys: NetworkKeys) -> dict[str, SigningKey]:
    named = {
        f"keyholders/{name}/keyholder": key for name, key in zip(topology.keyholders, keys.keyholders, strict=True)
    }
    named["online-signer/online"] = keys.online
    for member, own in keys.members.items():
        named[f"members/{member}/entity"] = own.entity
        named |= {f"members/{member}/keys/{use}": key for use, key in own.uses.items()}
    return named


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise BundleDirectoryUnwritable(path=str(folder), problem=error.strerror) from error
    if taken:
        raise TrustFolderTaken(path=str(folder))


def _make_private(folder: Path, top: Path) -> None:
    # mkdir's mode holds for the last folder only, so each one below `top` is made by itself.
    try:
        for part in reversed([folder, *folder.parents]):
            if part.is_relative_to(top) and part != top:
                part.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise BundleDirectoryUnwritable(path=str(folder), problem=error.strerror) from error
