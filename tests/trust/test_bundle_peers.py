"""Nodes hand on the bundle they have: a party that every mirror fails, or deceives, gets it from another node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from concordat_trust.bundle import TrustedBundle, verify_bundle
from concordat_trust.bundle.countdown import bundle_words, countdown, duration_words
from concordat_trust.bundle.errors import BundleExpired
from concordat_trust.bundle.poll import PEERS_ASKED_MAX, BundlePoller
from concordat_trust.bundle.serving import BUNDLE_PATH, ServedBundle, repository_files
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from tests.factories.mirror import Mirrors
from tests.factories.network import NOW
from tests.factories.repository import Repository

NORTH, VITALIS = OrgId("north-hospital"), OrgId("vitalis")
MIRROR = "http://mirror.test/"


class Handed(Mapping[str, bytes]):
    """What a node serves of the bundle it has at this moment."""

    def __init__(self, served: ServedBundle, names: Mapping[str, bytes]) -> None:
        self._served, self._names = served, names

    def __getitem__(self, name: str) -> bytes:
        data = self._served.file(name)
        if data is None:
            raise KeyError(name)
        return data

    def __contains__(self, name: object) -> bool:
        return self._served.file(str(name)) is not None

    def __iter__(self):  # type: ignore[no-untyped-def]  # never used
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Network:
    """A repository, one mirror, and two parties, each of which serves what it has."""

    def __init__(self, folder: Path) -> None:
        self.repo = Repository()
        self.now = NOW
        self.folder = folder
        self.fetcher = Mirrors({MIRROR: self.repo.files})
        self.parties: dict[OrgId, BundlePoller] = {}

    def party(self, org: OrgId, mirror: str = MIRROR) -> BundlePoller:
        poller = BundlePoller(
            root_sha256=self.repo.root_sha256,
            mirrors=[mirror],
            state=self.folder / org,
            clock=lambda: self.now,
            jitter=lambda: 0.0,
            fetcher=self.fetcher,
            peers=lambda bundle: [
                address(other) for other in bundle.organizations if other in self.parties and other != org
            ],
        )
        self.fetcher.files[address(org)] = Handed(ServedBundle(lambda: in_force(poller)), {})
        self.parties[org] = poller
        return poller

    def advance(self, seconds: int) -> None:
        self.now += seconds
        self.repo.renew(self.now)

    def asked(self, org: OrgId) -> int:
        return len([url for url in self.fetcher.asked if url.startswith(address(org))])


def address(org: OrgId) -> str:
    return f"https://{org}.example{BUNDLE_PATH}"


def in_force(poller: BundlePoller) -> TrustedBundle | None:
    try:
        return poller.bundle()
    except ConcordatError:
        return None


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network(tmp_path)


def test_what_a_node_serves_is_a_repository_that_verifies(network: Network) -> None:
    bundle = network.party(NORTH).poll()
    served = repository_files(bundle)
    assert {n: network.repo.files[n] for n in served} == dict(served)
    again = verify_bundle(served, root_sha256=network.repo.root_sha256, at=NOW)
    assert again.view == bundle.view


def test_a_party_whose_mirror_is_down_follows_another_node(network: Network) -> None:
    north, vitalis = network.party(NORTH), network.party(VITALIS)
    north.poll()
    vitalis.poll()
    network.repo.publish_suspended({"alma-university": 2}, 2)
    network.advance(60)
    north.poll()
    network.fetcher.down = {MIRROR}
    assert vitalis.poll().member(OrgId("alma-university")).suspended
    assert vitalis.bundle().expires_at == NOW + 60 + 3_600
    assert vitalis.mirror_errors[MIRROR].code == "mirror_unreachable"
    assert vitalis.last_error is None


def test_a_mirror_that_withholds_hides_a_suspension_from_nobody_who_reaches_a_node(network: Network) -> None:
    north, vitalis = network.party(NORTH), network.party(VITALIS, "http://old.test/")
    network.fetcher.files["http://old.test/"] = dict(network.repo.files)
    north.poll()
    vitalis.poll()
    network.repo.publish_suspended({"alma-university": 2}, 2)
    network.advance(60)
    north.poll()
    vitalis.poll()
    assert vitalis.bundle().member(OrgId("alma-university")).suspended


def test_the_withholding_mirror_is_named_once_a_node_was_newer(network: Network) -> None:
    north, vitalis = network.party(NORTH), network.party(VITALIS, "http://old.test/")
    network.fetcher.files["http://old.test/"] = dict(network.repo.files)
    north.poll()
    vitalis.poll()
    network.advance(60)
    north.poll()
    for _ in range(2):
        vitalis.poll()
    assert vitalis.mirror_errors["http://old.test/"].code == "bundle_rollback"


def test_a_node_is_believed_no_more_than_a_mirror(network: Network) -> None:
    north, vitalis = network.party(NORTH), network.party(VITALIS)
    north.poll()
    before = vitalis.poll()
    forged = Repository()
    forged.publish_suspended({"alma-university": 2}, 2)
    forged.renew(NOW + 1)
    forged.edit("timestamp.json", lambda t: None, signers=[forged.entity(NORTH)])
    network.fetcher.files[address(NORTH)] = forged.files
    network.fetcher.down = {MIRROR}
    with pytest.raises(ConcordatError):
        vitalis.poll()
    assert vitalis.peer_errors[address(NORTH)].code == "bundle_threshold"
    assert vitalis.bundle() is before


def test_a_poll_with_good_mirrors_asks_one_node_and_each_in_turn(network: Network) -> None:
    one, two = network.party(NORTH), network.party(VITALIS)
    three = network.party(OrgId("alma-university"))
    for party in (one, two, three):
        party.poll()
    network.fetcher.asked.clear()
    three.poll()
    assert network.asked(NORTH) + network.asked(VITALIS) == 2  # two small files of one node
    three.poll()
    assert network.asked(NORTH) == network.asked(VITALIS) == 2


def test_without_a_mirror_at_most_so_many_nodes_are_asked(tmp_path: Path) -> None:
    repo, fetcher = Repository(), Mirrors({MIRROR: Repository().files})
    nodes = [f"http://node-{n}.test{BUNDLE_PATH}" for n in range(PEERS_ASKED_MAX + 3)]
    fetcher.files |= {node: {} for node in nodes}
    poller = BundlePoller(
        root_sha256=repo.root_sha256,
        mirrors=[MIRROR],
        state=tmp_path,
        clock=lambda: NOW,
        jitter=lambda: 0.5,
        fetcher=fetcher,
        peers=lambda _: nodes,
    )
    poller.poll()
    fetcher.down = {MIRROR, *nodes}
    with pytest.raises(ConcordatError) as caught:
        poller.poll()
    assert caught.value.code == "mirror_unreachable"
    assert len(poller.peer_errors) == PEERS_ASKED_MAX


def test_a_node_without_a_bundle_in_force_hands_out_nothing(network: Network) -> None:
    poller = network.party(NORTH)
    served = ServedBundle(lambda: in_force(poller))
    assert served.file("timestamp.json") is None
    poller.poll()
    assert served.file("timestamp.json") == network.repo.files["timestamp.json"]
    assert served.file("2.root.json") is None
    assert served.file("../memory.json") is None
    network.now = NOW + 3_600
    assert served.file("timestamp.json") is None


def test_an_expired_state_is_not_taken_for_nothing_new(network: Network) -> None:
    poller = network.party(NORTH)
    poller.poll()
    network.now = NOW + 3_600
    with pytest.raises(BundleExpired):
        poller.poll()


# The countdown


def test_the_countdown_says_how_long_a_bundle_holds_and_when_controlled_classes_close(network: Network) -> None:
    bundle = network.party(NORTH).poll()
    assert countdown(bundle, NOW + 30) == (
        "confirmed 30 s ago, in force for 59 min; controlled classes close in 9 min without a newer one"
    )
    assert countdown(bundle, NOW + 900) == (
        "confirmed 15 min ago, in force for 45 min; controlled classes closed since 5 min"
    )


def test_the_countdown_closes_controlled_classes_for_a_confirmation_dated_ahead(network: Network) -> None:
    bundle = network.party(NORTH).poll()
    assert countdown(bundle, NOW - 3_600) == (
        "confirmed after this moment, in force for 2 h; controlled classes closed"
    )


def test_the_health_page_says_what_is_refused_without_a_bundle(network: Network) -> None:
    poller = network.party(NORTH)
    assert bundle_words(poller, NOW) == "bundle: none yet; questions of others are refused\n"
    poller.poll()
    assert bundle_words(poller, NOW).startswith("bundle: confirmed 0 s ago, in force for 60 min;")
    network.now = NOW + 3_700
    assert bundle_words(poller, network.now) == (
        "bundle: expired 100 s ago; questions of others are refused, local use goes on\n"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "119 min"), (7_200, "2 h"), (172_800, "2 days")],
)
def test_durations_are_rounded_down(seconds: int, words: str) -> None:
    assert duration_words(seconds) == words
