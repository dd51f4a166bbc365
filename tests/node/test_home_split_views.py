"""A home node that finds a split view keeps the two signed objects, and its operator is told."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from concordat_node.home.freshness import BUNDLES_MAX, SeenSnapshots
from concordat_node.home.split_views import KEPT_MAX, SplitViews
from concordat_trust.attestation import AttestedView
from concordat_trust.bundle.split_view import verify_split_view
from concordat_trust.ids import OrgId
from tests.factories.answers import make_attestation
from tests.factories.network import NOW
from tests.factories.relay import FakeCoordinator
from tests.factories.repository import Repository
from tests.node.test_home_ask import NETWORK, QUESTION, SESSION, asker, statuses
from tests.trust.test_bundle_attack_table import attestation_of, split

NORTH = OrgId("north-hospital")
OTHER = AttestedView(1, 1, NETWORK.bundle.view.snapshot, "0" * 64)


async def test_the_two_signed_objects_are_kept_and_prove_it_offline(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    views = SplitViews(tmp_path / "split-views")
    one = asker(FakeCoordinator(NETWORK, attested={NORTH: {"bundle": OTHER}}), note_split=views.keep)
    asked = await one.ask(QUESTION, {}, session=SESSION, bundle=NETWORK.bundle)
    assert statuses(asked)[NORTH] == ("INVALID", "attestation_split_view", False)
    (path,) = views.kept()
    proved = verify_split_view(path.read_bytes(), root_sha256=NETWORK.root_sha256)
    assert (proved.organization, proved.attested_sha256) == (NORTH, "0" * 64)
    assert proved.signed_sha256 == NETWORK.bundle.view.snapshot_sha256
    assert "two signed states under one number" in caplog.text


async def test_a_split_view_of_a_snapshot_that_was_left_behind_is_found_too(tmp_path: Path) -> None:
    views = SplitViews(tmp_path)
    repository = Repository(NETWORK)
    repository.publish_targets(2)
    repository.renew(NOW)
    one = asker(FakeCoordinator(NETWORK, attested={NORTH: {"bundle": OTHER}}), note_split=views.keep)
    one._seen.note(NETWORK.bundle, now=NOW)
    asked = await one.ask(QUESTION, {}, session=SESSION, bundle=repository.verify())
    assert statuses(asked)[NORTH] == ("INVALID", "attestation_split_view", False)
    (path,) = views.kept()
    assert verify_split_view(path.read_bytes(), root_sha256=NETWORK.root_sha256).snapshot == 1


def test_the_bundles_of_the_latest_snapshots_are_remembered() -> None:
    seen, repository = SeenSnapshots(), Repository()
    attestation = make_attestation(repository.network, (), org=NORTH, bundle=AttestedView(1, 1, 1, "0" * 64))
    seen.note(repository.verify(), now=NOW)
    for version in range(2, BUNDLES_MAX + 1):
        repository.publish_targets(version)
        repository.renew(NOW)
        seen.note(repository.verify(), now=NOW)
    assert seen.contradicted(attestation) is not None
    repository.publish_targets(BUNDLES_MAX + 1)
    repository.renew(NOW)
    seen.note(repository.verify(), now=NOW)
    assert seen.contradicted(attestation) is None


def test_one_file_is_kept_for_an_organization_and_a_snapshot(tmp_path: Path) -> None:
    views, (ours, theirs) = SplitViews(tmp_path), split()
    attestation, bundle = attestation_of(theirs), ours.verify()
    for _ in range(2):
        views.keep(NORTH, attestation, bundle)
    (path,) = views.kept()
    assert path.name == "1-north-hospital.json"


@pytest.mark.parametrize(("before", "after"), [(KEPT_MAX - 1, KEPT_MAX), (KEPT_MAX, KEPT_MAX)])
def test_at_most_so_many_are_kept_of_one_organization(tmp_path: Path, before: int, after: int) -> None:
    views, (ours, theirs) = SplitViews(tmp_path), split()
    for n in range(before):
        (tmp_path / f"{n + 100}-{NORTH}.json").write_bytes(b"")
    views.keep(NORTH, attestation_of(theirs), ours.verify())
    assert len(views.kept()) == after


def test_a_liar_with_many_split_views_leaves_room_for_those_of_others(tmp_path: Path) -> None:
    views, (ours, theirs) = SplitViews(tmp_path), split()
    for n in range(40):
        (tmp_path / f"{n + 100}-vitalis.json").write_bytes(b"")
        (tmp_path / f"{n + 100}-far-{NORTH}.json").write_bytes(b"")
    views.keep(NORTH, attestation_of(theirs), ours.verify())
    assert tmp_path / f"1-{NORTH}.json" in views.kept()


def test_what_proves_nothing_is_not_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    views, (ours, _) = SplitViews(tmp_path), split()
    with caplog.at_level(logging.ERROR):
        views.keep(NORTH, attestation_of(ours), ours.verify())
    assert views.kept() == ()
    assert "split_view_unproven" in caplog.text
