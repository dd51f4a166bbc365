"""`concordat demo-found --out DIR`: the demonstration's network, founded for `compose.federation.yaml`.

One folder per volume below DIR, each for one party and nobody else; the folders are there already, because in a
container they are mounts. What is there is never overwritten: a second run finds the mark of the first and does
nothing. Members meet each other at `https://ID.federation.internal:8443`, where their edge ends TLS with a certificate
of a demonstration authority; the home node's people meet it at its own loopback, which the identity provider shares.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from concordat_client.exits import Exit
from concordat_trust.errors import OperatorError

if TYPE_CHECKING:
    from concordat_client.demo.layout import Layout, Places, Topology

MEMBER_PORT, MIRROR_PORT, PROVIDER_PORT, EDGE_PORT = 8420, 8440, 8450, 8443
DOMAIN = "federation.internal"
SIGNER, PROVIDER, PERSONS = "online-signer", "identity-provider", "persons"
FOUNDED = "founded"


class VolumeMissing(OperatorError):
    exit = Exit.USAGE
    code = "demo_volume_missing"
    sentence = "There is no folder {path}."
    hint = "Every volume of compose.federation.yaml must be mounted below --out."


class VolumeTaken(OperatorError):
    exit = Exit.USAGE
    code = "demo_volume_taken"
    sentence = "{path} is not empty, and no whole network is there."
    hint = "An earlier run was cut off: remove the volumes (docker compose down --volumes) and begin again."


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    found = subparsers.add_parser(
        "demo-found",
        help="found the demonstration's network for its containers",
        description="Hold the ceremony, train the models, and write one folder per party, for compose.federation.yaml.",
    )
    found.add_argument("--out", type=Path, required=True, metavar="DIR", help="holds one folder per volume")
    found.set_defaults(run=run_found)


def run_found(arguments: argparse.Namespace) -> int:
    """Found the network once. Raises: VolumeMissing, VolumeTaken, the ceremony's refusals."""
    from concordat_client.demo.layout import lay_out, read_topology

    topology = read_topology()
    mark = arguments.out / SIGNER / FOUNDED
    if mark.is_file():
        print("The network is founded already.")
        return Exit.DONE
    _refuse_folders(arguments.out, topology)
    now = int(time.time())
    with tempfile.TemporaryDirectory(prefix="concordat-found-") as scratch:
        layout = lay_out(Path(scratch), topology, at=now, places=container_places(topology))
        _hand_out(layout, arguments.out, at=now)
    mark.touch()
    print(f"Network {topology.network} is founded. Root fingerprint: {layout.ceremony.root_sha256}")
    return Exit.DONE


def container_places(topology: Topology) -> Places:
    """Return where everything is reached inside the composed network."""
    from concordat_client.demo.layout import Places

    members = (*topology.organizations, topology.coordinator)
    addresses = {member: f"https://{edge_host(member)}:{EDGE_PORT}" for member in members}
    addresses[SIGNER] = f"http://{SIGNER}:{MIRROR_PORT}"
    addresses[PROVIDER] = f"http://127.0.0.1:{PROVIDER_PORT}"
    return Places(addresses, home_door=f"http://127.0.0.1:{MEMBER_PORT}")


def edge_host(member: str) -> str:
    return f"{member}.{DOMAIN}"


def volumes(topology: Topology) -> tuple[str, ...]:
    """Return the name of every volume, which is the name of its folder below --out."""
    members = (*topology.organizations, topology.coordinator)
    return (*members, *(f"{member}-edge" for member in members), SIGNER, PROVIDER, PERSONS)


def _refuse_folders(out: Path, topology: Topology) -> None:
    for name in volumes(topology):
        if not (out / name).is_dir():
            raise VolumeMissing(path=str(out / name))
        if any((out / name).iterdir()):
            raise VolumeTaken(path=str(out / name))


def _hand_out(layout: Layout, out: Path, *, at: int) -> None:
    from concordat_client.config import write_private
    from concordat_client.demo.edge_certificates import Authority
    from concordat_client.demo.network import write_catalogue
    from concordat_trust.canonical import canonical_bytes

    topology = layout.topology
    authority = Authority(at=at)
    for organization in topology.organizations:
        write_catalogue(layout, organization, at=at)
    for member in (*topology.organizations, topology.coordinator):
        (layout.member_folder(member) / "entity.pem").unlink()  # for the ceremony only: a member keeps it offline
        shutil.copytree(layout.member_folder(member), out / member, dirs_exist_ok=True)
        (out / member / "ca.pem").write_bytes(authority.certificate)
        write_private(out / f"{member}-edge" / "edge.pem", authority.certify(edge_host(member)))
    shutil.copytree(layout.ceremony.repository, out / SIGNER / "repository")
    shutil.copy2(layout.ceremony.keys["online-signer/online"], out / SIGNER / "online.pem")
    shutil.copy2(layout.folder / "provider.json", out / PROVIDER / "provider.json")
    for person in topology.persons:
        known = canonical_bytes({"password": person.password, "username": person.subject})
        write_private(out / PERSONS / f"{person.subject}.json", known)
