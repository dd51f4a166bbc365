"""How long after a keyholder's signature the last party refuses the suspended organization, on the clock.

Everything is what runs in earnest: the keyholder's signature into the repository, the online signer that finds and
publishes it over HTTP, and parties that poll at their own pace. Nobody else takes part, no coordinator either.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from concordat_client.bench.errors import BenchProcessFailed
from concordat_client.bench.network import BenchNetwork, endpoints_of, found, organization_names
from concordat_trust.bundle.online_signer import CHECK_INTERVAL_S, OnlineSigner, RepositoryServer
from concordat_trust.bundle.poll import POLL_INTERVAL_S, POLL_JITTER_S, BundlePoller
from concordat_trust.bundle.store import publish, publish_suspension, read_repository
from concordat_trust.bundle.suspension import suspend
from concordat_trust.directory import OrganizationSuspended, require_standing
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId

WAIT_MAX_S = 180.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How many parties poll, how often, and how often the online signer looks for something new."""

    parties: int = 3
    interval_s: float = POLL_INTERVAL_S
    check_s: float = CHECK_INTERVAL_S


def suspension_s(pace: Pace) -> float:
    """Return the seconds until the last party refuses. Raises: BenchProcessFailed when one never does."""
    names = organization_names(pace.parties + 1)
    network = found(endpoints_of(names, range(2, len(names) + 2), 1), at=int(time.time()))
    suspended = names[-1]
    with tempfile.TemporaryDirectory() as folder, _signing(network, Path(folder) / "repository", pace) as url:
        stop = threading.Event()
        parties = [_Party(network, url, Path(folder) / str(number), pace, stop) for number in range(pace.parties)]
        try:
            started = time.monotonic()
            signed = suspend(
                read_repository(Path(folder) / "repository"),
                root_sha256=network.root_sha256,
                organization=suspended,
                reason="a measurement",
                keyholder=network.keyholder,
                at=int(time.time()),
            )
            publish_suspension(Path(folder) / "repository", signed)
            while not all(party.refuses(suspended) for party in parties):
                if time.monotonic() - started > WAIT_MAX_S:
                    raise BenchProcessFailed(name="a polling party")
                time.sleep(0.02)
            return time.monotonic() - started
        finally:
            stop.set()
            for party in parties:
                party.thread.join()


class _Party:
    """A poller that polls as a node does, beginning somewhere within its interval."""

    def __init__(self, network: BenchNetwork, url: str, state: Path, pace: Pace, stop: threading.Event) -> None:
        self._spread = random.Random(state.name)
        self._pace, self._stop = pace, stop
        self._poller = BundlePoller(
            root_sha256=network.root_sha256,
            mirrors=[url],
            state=state,
            clock=lambda: int(time.time()),
            jitter=self._spread.random,
        )
        self._poller.poll()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def refuses(self, organization: OrgId) -> bool:
        try:
            require_standing(self._poller.bundle(), organization)
        except OrganizationSuspended:
            return True
        return False

    def _run(self) -> None:
        share = POLL_JITTER_S / POLL_INTERVAL_S
        while not self._stop.wait(self._pace.interval_s * (1 + share * (2 * self._spread.random() - 1))):
            with contextlib.suppress(ConcordatError):
                self._poller.poll()


@contextlib.contextmanager
def _signing(network: BenchNetwork, folder: Path, pace: Pace) -> Iterator[str]:
    """Serve the repository and sign what is new in it, as `concordat trust sign-online` does."""
    publish(folder, network.files)
    signer = OnlineSigner(folder, network.online, clock=lambda: int(time.time()))
    server, stop = RepositoryServer(folder, "127.0.0.1", 0), threading.Event()

    def sign() -> None:
        while not stop.wait(pace.check_s):
            signer.refresh()

    signer.refresh()
    threads = [
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True),
        threading.Thread(target=sign, daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield server.url
    finally:
        stop.set()
        server.shutdown()
        for thread in threads:
            thread.join()
        server.server_close()
