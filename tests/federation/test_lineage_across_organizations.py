"""A lineage over real nodes and a real relay: walked at home, saved, and verified again from the file alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import pytest

from concordat_node.home.lineage import WALK_BYTES_MAX, LineageRequest, Walked, walk_lineage
from concordat_node.home.relay_client import ANSWER_BYTES_MAX
from concordat_node.registry.records import EvaluationRecord
from concordat_node.registry.rules import ImportedAsset
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import AssetId, AssetKind, OrgId
from concordat_trust.lineage import AssertedEdge, LineageEdge
from concordat_trust.lineage_walk import DEPTH_DEFAULT
from concordat_trust.question import Direction, Purpose
from concordat_trust.saved_answer import SAVED_BYTES_MAX
from concordat_trust.saved_walk import verify_saved_walk
from tests.factories.deciding import PrescribedEngine
from tests.factories.network import NOW, make_network
from tests.factories.node import Entropy, TestNode, asset_id, attributes_of, make_asset, make_node
from tests.federation.consortium import HOME, NORTH, RELAY, SESSION, VITALIS, LoopClock, make_consortium
from tests.federation.virtual_clock import simulate

ALMA = HOME
NETWORK = make_network()
BUNDLE = NETWORK.bundle
DAY = "2026-04-01"


def an_id(org: OrgId, name: str, kind: AssetKind = "model") -> AssetId:
    return asset_id(f"{org}-{name}", kind, org)


BASE, ARM = an_id(ALMA, "base"), an_id(NORTH, "arm", "dataset")
TUNED, SECRET, GRANDCHILD = an_id(VITALIS, "tuned"), an_id(VITALIS, "secret"), an_id(NORTH, "grandchild")


def told(asset: AssetId, name: str, *edges: LineageEdge, sensitivity: int = 0, sealed: bool = False) -> ImportedAsset:
    attributes = attributes_of(asset.kind, lineage="open", sensitivity=sensitivity, relay_may_read=not sealed)
    measured = [edge.target for edge in edges if edge.relation == "evaluated_on" and edge.source == asset]
    return make_asset(
        f"{asset.org}-{name}",
        attributes,
        kind=asset.kind,
        org=asset.org,
        lineage=tuple(AssertedEdge(edge, DAY) for edge in edges if edge.target not in measured),
        evaluations=tuple(EvaluationRecord("accuracy", "0.9", "external", dataset_id=item) for item in measured),
    )


MEASURED = LineageEdge("evaluated_on", BASE, ARM)
RECORDS: Mapping[OrgId, Sequence[ImportedAsset]] = {
    ALMA: [told(BASE, "base", MEASURED)],
    NORTH: [
        told(ARM, "arm", MEASURED, sealed=True),
        told(GRANDCHILD, "grandchild", LineageEdge("fine_tuned_from", GRANDCHILD, SECRET)),
    ],
    VITALIS: [
        told(TUNED, "tuned", LineageEdge("fine_tuned_from", TUNED, BASE), sealed=True),
        told(SECRET, "secret", LineageEdge("fine_tuned_from", SECRET, BASE), sensitivity=3),
    ],
}


@cache
def nodes() -> Mapping[OrgId, TestNode]:
    clock = LoopClock(NOW)
    return {
        org: make_node(NETWORK, org, records, engine=PrescribedEngine(), clock=clock, entropy=Entropy(org))
        for org, records in RECORDS.items()
    }


def walk(
    start: AssetId,
    direction: Direction,
    *,
    dead: Sequence[OrgId] = (),
    walk_ms_max: int = 10_000,
    walk_bytes_max: int = WALK_BYTES_MAX,
) -> Walked:
    async def main() -> Walked:
        consortium = make_consortium(nodes=nodes())
        consortium.kill(*dead)
        return await walk_lineage(
            LineageRequest(start, direction, Purpose("GRU"), DEPTH_DEFAULT),
            asker=consortium.asker(),
            session=SESSION,
            bundle=lambda: BUNDLE,
            clock=consortium.clock,
            walk_ms_max=walk_ms_max,
            walk_bytes_max=walk_bytes_max,
        )

    return simulate(0, main())


def states(walked: Walked) -> dict[AssetId, str]:
    return {vertex.id: vertex.state for vertex in walked.picture.vertices}


def test_up_a_model_is_followed_through_three_organizations() -> None:
    walked = walk(TUNED, "up")
    assert states(walked) == {TUNED: "shown", BASE: "shown", ARM: "shown"}
    said = {item.edge.relation: (sorted(item.asserted), item.is_confirmed) for item in walked.picture.edges}
    assert said == {"fine_tuned_from": ([VITALIS], False), "evaluated_on": ([ALMA, NORTH], True)}
    assert walked.picture.is_whole


def test_down_the_hidden_model_and_what_came_from_it_are_not_there() -> None:
    walked = walk(ARM, "down")
    assert states(walked) == {ARM: "shown", BASE: "shown", TUNED: "shown"}


def test_a_hidden_model_in_between_stops_the_walk() -> None:
    assert states(walk(GRANDCHILD, "up")) == {GRANDCHILD: "shown", SECRET: "not_shown"}
    assert states(walk(SECRET, "down")) == {SECRET: "not_shown"}


def test_every_round_is_a_new_question_with_a_new_token_after_the_one_before() -> None:
    rounds = walk(TUNED, "up").rounds
    assert len(rounds) == 3
    assert len({item.asked.round.token for item in rounds}) == 3
    assert [item.asked.round.minted_at for item in rounds] == sorted(item.asked.round.minted_at for item in rounds)
    assert all(item.asked.coordinator == RELAY and item.asked.findings == () for item in rounds)


def test_a_dead_node_leaves_the_picture_open() -> None:
    walked = walk(TUNED, "up", dead=[NORTH])
    assert states(walked) == {TUNED: "shown", BASE: "shown", ARM: "no_answer"}
    assert (walked.picture.missing, walked.picture.is_whole) == ((NORTH,), False)


def test_a_walk_without_time_asks_once_and_says_so() -> None:
    walked = walk(TUNED, "up", walk_ms_max=0)
    assert len(walked.rounds) == 1
    assert walked.picture.stopped_by == ("time",)
    assert verify_saved_walk(walked.saved(), bundle_at=lambda _: BUNDLE).picture == walked.picture


def test_a_walk_that_has_grown_too_large_asks_no_more_and_says_so() -> None:
    def walked_anew(walk_bytes_max: int) -> Walked:
        nodes.cache_clear()  # their logs grow, and receipts with them
        return walk(TUNED, "up", walk_bytes_max=walk_bytes_max)

    first = len(walked_anew(WALK_BYTES_MAX).rounds[0].saved)
    at_limit, beyond = walked_anew(first), walked_anew(first - 1)
    assert [len(walked.rounds) for walked in (at_limit, beyond)] == [2, 1]
    assert beyond.picture.stopped_by == ("size",)
    assert verify_saved_walk(beyond.saved(), bundle_at=lambda _: BUNDLE).picture == beyond.picture
    assert WALK_BYTES_MAX + ANSWER_BYTES_MAX < SAVED_BYTES_MAX


@pytest.mark.parametrize(("start", "direction"), [(TUNED, "up"), (ARM, "down")])
def test_a_saved_walk_is_walked_again_from_the_file_alone(start: AssetId, direction: Direction) -> None:
    walked = walk(start, direction)
    verified = verify_saved_walk(walked.saved(), bundle_at=lambda _: BUNDLE)
    assert verified.picture == walked.picture
    assert len(verified.rounds) == len(walked.rounds)


def _without_round(walk: JsonObject) -> None:
    rounds = walk["rounds"]
    assert isinstance(rounds, list)
    rounds.pop()


def _swapped(walk: JsonObject) -> None:
    rounds = walk["rounds"]
    assert isinstance(rounds, list)
    rounds.reverse()


def _twice(walk: JsonObject) -> None:
    rounds = walk["rounds"]
    assert isinstance(rounds, list)
    rounds.append(rounds[-1])


def _other_edge(walk: JsonObject) -> None:
    _first(walk, "edges")["confirmed"] = True


def _other_state(walk: JsonObject) -> None:
    _first(walk, "vertices")["title"] = "Another title"


def _first(walk: JsonObject, name: str) -> JsonObject:
    picture = walk["picture"]
    assert isinstance(picture, dict)
    items: Json = picture[name]
    assert isinstance(items, list)
    item = next(each for each in items if isinstance(each, dict) and each.get("confirmed") is not True)
    assert isinstance(item, dict)
    return item


def _other_way(walk: JsonObject) -> None:
    walk["direction"] = "down"


def _other_start(walk: JsonObject) -> None:
    walk["start"] = str(ARM)


def _altered_record(walk: JsonObject) -> None:
    text = canonical_bytes(walk["rounds"]).replace(b"vitalis-tuned title", b"vitalis-other title")
    walk["rounds"] = parse_object(b'{"r":' + text + b"}", bytes_max=10**7)["r"]


def _unknown_field(walk: JsonObject) -> None:
    walk["note"] = "x"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_without_round, "walk_mismatch"),
        (_swapped, "walk_mismatch"),
        (_twice, "walk_mismatch"),
        (_other_edge, "walk_mismatch"),
        (_other_state, "walk_mismatch"),
        (_other_way, "walk_mismatch"),
        (_other_start, "walk_mismatch"),
        (_altered_record, "sealed_part_mismatch"),
        (_unknown_field, "saved_walk_malformed"),
    ],
)
def test_a_walk_that_was_changed_afterwards_is_found(change: Callable[[JsonObject], None], code: str) -> None:
    saved = parse_object(walk(TUNED, "up").saved(), bytes_max=10**7)
    change(saved)
    with pytest.raises(RefusedDocument) as caught:
        verify_saved_walk(canonical_bytes(saved), bundle_at=lambda _: BUNDLE)
    assert caught.value.code == code
