"""A suspension is refused by every node that reaches a mirror within 60 seconds, with no coordinator at all.

On a clock of events: real pollers, the intervals of `concordat_node.app`, a mirror that swallows
connections, one that withholds. And once more with real processes, whose coordinator is stopped first.
"""

from __future__ import annotations

import heapq
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

import pytest

from concordat_client.demo.layout import lay_out, read_topology
from concordat_client.demo.network import running
from concordat_client.demo.suspension import SUSPENDED, asking_member, suspend
from concordat_node.app import JITTER_SHARE
from concordat_node.settings import options
from concordat_trust.bundle import TrustedBundle
from concordat_trust.bundle.fetcher import SOCKET_TIMEOUT_S
from concordat_trust.bundle.online_signer import CHECK_INTERVAL_S
from concordat_trust.bundle.poll import PEER_TIMEOUT_S, BundlePoller
from concordat_trust.bundle.serving import BUNDLE_PATH, repository_files
from concordat_trust.bundle.tuf_client import DownloadError, DownloadHTTPError, FetcherInterface
from concordat_trust.directory import OrganizationSuspended, require_standing
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from tests.factories.network import NOW, make_network
from tests.factories.repository import Repository

SECONDS_MAX = 60
THROUGH_NODES_SECONDS_MAX = 120
"""For a node whose every mirror is dead or withholds: another node tells it, long before `bundle_age_max_s`."""
POLL_S = float(next(o.default or 0 for o in options() if o.name == "bundle_poll_s"))
NETWORK = make_network()
STOLEN = OrgId("vitalis")
NODES = tuple(org for org in NETWORK.bundle.organizations if org != STOLEN)
HONEST, DEAD, OLD = "https://honest.test/", "https://dead.test/", "https://old.test/"


class World(FetcherInterface):
    """Mirrors and nodes under their addresses; a dead one costs whoever asks it the whole timeout."""

    def __init__(self, folder: Path, mirrors: Mapping[OrgId, tuple[str, ...]]) -> None:
        self.repo = Repository(NETWORK)
        self.now = float(NOW)
        self.old = dict(self.repo.files)
        self.pollers = {
            org: BundlePoller(
                root_sha256=self.repo.root_sha256,
                mirrors=mirrors[org],
                state=folder / org,
                clock=lambda: int(self.now),
                jitter=lambda: 0.0,
                fetcher=self,
                peers=lambda bundle, org=org: [_address(other) for other in bundle.organizations if other != org],  # type: ignore[misc]
                monotonic=lambda: self.now,
            )
            for org in NODES
        }

    def _fetch(self, url: str) -> Iterator[bytes]:
        base = next((b for b in (HONEST, DEAD, OLD) if url.startswith(b)), url[: url.find(BUNDLE_PATH)] + BUNDLE_PATH)
        files = self._served(base)
        if files is None:
            self.now += SOCKET_TIMEOUT_S if base == DEAD else PEER_TIMEOUT_S
            raise DownloadError("nobody answers")
        name = url.removeprefix(base)
        if name not in files:
            raise DownloadHTTPError("not here", 404)
        return iter([files[name]])

    def _served(self, base: str) -> Mapping[str, bytes] | None:
        if base in (HONEST, OLD):
            return self.repo.files if base == HONEST else self.old
        bundle = next((in_force(p) for org, p in self.pollers.items() if _address(org) == base), None)
        return None if bundle is None else repository_files(bundle)

    def suspend(self) -> None:
        """Let one keyholder sign; the online signer finds it at the end of its own interval."""
        self.now += CHECK_INTERVAL_S
        self.repo.publish_suspended({STOLEN: 2}, 2, at=int(self.now))
        self.repo.renew(int(self.now))


def _address(org: OrgId) -> str:
    return NETWORK.bundle.member(org).endpoint + BUNDLE_PATH


def in_force(poller: BundlePoller) -> TrustedBundle | None:
    try:
        return poller.bundle()
    except ConcordatError:
        return None


def knows(poller: BundlePoller) -> bool:
    bundle = in_force(poller)
    return bundle is not None and bundle.member(STOLEN).suspended


def seconds_until_all_know(world: World, random: Random) -> float:
    """Return after how many seconds the last node knows of a suspension that comes when all have just polled."""
    for poller in world.pollers.values():
        poller.poll()
    started = world.now
    world.suspend()
    due = [(started + _interval_s(random), org) for org in NODES]
    heapq.heapify(due)
    while not all(map(knows, world.pollers.values())):
        at, org = heapq.heappop(due)
        # Each node has a clock of its own: a poll that waits delays nobody else.
        world.now = at
        try:
            world.pollers[org].poll()
        except ConcordatError:
            assert world.now - started < 10 * SECONDS_MAX
        heapq.heappush(due, (world.now + _interval_s(random), org))
    return world.now - started


def _interval_s(random: Random) -> float:
    return POLL_S * (1 + JITTER_SHARE * (2 * random.random() - 1))


MIRRORS: dict[str, dict[OrgId, tuple[str, ...]]] = {
    "one honest mirror": dict.fromkeys(NODES, (HONEST,)),
    "the first mirror is dead": dict.fromkeys(NODES, (DEAD, HONEST)),
    "the second mirror withholds": dict.fromkeys(NODES, (HONEST, OLD)),
}
LEFT_ALONE: dict[str, dict[OrgId, tuple[str, ...]]] = {
    "one node has only a mirror that withholds": {NODES[0]: (OLD,), NODES[1]: (HONEST,)},
    "one node has only a dead mirror": {NODES[0]: (DEAD,), NODES[1]: (HONEST,)},
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mirrors", [*MIRRORS, *LEFT_ALONE])
def test_every_node_refuses_within_a_minute_and_no_coordinator_is_needed(
    mirrors: str, seed: int, tmp_path: Path
) -> None:
    # A node with a dead mirror alone got its first bundle when the mirror was alive.
    world = World(tmp_path, dict.fromkeys(NODES, (HONEST,)))
    for poller in world.pollers.values():
        poller.poll()
    for org, poller in world.pollers.items():
        poller._mirrors = (MIRRORS | LEFT_ALONE)[mirrors][org]
    most = SECONDS_MAX if mirrors in MIRRORS else THROUGH_NODES_SECONDS_MAX
    assert seconds_until_all_know(world, Random(seed)) <= most
    for poller in world.pollers.values():
        # With such a bundle every door refuses it: `test_suspension`.
        with pytest.raises(OrganizationSuspended):
            require_standing(poller.bundle(), STOLEN)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_real_nodes_refuse_within_a_minute_while_their_coordinator_is_down(tmp_path: Path) -> None:
    topology = read_topology()
    layout = lay_out(tmp_path, topology, at=int(time.time()))
    handler = signal.getsignal(signal.SIGINT)
    try:
        with running(layout) as network:
            network.start()
            network.wait_ready()
            network.children.running[topology.coordinator].stop()
            member = asking_member(layout, STOLEN)
            waiting = {org for org in member.bundle.organizations if org != STOLEN}
            assert [member.refused_by(node) for node in waiting] == [None] * len(waiting)
            started = time.monotonic()
            assert suspend(layout, STOLEN)
            while waiting and time.monotonic() - started <= SECONDS_MAX:
                time.sleep(0.2)
                waiting = {node for node in waiting if member.refused_by(node) != SUSPENDED}
            assert waiting == set()
    finally:
        signal.signal(signal.SIGINT, handler)
