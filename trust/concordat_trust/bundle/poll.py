"""Keeping a verified bundle current: poll every mirror, verify twice, keep the last good copy.

`tuf.ngclient` runs the client workflow with its own cache against a mirror; then `verify_bundle` verifies the same
files with our rules and our memory. Only what both accept is taken. When a poll fails, the bundle in hand stays in
force until it expires; then every call for it is refused, and only local use goes on.

A mirror may withhold what is new and still serve a valid bundle. So each poll asks all mirrors, in order: a state that
is older than the one in hand is refused, so the newest of them stands, and a mirror that hides a suspension hides it
from nobody who also asks an honest one. With nothing new this costs two small files for each mirror.

Nodes serve the bundle they have in force, and each poll asks one of them too, all in turn; when no mirror gives a
bundle, it asks up to PEERS_ASKED_MAX. A node is believed no more than a mirror. So who holds every mirror still hides
nothing for long from a party that reaches an honest node.

First contact needs the root fingerprint and a mirror, and trusts nothing else: there is no trust on first use.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from concordat_trust.bundle.errors import (
    BundleBootstrapMismatch,
    BundleDirectoryUnwritable,
    BundleExpired,
    BundleMalformed,
    BundleUnavailable,
    MirrorUnreachable,
)
from concordat_trust.bundle.fetcher import HttpFetcher, RecordingFetcher
from concordat_trust.bundle.files import TARGETS
from concordat_trust.bundle.members import MEMBERS, statement_path
from concordat_trust.bundle.memory import BundleMemory
from concordat_trust.bundle.metadata import BYTES_MAX, parse_metadata
from concordat_trust.bundle.statement import STATEMENT_BYTES_MAX
from concordat_trust.bundle.store import archive_bytes, read_archive, read_repository, write_atomically
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.bundle.tuf_api import Targets
from concordat_trust.bundle.tuf_client import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    FetcherInterface,
    RepositoryError,
)
from concordat_trust.bundle.updater import ClockedUpdater, Places, with_slash
from concordat_trust.bundle.verify import NETWORK_PATH, STATISTICS_PATH, SUSPENDED, SUSPENDED_PATH, verify_bundle
from concordat_trust.encoding import sha256_hex
from concordat_trust.errors import ConcordatError
from concordat_trust.failure_log import without_texts

POLL_INTERVAL_S = 20.0
POLL_JITTER_S = 4.0
MIRRORS_MAX = 8
PEERS_ASKED_MAX = 4
PEER_TIMEOUT_S = 3.0
PEER_DEADLINE_S = 10.0
"""A node that is away must not hold up the next poll of the mirrors."""
MIRROR_DEADLINE_S = 120.0
"""After how long a mirror is asked for no further file in one poll: a slow one must not stand before the next."""
_log = logging.getLogger(__name__)


def is_mirror_address(text: str) -> bool:
    """Return whether bundles can be fetched from here. Plain http will do: what comes is verified, not believed."""
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_bare = not parts.query and not parts.fragment and "@" not in parts.netloc
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port_is_valid and is_bare


class BundlePoller:
    """The trust bundle of one party, as current as its mirrors allow.

    `state` is a folder of its own: the client's cache, `bundle.zip` (the last good copy) and `memory.json`.
    """

    def __init__(
        self,
        *,
        root_sha256: str,
        mirrors: Sequence[str],
        state: Path,
        clock: Callable[[], int],
        jitter: Callable[[], float],
        fetcher: FetcherInterface | None = None,
        peers: Callable[[TrustedBundle], Sequence[str]] = lambda _: (),
        peer_fetcher: FetcherInterface | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if len(mirrors) > MIRRORS_MAX:
            raise RuntimeError(f"a party asks at most {MIRRORS_MAX} mirrors")
        self._root_sha256 = root_sha256
        self._mirrors = tuple(map(with_slash, mirrors))
        self._state = state
        self._clock = clock
        self._jitter = jitter
        self._fetcher = HttpFetcher() if fetcher is None else fetcher
        self._peers = peers
        self._peer_fetcher = self._fetcher if peer_fetcher is None else peer_fetcher
        self._turn = int(jitter() * 1_000)
        self._monotonic = monotonic
        self._current: TrustedBundle | None = None
        self._memory: BundleMemory | None = None
        self.last_error: ConcordatError | None = None
        """Why the last poll brought nothing; None when it was good."""
        self.mirror_errors: Mapping[str, ConcordatError] = {}
        """What was wrong at the last poll, by mirror: `bundle_rollback` is one that stays behind the others."""
        self.peer_errors: Mapping[str, ConcordatError] = {}
        """The same of the nodes that were asked; one that is a poll behind is nothing unusual."""

    def bundle(self) -> TrustedBundle:
        """Return the bundle in force. Raises: BundleUnavailable, BundleExpired (fail closed)."""
        current = self._current
        if current is None:
            raise BundleUnavailable
        now = self._clock()
        if now >= current.expires_at:
            raise BundleExpired(role="the bundle", expires_at=current.expires_at, at=now)
        return current

    def load(self) -> TrustedBundle | None:
        """Return the last good copy, if there is one that still holds; what is remembered is kept in any case.

        Raises: RefusedDocument or OperatorError when the state is there and cannot be believed.
        """
        memory = self._state / "memory.json"
        if memory.is_file():
            self._memory = BundleMemory.parse(memory.read_bytes())
        archive = self._state / "bundle.zip"
        if not archive.is_file():
            return None
        try:
            return self._take(read_archive(archive))
        except BundleExpired:
            return None

    def poll(self) -> TrustedBundle:
        """Return the newest bundle of all mirrors and of some nodes; a good one is enough. Blocking.

        Raises: the error of the last mirror when none was good, a RefusedDocument or a MirrorUnreachable.
        """
        newest, errors = self._newest(self._mirrors, self._fetcher, deadline_s=MIRROR_DEADLINE_S)
        self._remember(errors)
        of_peers, self.peer_errors = self._newest(
            self._next_peers(are_mirrors_good=newest is not None), self._peer_fetcher, deadline_s=PEER_DEADLINE_S
        )
        newest = of_peers or newest
        if newest is None:
            self.last_error = next(reversed(errors.values()), BundleUnavailable())
            raise self.last_error
        self.last_error = None
        return newest

    def _newest(
        self, addresses: Sequence[str], fetcher: FetcherInterface, *, deadline_s: float
    ) -> tuple[TrustedBundle | None, dict[str, ConcordatError]]:
        errors: dict[str, ConcordatError] = {}
        newest: TrustedBundle | None = None
        for address in addresses:
            try:
                newest = self._poll(address, fetcher, deadline_s)
            except ConcordatError as failed:
                errors[address] = failed
            finally:
                if isinstance(fetcher, HttpFetcher):
                    fetcher.close()
        return newest, errors

    def _next_peers(self, *, are_mirrors_good: bool) -> Sequence[str]:
        # Their addresses come from the last verified bundle, also when that has expired: what they serve is verified.
        peers = [] if self._current is None else [*map(with_slash, self._peers(self._current))]
        asked = min(len(peers), 1 if are_mirrors_good else PEERS_ASKED_MAX)
        first, self._turn = self._turn, self._turn + asked
        return [peers[(first + n) % len(peers)] for n in range(asked)]

    def _remember(self, errors: Mapping[str, ConcordatError]) -> None:
        before = {mirror: error.code for mirror, error in self.mirror_errors.items()}
        self.mirror_errors = errors
        for mirror, error in errors.items():
            # Once, not at every poll: a mirror that is away for a night must not bury the other lines.
            if before.get(mirror) != error.code:
                _log.warning("mirror %s gives no bundle: %s", mirror, error.code)

    async def polled(self) -> TrustedBundle:
        """Return what `poll` returns, from a thread that a stop does not wait for.

        A mirror may hold a poll up for long. Nothing is lost with it, because whole files are written or none.
        Raises: as `poll`.
        """
        outcome: concurrent.futures.Future[TrustedBundle] = concurrent.futures.Future()

        def work() -> None:
            try:
                outcome.set_result(self.poll())
            except BaseException as error:  # noqa: BLE001  # handed over to the task that waits
                outcome.set_exception(error)

        threading.Thread(target=work, name="bundle-poll", daemon=True).start()
        return await asyncio.shield(asyncio.wrap_future(outcome))

    async def run(self) -> None:
        """Poll for ever, every POLL_INTERVAL_S with jitter; a failed poll is remembered and logged, never raised."""
        while True:
            try:
                await self.polled()
            except ConcordatError as error:
                _log.warning("bundle poll failed: %s", error.code)
            except Exception as error:  # noqa: BLE001  # whatever a mirror brought about, the next poll must come
                _log.error("bundle poll failed: %s", without_texts(error))
            await asyncio.sleep(POLL_INTERVAL_S + POLL_JITTER_S * (2 * self._jitter() - 1))

    def _poll(self, mirror: str, inner: FetcherInterface, deadline_s: float) -> TrustedBundle:
        give_up_at = self._monotonic() + deadline_s
        fetcher = RecordingFetcher(inner, mirror, is_late=lambda: self._monotonic() >= give_up_at)
        at = self._clock()
        try:
            if self._current is not None and self._has_nothing_new(self._current, fetcher, mirror):
                return self._current
            places = Places.of_mirror(mirror, self._state / "tuf")
            updater = ClockedUpdater(places, fetcher=fetcher, bootstrap=self._first_root(fetcher, mirror), at=at)
            updater.refresh()
            if self._current is not None and self._is_unchanged(self._current):
                return self._current
            self._fetch_targets(updater)
        except RepositoryError as error:
            # Our verifier names what the library refused; should it not agree, the library's refusal stands.
            verify_bundle(self._kept() | fetcher.files, root_sha256=self._root_sha256, at=at, memory=self._memory)
            raise BundleMalformed(document="bundle", problem=f"the TUF client refuses it: {error}") from error
        except DownloadError as error:
            raise MirrorUnreachable(mirror=mirror, problem=str(error)) from error
        except OSError as error:
            raise BundleDirectoryUnwritable(path=str(self._state), problem=error.strerror) from error
        bundle = self._take(fetcher.files | self._kept(), at)
        write_atomically(self._state / "bundle.zip", archive_bytes(bundle.files))
        write_atomically(self._state / "memory.json", bundle.memory.to_bytes())
        return bundle

    def _has_nothing_new(self, current: TrustedBundle, fetcher: FetcherInterface, mirror: str) -> bool:
        """Tell whether the mirror serves exactly the state in hand; the client workflow is not needed then."""
        if self._clock() >= current.expires_at:
            return False
        try:
            fetcher.download_bytes(f"{mirror}{current.view.root + 1}.root.json", BYTES_MAX["root"])
        except DownloadHTTPError as error:
            is_newest_root = error.status_code in (403, 404)
            timestamp = fetcher.download_bytes(f"{mirror}timestamp.json", BYTES_MAX["timestamp"])
            return is_newest_root and timestamp == current.files["timestamp.json"]
        return False

    def _first_root(self, fetcher: FetcherInterface, mirror: str) -> bytes:
        kept = self._state / "tuf" / "metadata" / "root_history" / "1.root.json"
        if kept.is_file():
            data = kept.read_bytes()
        else:
            data = fetcher.download_bytes(f"{mirror}1.root.json", BYTES_MAX["root"])
        if sha256_hex(data) != self._root_sha256:
            raise BundleBootstrapMismatch(expected=self._root_sha256)
        return data

    def _is_unchanged(self, current: TrustedBundle) -> bool:
        timestamp = self._state / "tuf" / "metadata" / "timestamp.json"
        return timestamp.read_bytes() == current.files["timestamp.json"]

    def _fetch_targets(self, updater: ClockedUpdater) -> None:
        for path in self._target_paths():
            try:
                listed = updater.get_targetinfo(path)
                if listed is None or _is_too_long(path, listed.length):
                    continue
                if updater.find_cached_target(listed) is None:
                    updater.download_target(listed)
            except (RepositoryError, DownloadHTTPError, DownloadLengthMismatchError):
                # One member's fault, or a mirror that withholds: our verifier tells the two apart.
                continue

    def _target_paths(self) -> list[str]:
        data = (self._state / "tuf" / "metadata" / "targets.json").read_bytes()
        targets = parse_metadata(data, Targets, role="targets", bytes_max=BYTES_MAX["targets"]).signed
        roles = targets.delegations.roles if targets.delegations is not None else None
        members = [] if roles is None else [statement_path(role) for role in roles if role != SUSPENDED]
        return [NETWORK_PATH, STATISTICS_PATH, SUSPENDED_PATH, *members]

    def _kept(self) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        folder = self._state / "tuf"
        for name, data in read_repository(folder / "metadata").items():
            files[name.removeprefix("root_history/")] = data
        if (folder / "metadata" / "targets.json").is_file():
            for path in self._target_paths():
                kept = folder / "targets" / quote(path, "")
                if kept.is_file():
                    files[TARGETS + path] = kept.read_bytes()
        return files

    def _take(self, files: dict[str, bytes], at: int | None = None) -> TrustedBundle:
        bundle = verify_bundle(
            files, root_sha256=self._root_sha256, at=self._clock() if at is None else at, memory=self._memory
        )
        self._memory = bundle.memory
        self._current = bundle
        return bundle


def _is_too_long(path: str, length: int) -> bool:
    # What the verifier refuses unread needs no fetching: one member must not make everybody fetch megabytes.
    return path.startswith(MEMBERS) and length > STATEMENT_BYTES_MAX
