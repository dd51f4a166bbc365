"""`concordat trust tuf-client`: the client of every party, driven by the public TUF client conformance suite.

It speaks the suite's protocol (theupdateframework/tuf-conformance, CLIENT-CLI.md): `init` pins a root, `refresh` runs
the client workflow, `download` fetches targets; exit code 0, or 1 for whatever was refused. It is `ClockedUpdater` with
`HttpFetcher`, as nodes run them; the numbered rules of a bundle are not asked, because the suite's repositories are
no networks of ours.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from concordat_client.exits import Exit
from concordat_client.plain_text import plain
from concordat_client.trust_report import read_time
from concordat_trust.bundle.fetcher import HttpFetcher
from concordat_trust.bundle.metadata import BYTES_MAX
from concordat_trust.bundle.store import write_atomically
from concordat_trust.bundle.tuf_client import DownloadError, RepositoryError
from concordat_trust.bundle.updater import ClockedUpdater, Places, with_slash
from concordat_trust.errors import ConcordatError, OperatorError, RefusedDocument

PINNED = "pinned-root"
"""The root given to `init`, beside the metadata; not `.json`, because it is no role."""


class TufClientRefused(RefusedDocument):
    exit = Exit.UNEXPECTED
    code = "tuf_client_refused"
    sentence = "The repository is refused: {problem}."
    hint = "This command speaks the protocol of the TUF conformance suite; a network's bundle is for `trust fetch`."


class TufClientUnusable(OperatorError):
    exit = Exit.UNEXPECTED
    code = "tuf_client_unusable"
    sentence = "{problem}."
    hint = "`init` needs a readable root; `refresh` --metadata-url; `download` the three --target options as well."


def init(arguments: argparse.Namespace) -> None:
    """Pin the given root. Asks nobody. Raises: TufClientUnusable, BundleDirectoryUnwritable."""
    root = _read(arguments.trusted_root)
    for name in (PINNED, "root.json"):
        write_atomically(arguments.metadata_dir / name, root)


def refresh(arguments: argparse.Namespace) -> None:
    """Bring the top-level metadata up to date. Raises: TufClientUnusable, and what the library raises."""
    with contextlib.closing(HttpFetcher()) as fetcher:
        _updater(arguments, fetcher).refresh()


def download(arguments: argparse.Namespace) -> None:
    """Fetch every target in the given order, unless it is there already.

    Raises: TufClientRefused, TufClientUnusable, and what the library raises.
    """
    if not arguments.target_name or arguments.target_dir is None or arguments.target_base_url is None:
        raise TufClientUnusable(problem="--target-name, --target-dir and --target-base-url are needed")
    with contextlib.closing(HttpFetcher()) as fetcher:
        updater = _updater(arguments, fetcher)
        for name in arguments.target_name:
            listed = updater.get_targetinfo(name)
            if listed is None:
                raise TufClientRefused(problem=f"no role lists {name[:200]!r}")
            if updater.find_cached_target(listed) is None:
                updater.download_target(listed)


ACTIONS: Mapping[str, Callable[[argparse.Namespace], None]] = {"init": init, "refresh": refresh, "download": download}


def run(arguments: argparse.Namespace) -> int:
    """Run one command of the protocol; whatever was refused ends with exit code 1."""
    try:
        ACTIONS[arguments.tuf_command](arguments)
    except (RepositoryError, DownloadError, ValueError, OSError) as error:
        return _told(TufClientRefused(problem=f"{type(error).__name__}: {error}"[:500]))
    except ConcordatError as error:
        return _told(error)
    return Exit.DONE


def _told(error: ConcordatError) -> int:
    print(plain(f"{error.code}: {error}"), file=sys.stderr)
    return Exit.UNEXPECTED


def _updater(arguments: argparse.Namespace, fetcher: HttpFetcher) -> ClockedUpdater:
    if arguments.metadata_url is None:
        raise TufClientUnusable(problem="--metadata-url is needed")
    folder: Path = arguments.metadata_dir
    places = Places(
        metadata_url=with_slash(arguments.metadata_url),
        metadata_dir=folder,
        target_url=with_slash(arguments.target_base_url or arguments.metadata_url),
        target_dir=folder / "targets" if arguments.target_dir is None else arguments.target_dir,
    )
    at = int(time.time()) if arguments.at is None else read_time(arguments.at)
    return ClockedUpdater(places, fetcher=fetcher, bootstrap=_read(folder / PINNED), at=at)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(BYTES_MAX["root"])
    except OSError as error:
        raise TufClientUnusable(problem=f"{path} cannot be read: {error.strerror}") from error
