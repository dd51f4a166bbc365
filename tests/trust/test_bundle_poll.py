"""Polling: current when it can be, the last good copy when not, and closed when that has expired."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from concordat_trust.bundle.errors import (
    BundleBootstrapMismatch,
    BundleExpired,
    BundleMalformed,
    BundleUnavailable,
    MirrorUnreachable,
)
from concordat_trust.bundle.metadata import DAY_S
from concordat_trust.bundle.poll import MIRROR_DEADLINE_S, POLL_INTERVAL_S, POLL_JITTER_S, BundlePoller
from concordat_trust.bundle.statement import STATEMENT_BYTES_MAX
from concordat_trust.bundle.tuf_api import MetaFile, Snapshot
from concordat_trust.errors import ConcordatError, RefusedDocument
from concordat_trust.ids import OrgId
from tests.factories.mirror import MIRROR, MemoryMirror, Mirrors
from tests.factories.network import NOW, make_network
from tests.factories.repository import Repository, expires
from tests.trust.bundle_attacks import ATTACKS, Attack
from tests.trust.test_bundle_members import with_statement

NORTH = OrgId("north-hospital")


class Party:
    """A poller over a repository in memory, with a clock that the test sets."""

    def __init__(self, folder: Path, repo: Repository | None = None, *, root_sha256: str | None = None) -> None:
        self.repo = Repository() if repo is None else repo
        self.mirror = MemoryMirror(self.repo.files)
        self.now = NOW
        self.folder = folder
        self.root_sha256 = root_sha256 or self.repo.root_sha256
        self.poller = self.restart()

    def restart(self) -> BundlePoller:
        self.poller = BundlePoller(
            root_sha256=self.root_sha256,
            mirrors=[MIRROR],
            state=self.folder,
            clock=lambda: self.now,
            jitter=lambda: 0.5,
            fetcher=self.mirror,
        )
        return self.poller

    def advance(self, seconds: int) -> None:
        self.now += seconds
        self.repo.renew(self.now)


@pytest.fixture
def party(tmp_path: Path) -> Party:
    return Party(tmp_path)


def refused(party: Party) -> str:
    with pytest.raises(ConcordatError) as caught:
        party.poller.poll()
    assert party.poller.last_error is caught.value
    return caught.value.code


def test_there_is_no_bundle_before_the_first_poll(party: Party) -> None:
    with pytest.raises(BundleUnavailable):
        party.poller.bundle()


def test_a_first_poll_needs_the_fingerprint_and_a_mirror_only(party: Party) -> None:
    bundle = party.poller.poll()
    assert bundle.view == party.repo.verify().view
    assert party.poller.bundle() is bundle


def test_another_networks_mirror_is_refused_at_first_contact(tmp_path: Path) -> None:
    party = Party(tmp_path, root_sha256=make_network(at=NOW - 1).root_sha256)
    with pytest.raises(BundleBootstrapMismatch):
        party.poller.poll()
    with pytest.raises(BundleUnavailable):
        party.poller.bundle()


def test_a_poll_with_nothing_new_asks_for_two_small_files(party: Party) -> None:
    bundle = party.poller.poll()
    party.mirror.asked.clear()
    assert party.poller.poll() is bundle
    assert party.mirror.asked == ["2.root.json", "timestamp.json"]
    assert len(party.repo.files["timestamp.json"]) < 1_000


def test_a_new_timestamp_prolongs_the_bundle(party: Party) -> None:
    party.poller.poll()
    party.advance(120)
    party.mirror.asked.clear()
    assert party.poller.poll().expires_at == NOW + 120 + 3_600
    assert party.mirror.asked == ["2.root.json", "timestamp.json"]


def test_a_suspension_arrives_with_the_next_poll(party: Party) -> None:
    party.poller.poll()
    party.repo.publish_suspended({NORTH: 2}, 2)
    party.advance(20)
    assert NORTH not in party.poller.poll().organizations


def test_a_member_with_an_expired_role_does_not_stop_the_network(party: Party) -> None:
    party.poller.poll()
    party.repo.publish_member("vitalis", 2)
    party.repo.edit("2.vitalis.json", expires(NOW + 10), signers=[party.repo.entity("vitalis")])
    party.advance(20)
    bundle = party.poller.poll()
    assert bundle.organizations == ("alma-university", "north-hospital")
    assert bundle.unusable[OrgId("vitalis")].code == "statement_expired"


def test_a_statement_longer_than_it_may_be_is_not_fetched(tmp_path: Path) -> None:
    party = Party(tmp_path, with_statement(Repository(), b"x" * (STATEMENT_BYTES_MAX + 1)))
    bundle = party.poller.poll()
    assert bundle.unusable[NORTH].code == "statement_malformed"
    fetched = [name for name in party.mirror.asked if name.startswith("targets/members/")]
    assert len(fetched) == len(bundle.network.members) - 1
    assert not any(NORTH in name for name in fetched)


def test_a_failed_poll_keeps_the_last_good_copy_until_it_expires(party: Party) -> None:
    bundle = party.poller.poll()
    party.mirror.down = True
    party.now = NOW + 3_599
    assert refused(party) == "mirror_unreachable"
    assert party.poller.bundle() is bundle
    party.now = NOW + 3_600
    with pytest.raises(BundleExpired):
        party.poller.bundle()


def test_an_expired_bundle_opens_again_with_a_fresh_one(party: Party) -> None:
    party.poller.poll()
    party.advance(7_200)
    assert party.poller.poll() is party.poller.bundle()


def test_a_good_poll_clears_the_last_error(party: Party) -> None:
    party.mirror.down = True
    refused(party)
    party.mirror.down = False
    party.poller.poll()
    assert party.poller.last_error is None


def test_the_next_mirror_is_asked_when_one_fails(tmp_path: Path) -> None:
    party = Party(tmp_path)
    poller = BundlePoller(
        root_sha256=party.root_sha256,
        mirrors=["http://nowhere.test", MIRROR],
        state=tmp_path,
        clock=lambda: NOW,
        jitter=lambda: 0.5,
        fetcher=party.mirror,
    )
    assert poller.poll().view.timestamp == 1


# Several mirrors


FIRST, SECOND = "http://first.test/", "http://second.test/"


class Mirrored(Party):
    """A party with two mirrors: the first stopped at the founding of the network, the second follows it."""

    def __init__(self, folder: Path) -> None:
        self.seconds = 0.0
        repo = Repository()
        self.mirrors = Mirrors({FIRST: dict(repo.files), SECOND: repo.files})
        super().__init__(folder, repo)

    def restart(self) -> BundlePoller:
        self.poller = BundlePoller(
            root_sha256=self.root_sha256,
            mirrors=[FIRST, SECOND],
            state=self.folder,
            clock=lambda: self.now,
            jitter=lambda: 0.5,
            fetcher=self.mirrors,
            monotonic=lambda: self.seconds,
        )
        return self.poller

    def faults(self) -> dict[str, str]:
        return {mirror: error.code for mirror, error in self.poller.mirror_errors.items()}


def test_a_mirror_that_withholds_does_not_hide_what_another_serves(tmp_path: Path) -> None:
    party = Mirrored(tmp_path)
    party.poller.poll()
    party.repo.publish_suspended({NORTH: 2}, 2)
    party.advance(20)
    assert NORTH not in party.poller.poll().organizations
    assert party.poller.bundle().view == party.repo.verify(at=party.now).view


def test_the_mirror_that_stays_behind_is_remembered_for_the_operator(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    party = Mirrored(tmp_path)
    party.poller.poll()
    party.advance(20)
    party.poller.poll()
    assert party.faults() == {}
    for _ in range(3):
        party.poller.poll()
        assert party.faults() == {FIRST: "bundle_rollback"}
    assert party.poller.last_error is None
    assert [r.getMessage() for r in caplog.records] == [f"mirror {FIRST} gives no bundle: bundle_rollback"]
    party.mirrors.files[FIRST] = party.repo.files
    party.poller.poll()
    assert party.faults() == {}


def test_a_poll_is_good_when_one_mirror_is(tmp_path: Path) -> None:
    party = Mirrored(tmp_path)
    party.mirrors.down = {FIRST}
    party.poller.poll()
    assert party.faults() == {FIRST: "mirror_unreachable"}
    party.mirrors.down = {SECOND}
    party.poller.poll()
    assert party.faults() == {SECOND: "mirror_unreachable"}
    party.mirrors.down = {FIRST, SECOND}
    assert refused(party) == "mirror_unreachable"
    assert party.faults() == {FIRST: "mirror_unreachable", SECOND: "mirror_unreachable"}


def test_a_poll_with_nothing_new_asks_each_mirror_for_two_small_files(tmp_path: Path) -> None:
    party = Mirrored(tmp_path)
    bundle = party.poller.poll()
    party.mirrors.asked.clear()
    assert party.poller.poll() is bundle
    assert party.mirrors.asked == [m + name for m in (FIRST, SECOND) for name in ("2.root.json", "timestamp.json")]


def test_a_second_mirror_of_the_same_state_is_not_asked_for_what_the_first_gave(tmp_path: Path) -> None:
    party = Mirrored(tmp_path)
    party.poller.poll()
    assert [url for url in party.mirrors.asked if url.startswith(SECOND)] == [
        SECOND + name for name in ("2.root.json", "timestamp.json")
    ]


def test_a_mirror_cannot_hold_up_the_next_one_with_many_slow_files(tmp_path: Path) -> None:
    party = Mirrored(tmp_path)
    slow = party.mirrors._fetch

    def drip(url: str) -> Iterator[bytes]:
        party.seconds += MIRROR_DEADLINE_S if url.startswith(FIRST) else 0
        return slow(url)

    party.mirrors._fetch = drip  # type: ignore[method-assign]  # the factory's own fake
    party.poller.poll()
    assert party.faults() == {FIRST: "mirror_unreachable"}
    assert len([url for url in party.mirrors.asked if url.startswith(FIRST)]) == 1


def test_a_party_without_mirrors_has_no_bundle(tmp_path: Path) -> None:
    poller = BundlePoller(
        root_sha256="0" * 64, mirrors=[], state=tmp_path, clock=lambda: NOW, jitter=lambda: 0.5, fetcher=None
    )
    with pytest.raises(BundleUnavailable):
        poller.poll()


# The attacks again, now against a running client, first contact and second


# A poll asks for one root after the other and never sees what lies behind a gap.
SEEN = [attack for attack in ATTACKS if attack.name != "root_chain_with_a_gap"]


@pytest.mark.parametrize("attack", SEEN, ids=lambda a: a.name)
def test_an_attacked_mirror_gives_no_bundle(attack: Attack, tmp_path: Path) -> None:
    party = Party(tmp_path)
    attack.break_it(party.repo)
    party.now = attack.at
    code = refused(party)
    if attack.name in {"mirror_withholds_the_timestamp", "timestamp_too_large"}:
        # The library stops at the transport: the file is not there, or longer than it may be.
        assert code == "mirror_unreachable"
    else:
        assert code == attack.code


def test_a_rolled_back_mirror_is_refused(party: Party) -> None:
    old = dict(party.repo.files)
    party.advance(60)
    party.poller.poll()
    party.mirror.files = old
    assert refused(party) == "bundle_rollback"
    assert party.poller.bundle().view.timestamp == 2


def test_a_stolen_online_key_cannot_point_to_older_targets(party: Party) -> None:
    party.repo.publish_targets(2)
    party.advance(60)
    party.poller.poll()
    party.repo.files["3.snapshot.json"] = party.repo.files["2.snapshot.json"]

    def older(snapshot: Snapshot) -> None:
        snapshot.version = 3
        snapshot.meta["targets.json"] = MetaFile(1)

    party.repo.edit_online(older, name="3.snapshot.json")
    party.repo.edit("timestamp.json", lambda t: setattr(t, "version", 3), signers=[party.repo.keys.online])
    assert refused(party) == "bundle_rollback"
    assert party.poller.bundle().view.targets == 2


def test_an_evil_timestamp_of_the_same_version_is_ignored(party: Party) -> None:
    bundle = party.poller.poll()
    party.repo.edit("timestamp.json", expires(NOW + DAY_S), signers=[party.repo.keys.online])
    assert party.poller.poll() is bundle
    assert party.poller.bundle().expires_at == NOW + 3_600


def test_a_restart_does_not_forget_versions(party: Party) -> None:
    old = dict(party.repo.files)
    party.advance(60)
    party.poller.poll()
    party.restart().load()
    party.mirror.files = old
    assert refused(party) == "bundle_rollback"


def test_versions_stay_remembered_when_the_clients_cache_is_lost(party: Party) -> None:
    import shutil

    old = dict(party.repo.files)
    party.advance(60)
    party.poller.poll()
    shutil.rmtree(party.folder / "tuf")
    party.restart().load()
    party.mirror.files = old
    assert refused(party) == "bundle_rollback"


def test_a_restart_starts_from_the_last_good_copy(party: Party) -> None:
    view = party.poller.poll().view
    party.mirror.down = True
    bundle = party.restart().load()
    assert bundle is not None
    assert bundle.view == view
    assert party.poller.bundle() is bundle


def test_an_expired_copy_is_not_loaded_but_remembered(party: Party) -> None:
    party.repo.publish_suspended({NORTH: 2}, 2)
    party.advance(1)
    party.poller.poll()
    party.now += 3_600
    assert party.restart().load() is None
    party.repo.publish_suspended({}, 3)
    party.advance(1)
    bundle = party.poller.poll()
    assert bundle.member(NORTH).suspended
    assert [f.code for f in bundle.findings] == ["bundle_reinstate_unauthorised"]


def test_an_empty_state_loads_nothing(party: Party) -> None:
    assert party.poller.load() is None


def test_a_damaged_memory_stops_the_party(party: Party) -> None:
    party.poller.poll()
    (party.folder / "memory.json").write_bytes(b"{}")
    with pytest.raises(BundleMalformed):
        party.restart().load()


def test_a_changed_archive_stops_the_party(party: Party) -> None:
    party.poller.poll()
    archive = party.folder / "bundle.zip"
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(ConcordatError) as caught:
        party.restart().load()
    assert caught.value.code == "bundle_archive_invalid"


def test_a_state_of_another_network_is_refused(party: Party) -> None:
    party.poller.poll()
    party.root_sha256 = "0" * 64
    with pytest.raises(RefusedDocument) as caught:
        party.restart().load()
    assert caught.value.code == "bundle_bootstrap_mismatch"


async def test_the_poller_polls_at_once_and_goes_on_after_a_failure(party: Party) -> None:
    party.mirror.down = True
    task = asyncio.create_task(party.poller.run())
    try:
        async with asyncio.timeout(5):
            while party.poller.last_error is None:
                await asyncio.sleep(0.01)
        assert not task.done()
    finally:
        task.cancel()
    assert isinstance(party.poller.last_error, MirrorUnreachable)


def test_jitter_keeps_the_interval_around_twenty_seconds() -> None:
    assert 0 < POLL_JITTER_S < POLL_INTERVAL_S / 2
    assert POLL_INTERVAL_S + POLL_JITTER_S <= 30
