"""What the `concordat trust` commands do; names and texts of other organizations are printed as plain text only."""

from __future__ import annotations

import argparse
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from concordat_client.exits import Exit
from concordat_client.life_files import load_key
from concordat_client.trust_reading import diff, show, summary, verify, verify_split
from concordat_client.trust_report import Report, fingerprint, print_report
from concordat_trust.bundle.online_signer import OnlineSigner, RepositoryServer, serve
from concordat_trust.bundle.poll import BundlePoller, is_mirror_address
from concordat_trust.bundle.store import archive_bytes, write_atomically
from concordat_trust.bundle.suspension import SignedSuspension
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.errors import OperatorError
from concordat_trust.ids import OrgId


class ArchivePlaceUnusable(OperatorError):
    exit = Exit.USAGE
    code = "archive_place_unusable"
    sentence = "The bundle cannot be written to {path}: {problem}."
    hint = "Name a file in a folder that exists."


class MirrorAddressInvalid(OperatorError):
    exit = Exit.USAGE
    code = "mirror_address_invalid"
    sentence = "{address!r} is not the address of a mirror."
    hint = "Give an address that begins with https:// or http://, such as https://trust.example.org/"


class FoundingIncomplete(OperatorError):
    exit = Exit.USAGE
    code = "founding_incomplete"
    sentence = "Keyholders who found a network apart give their public parts and that of the online signer."
    hint = "Give --keyholder FILE for each keyholder and --online FILE; for a trial on one machine give neither."


Action = Callable[[argparse.Namespace], Report | None]


def run(name: str, arguments: argparse.Namespace) -> int:
    """Run one command and return its exit code. Raises: ConcordatError, which the command line turns into words."""
    report = _action(name)(arguments)
    if report is None:
        return Exit.DONE
    print_report(report, is_json=arguments.json)
    return report.exit


def _action(name: str) -> Action:
    known = ACTIONS.get(name)
    if known is not None:
        return known
    from concordat_client.life_actions import rest

    return rest()[name]


def init(arguments: argparse.Namespace) -> Report:
    """Hold the ceremony, or with public parts of keyholders begin one.

    Raises: TopologyInvalid, BundleFileUnreadable, TrustFolderTaken, KeyFile*, the refusals of a founding.
    """
    if arguments.keyholder or arguments.online is not None:
        if arguments.online is None or not arguments.keyholder:
            raise FoundingIncomplete
        from concordat_client.life_actions import init_apart

        return init_apart(arguments)
    from concordat_client.ceremony import hold_ceremony, read_input
    from concordat_trust.public_statistics import public_statistics_file

    statistics = arguments.statistics
    ceremony = hold_ceremony(
        read_input(arguments.topology),
        arguments.out,
        statistics=public_statistics_file() if statistics is None else read_input(statistics),
        at=int(time.time()),
    )
    keys: dict[str, Json] = {name: str(path) for name, path in ceremony.keys.items()}
    data: JsonObject = {
        "network": ceremony.network,
        "root_sha256": ceremony.root_sha256,
        "repository": str(ceremony.repository),
        "keys": keys,
    }
    return Report(
        data,
        (
            f"Network {ceremony.network} is founded.",
            f"Root fingerprint (hand it over by another channel): {ceremony.root_sha256}",
            f"Repository: {ceremony.repository}",
            f"Keys: {len(keys)} files, mode 0600, one folder per party below {arguments.out}",
        ),
    )


def sign_online(arguments: argparse.Namespace) -> Report | None:
    """Serve until SIGINT or SIGTERM; print the address once it is open."""
    signer = OnlineSigner(arguments.repository, load_key(arguments.key), clock=lambda: int(time.time()))
    server = RepositoryServer(arguments.repository, arguments.host, arguments.port, is_public=arguments.public)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    def opened() -> None:
        data: JsonObject = {"url": server.url, "repository": str(arguments.repository)}
        print_report(Report(data, (f"Online signer on {server.url} (Ctrl-C stops it)",)), is_json=arguments.json)

    serve(server, signer, stop, opened=opened)
    return None


def suspend(arguments: argparse.Namespace) -> Report:
    """Sign the suspension of one organization and put it where the online signer takes it up."""
    from concordat_trust.bundle.store import read_repository
    from concordat_trust.bundle.suspension import suspend as signed_by_one

    signed = signed_by_one(
        read_repository(arguments.repository),
        root_sha256=fingerprint(arguments),
        organization=OrgId.parse(arguments.organization),
        reason=arguments.reason,
        keyholder=load_key(arguments.key),
        at=int(time.time()),
    )
    return _published(signed, arguments.repository)


def _published(signed: SignedSuspension, repository: Path) -> Report:
    from concordat_trust.bundle.store import publish_suspension

    publish_suspension(repository, signed)
    files: list[Json] = [signed.target_file, signed.role_file]
    return Report(
        {"organization": signed.organization, "suspended_version": signed.version, "files": files},
        (
            f"{signed.organization} is suspended. Only the quorum of keyholders can lift it "
            f"(suspension {signed.version}).",
            "The online signer publishes it within seconds; every party follows at its next poll.",
            "New files, to be copied in this order if the signer runs on another machine:",
            *(f"  {name}" for name in (signed.target_file, signed.role_file)),
        ),
    )


def fetch(arguments: argparse.Namespace) -> Report:
    """Fetch, verify and archive a bundle."""
    from concordat_trust.bundle.fetcher import HttpFetcher

    root_sha256 = fingerprint(arguments)
    _refuse_place(arguments.out)
    for mirror in arguments.mirror:
        if not is_mirror_address(mirror):
            raise MirrorAddressInvalid(address=mirror[:200])
    with tempfile.TemporaryDirectory() as scratch:
        poller = BundlePoller(
            root_sha256=root_sha256,
            mirrors=arguments.mirror,
            state=Path(scratch) if arguments.state is None else arguments.state,
            clock=lambda: int(time.time()),
            jitter=secrets.SystemRandom().random,
            fetcher=HttpFetcher(ca_file=None if arguments.ca_file is None else str(arguments.ca_file)),
        )
        poller.load()
        bundle = poller.poll()
    write_atomically(arguments.out, archive_bytes(bundle.files))
    told = summary(bundle)
    return Report({**told.data, "archive": str(arguments.out)}, (*told.lines, f"Written to {arguments.out}"))


def _refuse_place(path: Path) -> None:
    if path.is_dir():
        raise ArchivePlaceUnusable(path=str(path), problem="it is a folder")
    if not path.absolute().parent.is_dir():
        raise ArchivePlaceUnusable(path=str(path), problem="its folder does not exist")


ACTIONS: Mapping[str, Action] = {
    "init": init,
    "sign-online": sign_online,
    "suspend": suspend,
    "fetch": fetch,
    "show": show,
    "verify": verify,
    "diff": diff,
    "verify-split": verify_split,
}
