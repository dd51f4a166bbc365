"""`concordat verify ANSWER --bundle ZIP (--root-sha256 HEX | --network NAME) [--at TIME]`: offline, years later.

Nothing is fetched and nothing is believed but the root fingerprint, which a person gave: on the command line, or once
with `--pin`. Every signature is checked against the network as it was when it was made, or at TIME, never at now.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from concordat_client.exits import Exit

if TYPE_CHECKING:
    from concordat_trust.bundle.trusted import TrustedBundle

ANSWER_BYTES_MAX = 64_000_000
_DESCRIPTION = (
    "Check a saved answer offline: who asked what, who answered, that no record was altered, added or left out, and "
    "that order, sums and completeness follow from the answers."
)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    verify = subparsers.add_parser("verify", help="check a saved answer or walk offline", description=_DESCRIPTION)
    verify.add_argument(
        "answer", type=Path, metavar="ANSWER", help="a file that search, show or lineage wrote with --save"
    )
    add_bundle_arguments(verify)
    verify.add_argument("--pin", action="store_true", help="when all holds, remember --root-sha256 for this network")
    verify.set_defaults(run=run_verify)


def add_bundle_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every offline check needs: the bundle, the root fingerprint, a time."""
    parser.add_argument("--bundle", type=Path, required=True, metavar="ZIP", help="the network's trust bundle")
    root = parser.add_mutually_exclusive_group()
    root.add_argument("--root-sha256", metavar="HEX", help="root fingerprint, as a keyholder gave it to you")
    root.add_argument("--network", metavar="NAME", help="a network whose root fingerprint is pinned here")
    parser.add_argument("--at", metavar="TIME", help="verify at this time instead of the time of the signatures")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run_verify(arguments: argparse.Namespace) -> int:
    """Verify and say in words what was checked."""
    from concordat_client.config import config_dir, pin_root
    from concordat_client.plain_text import as_json
    from concordat_client.verify_words import answer_lines
    from concordat_trust.answer import SavedAnswer, verify_saved_answer
    from concordat_trust.saved_walk import first_answer, is_saved_walk

    data = _read(arguments.answer)
    root_sha256 = given_root(arguments, lambda: SavedAnswer.parse(first_answer(data)).network)
    if is_saved_walk(data):
        return _verify_walk(data, arguments, root_sha256)
    verified = verify_saved_answer(data, bundle_at=bundle_reader(arguments, root_sha256))
    if arguments.pin and arguments.root_sha256:
        pin_root(config_dir(), verified.saved.network, root_sha256)
    if arguments.json:
        records = len(verified.explanation.records)
        print(as_json({"ok": True, "records_proven": records, **verified.explanation.to_json()}))
    else:
        for line in answer_lines(verified, at=arguments.at):
            print(line)
    return Exit.DONE


def _verify_walk(data: bytes, arguments: argparse.Namespace, root_sha256: str) -> int:
    """Verify every round of a saved walk, walk it again, and say so."""
    from concordat_client.config import config_dir, pin_root
    from concordat_client.plain_text import as_json
    from concordat_client.verify_words import walk_lines
    from concordat_trust.saved_walk import verify_saved_walk

    verified = verify_saved_walk(data, bundle_at=bundle_reader(arguments, root_sha256))
    if arguments.pin and arguments.root_sha256:
        pin_root(config_dir(), verified.rounds[0].saved.network, root_sha256)
    if arguments.json:
        rounds = [each.explanation.to_json() for each in verified.rounds]
        records = sum(len(each.explanation.records) for each in verified.rounds)
        picture = verified.picture.to_json()
        print(as_json({"ok": True, "picture": picture, "records_proven": records, "rounds": list(rounds)}))
        return Exit.DONE
    for line in walk_lines(verified):
        print(line)
    return Exit.DONE


def given_root(arguments: argparse.Namespace, named: Callable[[], str]) -> str:
    """Return the fingerprint given, else the one pinned for the network given, else for the one the file names.

    Raises: RootNotPinned, and what `named` raises.
    """
    from concordat_client.config import config_dir, pinned_root
    from concordat_client.fingerprint import read_fingerprint

    if arguments.root_sha256:
        return read_fingerprint(str(arguments.root_sha256))
    return pinned_root(config_dir(), arguments.network or named())


def bundle_reader(arguments: argparse.Namespace, root_sha256: str) -> Callable[[int], TrustedBundle]:
    """Return what gives the verified state of the network at a time, or at TIME. Raises: the refusals of the bundle."""
    from concordat_client.trust_report import read_time
    from concordat_trust.bundle.store import read_bundle
    from concordat_trust.bundle.verify import verify_bundle

    files = read_bundle(arguments.bundle)
    fixed = None if arguments.at is None else read_time(arguments.at)
    verified: dict[int, TrustedBundle] = {}

    def bundle_at(at: int) -> TrustedBundle:
        moment = at if fixed is None else fixed
        if moment not in verified:
            verified[moment] = verify_bundle(files, root_sha256=root_sha256, at=moment)
        return verified[moment]

    return bundle_at


def _read(path: Path) -> bytes:
    from concordat_client.errors import AnswerFileUnusable

    try:
        with path.open("rb") as file:
            return file.read(ANSWER_BYTES_MAX + 1)
    except OSError as error:
        raise AnswerFileUnusable(path=str(path), problem=error.strerror) from error
