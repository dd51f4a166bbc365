"""Where a walk over real nodes ends, and that it says so: at closed records, at a cut list, at its number of rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from concordat_node.home.lineage import LineageRequest, Walked, walk_json, walk_lineage
from concordat_node.home.result import ShownJob
from concordat_node.registry.rules import ImportedAsset
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.lineage import AssertedEdge, LineageEdge
from concordat_trust.lineage_walk import DEPTH_DEFAULT
from concordat_trust.question import IDS_MAX, Direction, Purpose
from concordat_trust.saved_walk import ROUNDS_MAX, verify_saved_walk
from tests.factories.deciding import PrescribedEngine
from tests.factories.network import NOW, make_network
from tests.factories.node import Entropy, asset_id, attributes_of, make_asset, make_node
from tests.federation.consortium import HOME, NORTH, SESSION, VITALIS, LoopClock, make_consortium
from tests.federation.virtual_clock import simulate

NETWORK = make_network()
ARM = asset_id("arm", "dataset", NORTH)
OWN, THEIRS, FURTHER = asset_id("own", org=NORTH), asset_id("theirs", org=HOME), asset_id("further", org=VITALIS)
Records = Mapping[OrgId, Sequence[ImportedAsset]]


def made(
    name: str, org: OrgId, target: AssetId | None = None, *, lineage: str = "open", sensitivity: int = 0
) -> ImportedAsset:
    own = asset_id(name, org=org)
    edges = () if target is None else (AssertedEdge(LineageEdge("fine_tuned_from", own, target), "2026-04-01"),)
    return make_asset(name, attributes_of(lineage=lineage, sensitivity=sensitivity), org=org, lineage=edges)


def trained(name: str, org: OrgId) -> ImportedAsset:
    return make_asset(name, attributes_of(lineage="open"), org=org, trained_on=(ARM,))


def sealed_arm(lineage: str) -> Records:
    """Return a sealed data set, what its owner and somebody else trained on it, and what came from that."""
    held = attributes_of("dataset", lineage=lineage, relay_may_read=False)
    return {
        NORTH: [make_asset("arm", held, kind="dataset", org=NORTH), trained("own", NORTH)],
        HOME: [trained("theirs", HOME)],
        VITALIS: [made("further", VITALIS, OWN)],
    }


def walk(records: Records, start: AssetId, direction: Direction = "down", rounds_max: int = ROUNDS_MAX) -> Walked:
    async def main() -> Walked:
        clock = LoopClock(NOW)
        nodes = {
            org: make_node(
                NETWORK, org, records.get(org, ()), engine=PrescribedEngine(), clock=clock, entropy=Entropy(org)
            )
            for org in NETWORK.bundle.organizations
        }
        consortium = make_consortium(nodes=nodes)
        return await walk_lineage(
            LineageRequest(start, direction, Purpose("GRU"), DEPTH_DEFAULT),
            asker=consortium.asker(),
            session=SESSION,
            bundle=lambda: NETWORK.bundle,
            clock=consortium.clock,
            rounds_max=rounds_max,
        )

    return simulate(0, main())


def asked_about(walked: Walked, asset: AssetId) -> set[OrgId]:
    """Return who was sent an id, of everybody to whom the relay carried a part."""
    parts = [item.asked.round.parts for item in walked.rounds]
    return {org for each in parts for org, part in each.items() if str(asset) in part.ids}


def ends(walked: Walked) -> dict[AssetId, str | None]:
    return {vertex.id: vertex.ends_here for vertex in walked.picture.vertices if vertex.state == "shown"}


def test_the_id_of_a_closed_sealed_record_is_sent_to_its_owner_alone() -> None:
    walked = walk(sealed_arm("closed"), ARM)
    assert asked_about(walked, ARM) == {NORTH}
    assert ends(walked) == {ARM: "closed", OWN: None, FURTHER: None}
    assert asked_about(walked, OWN) == {NORTH, HOME, VITALIS}
    assert verify_saved_walk(walked.saved(), bundle_at=lambda _: NETWORK.bundle).picture == walked.picture


def test_the_owner_of_a_sealed_record_can_say_that_it_may_be_walked() -> None:
    walked = walk(sealed_arm("open"), ARM)
    assert asked_about(walked, ARM) == {NORTH, HOME, VITALIS}
    assert ends(walked) == {ARM: None, OWN: None, THEIRS: None, FURTHER: None}


def test_nobody_else_is_asked_about_an_id_that_its_owner_does_not_show() -> None:
    for start in (asset_id("hidden", org=NORTH), asset_id("nowhere", org=NORTH)):
        records = {**sealed_arm("open"), NORTH: [made("hidden", NORTH, sensitivity=3)]}
        assert asked_about(walk(records, start), start) == {NORTH}


@pytest.mark.parametrize(("children", "whole"), [(IDS_MAX - 1, True), (IDS_MAX, False)])
def test_a_hub_with_more_children_than_an_answer_carries_is_said_to_be_cut(children: int, whole: bool) -> None:
    hub = asset_id("hub", org=NORTH)
    crowd = [made(f"child-{number}", NORTH, hub) for number in range(children)]
    walked = walk({NORTH: [made("hub", NORTH), *crowd]}, hub)
    told = walk_json(walked, ShownJob("job", NOW))
    assert walked.picture.cut == (() if whole else (NORTH,))
    completeness = told["completeness"]
    assert isinstance(completeness, dict)
    assert completeness["complete"] is whole


def test_a_walk_has_so_many_rounds_and_says_that_they_ended_it() -> None:
    records = sealed_arm("open")
    needed = len(walk(records, ARM).rounds)
    at_limit, beyond = walk(records, ARM, rounds_max=needed), walk(records, ARM, rounds_max=needed - 1)
    assert (at_limit.picture.stopped_by, at_limit.picture.is_whole) == ((), True)
    assert (beyond.picture.stopped_by, len(beyond.rounds)) == (("rounds",), needed - 1)
    assert verify_saved_walk(beyond.saved(), bundle_at=lambda _: NETWORK.bundle).picture == beyond.picture
