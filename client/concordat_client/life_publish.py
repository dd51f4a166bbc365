"""`concordat trust publish`: from approvals, or an organization's own file, to the folder that is served.

No key is needed here. The repository is verified before, and what would come of it; new files only are added.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from concordat_client.ceremony import FINGERPRINT
from concordat_client.exits import Exit
from concordat_client.life_files import HandOverUnusable, kind_of, read_file
from concordat_client.trust_report import Report, fingerprint
from concordat_trust.bundle.life.approval import Approval, parse_approval
from concordat_trust.bundle.life.difference import differences
from concordat_trust.bundle.life.founding import Founding, PreparedFounding
from concordat_trust.bundle.life.publishing import (
    complete,
    complete_founding,
    complete_own_role,
    parse_own_role,
)
from concordat_trust.bundle.repository import Files
from concordat_trust.bundle.store import publish_new, read_repository, write_atomically
from concordat_trust.bundle.verify import verify_bundle
from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.encoding import sha256_hex
from concordat_trust.errors import OperatorError
from concordat_trust.public_statistics import public_statistics_file

TRANSCRIPT = "transcript.json"


class RepositoryTaken(OperatorError):
    exit = Exit.USAGE
    code = "repository_taken"
    sentence = "{path} is there already."
    hint = "A network is founded once, in a new folder."


def publish(arguments: argparse.Namespace) -> Report:
    """Publish what was approved, or what an organization signed about itself."""
    files = [read_file(path) for path in arguments.files]
    if kind_of(files[0], arguments.files[0]) == "own_role":
        return _own(files, arguments)
    approvals = [parse_approval(data) for data in files]
    if isinstance(approvals[0].change, Founding):
        return _found(approvals, arguments)
    now, root_sha256 = int(time.time()), fingerprint(arguments)
    bundle = verify_bundle(read_repository(arguments.repository), root_sha256=root_sha256, at=now)
    prepared, new = complete(bundle, approvals, at=now)
    words = differences(bundle, prepared)
    publish_new(arguments.repository, new)
    return _told(bundle.network.id, new, words)


def _own(files: list[bytes], arguments: argparse.Namespace) -> Report:
    if len(files) != 1:
        raise HandOverUnusable(path=str(arguments.files[1]), problem="an organization's own file is published alone")
    own = parse_own_role(files[0])
    now, root_sha256 = int(time.time()), fingerprint(arguments)
    bundle = verify_bundle(read_repository(arguments.repository), root_sha256=root_sha256, at=now)
    new = complete_own_role(bundle, own, at=now)
    publish_new(arguments.repository, new)
    return _told(bundle.network.id, new, (f"~ {own.organization} renewed what it says of itself",))


def _told(network: str, new: Files, words: tuple[str, ...]) -> Report:
    names: list[Json] = [*sorted(new, key=lambda name: ("/" not in name, name))]
    return Report(
        {"network": network, "files": names, "difference": [*words]},
        (
            *words,
            "Published. The online signer takes it up within seconds; every party follows at its next poll.",
            "New files, to be copied in this order if the signer runs on another machine:",
            *(f"  {name}" for name in names),
        ),
    )


def _found(approvals: list[Approval], arguments: argparse.Namespace) -> Report:
    folder: Path = arguments.repository
    if folder.exists():
        raise RepositoryTaken(path=str(folder))
    statistics = public_statistics_file() if arguments.statistics is None else read_file(arguments.statistics)
    now = int(time.time())
    prepared, new = complete_founding(approvals, statistics=statistics, at=now)
    root_sha256 = sha256_hex(new["1.root.json"])
    transcript = _transcript(prepared, approvals, new, now)
    publish_new(folder, new)
    write_atomically(folder.absolute().parent / FINGERPRINT, root_sha256.encode("ascii") + b"\n")
    write_atomically(folder.absolute().parent / TRANSCRIPT, canonical_bytes(transcript) + b"\n")
    network = prepared.founding.policy.id
    return Report(
        {"network": network, "root_sha256": root_sha256, "repository": str(folder), "transcript": transcript},
        (
            f"Network {network} is founded.",
            f"Root fingerprint (every keyholder writes it down and hands it over by another channel): {root_sha256}",
            f"Repository: {folder}; transcript of the ceremony: {folder.absolute().parent / TRANSCRIPT}",
        ),
    )


def _transcript(prepared: PreparedFounding, approvals: list[Approval], new: Files, at: int) -> JsonObject:
    """Return who founded what with which keys, for the minutes of the ceremony."""
    founding = prepared.founding
    signed = {(s.key_id, s.document) for approval in approvals for s in approval.signatures}
    keyholders: list[Json] = [
        {
            "name": part.name,
            "key_id": part.key_id,
            "signed": [d.name for d in prepared.documents if (part.key_id, d.name) in signed],
        }
        for part in founding.keyholders
    ]
    thresholds: list[Json] = [
        {"document": d.name, "keys": len(keys), "threshold": threshold}
        for d in prepared.documents
        for keys, threshold in d.quorums
    ]
    digests: list[Json] = [
        {"file": name, "sha256": sha256_hex(data), "bytes": len(data)} for name, data in sorted(new.items())
    ]
    return {
        "transcript_version": 1,
        "network": founding.policy.id,
        "root_sha256": sha256_hex(new["1.root.json"]),
        "proposed_at": founding.made_at,
        "published_at": at,
        "keyholders": keyholders,
        "online_signer": {"name": founding.online.name, "key_id": founding.online.key_id},
        "thresholds": thresholds,
        "files": digests,
    }
