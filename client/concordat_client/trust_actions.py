"""What the `concordat trust` commands do; names and texts of other organizations are printed as plain text only."""

from __future__ import annotations

import argparse
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from concordat_client.exits import Exit
from concordat_client.fingerprint import read_fingerprint
from concordat_client.plain_text import as_json, plain
from concordat_trust.bundle.online_signer import OnlineSigner, RepositoryServer, serve
from concordat_trust.bundle.poll import BundlePoller, is_mirror_address
from concordat_trust.bundle.store import archive_bytes, read_bundle, write_atomically
from concordat_trust.bundle.suspension import SignedSuspension
from concordat_trust.bundle.trusted import Member, TrustedBundle
from concordat_trust.bundle.verify import verify_bundle
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.errors import OperatorError, RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.keys import load_private_key
from concordat_trust.times import time_words


class RootFingerprintMissing(RefusedDocument):
    code = "root_fingerprint_missing"
    sentence = "Nothing can be verified without the root fingerprint."
    hint = "Ask a keyholder for it over another channel, and give it with --root-sha256."


class TimeInvalid(OperatorError):
    exit = Exit.USAGE
    code = "time_invalid"
    sentence = "{text!r} is not a time."
    hint = "Give ISO 8601 with a zone, such as 2027-01-15T08:00:00Z, or Unix seconds."


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


@dataclass(frozen=True, slots=True)
class Report:
    """What a command says: `data` with --json, else `lines`."""

    data: JsonObject
    lines: tuple[str, ...]


Action = Callable[[argparse.Namespace], Report | None]


def run(name: str, arguments: argparse.Namespace) -> int:
    """Run one command and return its exit code. Raises: ConcordatError, which the command line turns into words."""
    report = ACTIONS[name](arguments)
    if report is not None:
        _print(report, is_json=arguments.json)
    return Exit.DONE


def init(arguments: argparse.Namespace) -> Report:
    """Hold the ceremony. Raises: TopologyInvalid, BundleFileUnreadable, TrustFolderTaken, KeyFile*."""
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
    signer = OnlineSigner(arguments.repository, load_private_key(arguments.key), clock=lambda: int(time.time()))
    server = RepositoryServer(arguments.repository, arguments.host, arguments.port, is_public=arguments.public)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    def opened() -> None:
        data: JsonObject = {"url": server.url, "repository": str(arguments.repository)}
        _print(Report(data, (f"Online signer on {server.url} (Ctrl-C stops it)",)), is_json=arguments.json)

    serve(server, signer, stop, opened=opened)
    return None


def suspend(arguments: argparse.Namespace) -> Report:
    """Sign the suspension of one organization and put it where the online signer takes it up."""
    from concordat_trust.bundle.store import read_repository
    from concordat_trust.bundle.suspension import suspend as signed_by_one

    signed = signed_by_one(
        read_repository(arguments.repository),
        root_sha256=_fingerprint(arguments),
        organization=OrgId.parse(arguments.organization),
        reason=arguments.reason,
        keyholder=load_private_key(arguments.key),
        at=int(time.time()),
    )
    return _published(signed, arguments.repository, "is suspended. Only the quorum of keyholders can lift it")


def reinstate(arguments: argparse.Namespace) -> Report:
    """Sign, with a quorum's keys, that a suspension is lifted, and put it where the online signer takes it up."""
    from concordat_trust.bundle.store import read_repository
    from concordat_trust.bundle.suspension import reinstate as signed_by_quorum

    signed = signed_by_quorum(
        read_repository(arguments.repository),
        root_sha256=_fingerprint(arguments),
        organization=OrgId.parse(arguments.organization),
        keyholders=[load_private_key(path) for path in arguments.key],
        at=int(time.time()),
    )
    return _published(signed, arguments.repository, "is reinstated")


def _published(signed: SignedSuspension, repository: Path, became: str) -> Report:
    from concordat_trust.bundle.store import publish_suspension

    publish_suspension(repository, signed)
    files: list[Json] = [signed.target_file, signed.role_file]
    return Report(
        {"organization": signed.organization, "suspended_version": signed.version, "files": files},
        (
            f"{signed.organization} {became} (suspension {signed.version}).",
            "The online signer publishes it within seconds; every party follows at its next poll.",
            "New files, to be copied in this order if the signer runs on another machine:",
            *(f"  {name}" for name in (signed.target_file, signed.role_file)),
        ),
    )


def fetch(arguments: argparse.Namespace) -> Report:
    """Fetch, verify and archive a bundle."""
    from concordat_trust.bundle.fetcher import HttpFetcher

    root_sha256 = _fingerprint(arguments)
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
    summary = _summary(bundle)
    return Report({**summary.data, "archive": str(arguments.out)}, (*summary.lines, f"Written to {arguments.out}"))


def _refuse_place(path: Path) -> None:
    if path.is_dir():
        raise ArchivePlaceUnusable(path=str(path), problem="it is a folder")
    if not path.absolute().parent.is_dir():
        raise ArchivePlaceUnusable(path=str(path), problem="its folder does not exist")


def show(arguments: argparse.Namespace) -> Report:
    """Say who is in the network."""
    return _summary(_verified(arguments))


def verify(arguments: argparse.Namespace) -> Report:
    """Say that the bundle holds, and what was checked."""
    bundle = _verified(arguments)
    data: JsonObject = {"ok": True, **_summary(bundle).data}
    return Report(
        data,
        (
            f"The bundle of {bundle.network.id} holds at {time_words(bundle.verified_at)}.",
            f"Checked from the root fingerprint {bundle.root_sha256}: root chain, thresholds, versions, lifetimes,",
            f"every target's hash, {len(bundle.members)} members and their statements. Valid until "
            f"{time_words(bundle.expires_at)}.",
            *_alarms(bundle),
        ),
    )


ACTIONS: Mapping[str, Action] = {
    "init": init,
    "sign-online": sign_online,
    "suspend": suspend,
    "reinstate": reinstate,
    "fetch": fetch,
    "show": show,
    "verify": verify,
}


def _verified(arguments: argparse.Namespace) -> TrustedBundle:
    root_sha256 = _fingerprint(arguments)
    at = int(time.time()) if arguments.at is None else read_time(arguments.at)
    return verify_bundle(read_bundle(arguments.bundle), root_sha256=root_sha256, at=at)


def _fingerprint(arguments: argparse.Namespace) -> str:
    if not arguments.root_sha256:
        raise RootFingerprintMissing
    return read_fingerprint(str(arguments.root_sha256))


def read_time(text: str) -> int:
    """Return Unix seconds. Raises: TimeInvalid; a time without a zone is one, because it could mean two moments."""
    try:
        if text.isascii() and text.isdigit():
            return int(datetime.fromtimestamp(int(text), UTC).timestamp())
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise TimeInvalid(text=text[:100]) from error
    if moment.tzinfo is None:
        raise TimeInvalid(text=text[:100])
    return int(moment.timestamp())


def _summary(bundle: TrustedBundle) -> Report:
    view = bundle.view
    members: list[Json] = [
        {
            "id": member.id,
            "kind": member.kind,
            "legal_name": member.legal_name,
            "country": member.country,
            "organization_type": member.organization_type,
            "endpoint": member.endpoint or None,
            "suspended": member.suspended,
            "unusable": bundle.unusable[member.id].code if member.id in bundle.unusable else None,
            "may_assert": {
                "affiliations": [*sorted(member.may_assert.affiliations)],
                "roles": [*sorted(member.may_assert.roles)],
                "clearance_max": int(member.may_assert.clearance_max),
            },
        }
        for member in bundle.members.values()
    ]
    data: JsonObject = {
        "network": {"id": bundle.network.id, "name": bundle.network.name},
        "root_sha256": bundle.root_sha256,
        "view": {
            "root": view.root,
            "targets": view.targets,
            "snapshot": view.snapshot,
            "timestamp": view.timestamp,
            "snapshot_sha256": view.snapshot_sha256,
        },
        "verified_at": bundle.verified_at,
        "signed_at": bundle.signed_at,
        "expires_at": bundle.expires_at,
        "minimum_cell": bundle.network.minimum_cell,
        "purposes": [*bundle.network.purposes],
        "statistics_revision": bundle.statistics.revision,
        "members": members,
        "findings": [finding.code for finding in bundle.findings],
    }
    lines = [
        f"{bundle.network.name} ({bundle.network.id})",
        f"  root fingerprint {bundle.root_sha256}",
        f"  signed {time_words(bundle.signed_at)}, valid until {time_words(bundle.expires_at)}",
        f"  root {view.root}, targets {view.targets}, snapshot {view.snapshot}, timestamp {view.timestamp}",
        *(f"  {_member_line(member)}" for member in bundle.members.values()),
    ]
    return Report(data, (*lines, *_alarms(bundle)))


def _member_line(member: Member) -> str:
    state = "SUSPENDED" if member.suspended else member.endpoint or "UNUSABLE"
    return f"{member.kind:<12} {member.id:<24} {member.legal_name} ({member.country}), {state}"


def _alarms(bundle: TrustedBundle) -> tuple[str, ...]:
    unusable = (f"  ! {error.code}: {error}" for error in bundle.unusable.values())
    return (*unusable, *(f"  ! {finding.code}: {finding}" for finding in bundle.findings))


def _print(report: Report, *, is_json: bool) -> None:
    print(as_json(report.data) if is_json else "\n".join(map(plain, report.lines)), flush=True)
