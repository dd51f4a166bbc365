"""The `lineage` operation at a node's door: one step up or down, inside what the requester may see."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from concordat_node.registry.rules import ImportedAsset
from concordat_trust.answer_errors import RecordNotAsked
from concordat_trust.canonical import JsonObject
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.lineage import AssertedEdge, LineageEdge, LineageRelation
from concordat_trust.node_answer import NodeAnswer, OpenResult, VerifiedAnswer, verify_node_answer
from concordat_trust.question import IDS_MAX, Part
from concordat_trust.result_checks import check_records
from tests.factories.deciding import PrescribedEngine
from tests.factories.network import make_network
from tests.factories.node import (
    GUEST,
    HOME,
    NORTH,
    TestNode,
    answer_of,
    asking,
    asset_id,
    attributes_of,
    make_asset,
    make_lineage_question,
    make_node,
)

NETWORK = make_network()
ALMA = OrgId.parse("alma-university")
TOKEN = "T" * 22
ARM, BASE, TUNED, SECRET = asset_id("arm", "dataset"), asset_id("base"), asset_id("tuned"), asset_id("secret")
THEIRS, NOWHERE = asset_id("theirs", org=ALMA), asset_id("nowhere")


def asserts(
    name: str, *ends: tuple[LineageRelation, AssetId], kept: str = "open", sensitivity: int = 0
) -> ImportedAsset:
    edges = tuple(AssertedEdge(LineageEdge(relation, asset_id(name), end), "2026-02-03") for relation, end in ends)
    return make_asset(name, attributes_of(lineage=kept, sensitivity=sensitivity), lineage=edges)


RECORDS = (
    make_asset("arm", attributes_of("dataset"), kind="dataset"),
    make_asset("base", trained_on=(ARM,)),
    asserts("tuned", ("fine_tuned_from", BASE), ("fine_tuned_from", THEIRS)),
    asserts("quiet", ("fine_tuned_from", THEIRS), kept="closed"),
    asserts("secret", ("fine_tuned_from", BASE), ("fine_tuned_from", THEIRS), sensitivity=3),
    asserts("child", ("fine_tuned_from", SECRET)),
)


def a_node(records: Sequence[ImportedAsset]) -> TestNode:
    return make_node(NETWORK, "north-hospital", records, engine=PrescribedEngine())


async def ask(node: TestNode, *ids: AssetId, direction: str = "up") -> VerifiedAnswer:
    """Return the node's answer as home verifies it."""
    question = make_lineage_question(NETWORK, direction=direction)
    texts = tuple(str(item) for item in ids)
    request = asking(NETWORK, question, ids=texts, claims=GUEST, token_id=TOKEN).request()
    answer = answer_of(await node.handle(request), "lineage")
    return verified(answer, texts, direction=direction)


def verified(answer: JsonObject, ids: tuple[str, ...], **changes: object) -> VerifiedAnswer:
    results = answer["results"]
    assert isinstance(results, list)
    opened = tuple(
        OpenResult(str(item["salt"]), item["lineageVertex"])
        for item in results
        if isinstance(item, dict) and isinstance(item["lineageVertex"], dict)
    )
    return verify_node_answer(
        NodeAnswer(NORTH, str(answer["attestation"]), opened, str(answer["receipt"])),
        org=NORTH,
        question=make_lineage_question(NETWORK, **changes),
        part=Part(ids),
        token_id=TOKEN,
        home=HOME,
        bundle=NETWORK.bundle,
        open_sealed=None,
    )


def ids_of(answer: VerifiedAnswer) -> set[str]:
    return {str(item.record["id"]) for item in answer.records}


def ends_of(answer: VerifiedAnswer, asset: AssetId) -> list[tuple[str, str]]:
    (record,) = [item.record for item in answer.records if item.record["id"] == str(asset)]
    edges = record["edges"]
    assert isinstance(edges, list)
    return [(str(edge["relation"]), str(edge["target"])) for edge in edges if isinstance(edge, dict)]


def texts(*ids: AssetId) -> set[str]:
    return {str(item) for item in ids}


async def test_up_a_vertex_says_what_it_came_from() -> None:
    answer = await ask(a_node(RECORDS), TUNED, BASE, THEIRS)
    assert ids_of(answer) == texts(TUNED, BASE)
    assert set(ends_of(answer, TUNED)) == {("fine_tuned_from", str(BASE)), ("fine_tuned_from", str(THEIRS))}
    assert ends_of(answer, BASE) == [("trained_on", str(ARM))]


async def test_up_a_hidden_asset_is_as_absent_as_one_that_never_was() -> None:
    node = a_node(RECORDS)
    assert ids_of(await ask(node, SECRET)) == set()
    assert ids_of(await ask(a_node(RECORDS), NOWHERE)) == set()


async def test_an_edge_to_a_hidden_own_asset_is_not_there() -> None:
    answer = await ask(a_node(RECORDS), asset_id("child"))
    assert ends_of(answer, asset_id("child")) == []


async def test_down_everything_visible_that_came_from_an_own_asset() -> None:
    answer = await ask(a_node(RECORDS), BASE, direction="down")
    assert ids_of(answer) == texts(BASE, TUNED)
    assert str(answer.records[0].record["id"]) == str(BASE)


async def test_down_nothing_comes_from_a_hidden_own_asset() -> None:
    answer = await ask(a_node(RECORDS), SECRET, direction="down")
    assert answer.records == ()


async def test_down_an_asset_of_others_has_what_says_so_in_the_open() -> None:
    """`quiet` says it too, but its owner does not let an id of others be told; `secret` is not for this requester."""
    answer = await ask(a_node(RECORDS), THEIRS, direction="down")
    assert ids_of(answer) == texts(TUNED)


async def test_a_masked_lineage_names_no_asset_of_others() -> None:
    answer = await ask(a_node(RECORDS), asset_id("quiet"))
    assert ends_of(answer, asset_id("quiet")) == []
    assert answer.records[0].record["masked_fields"] == ["complete", "lineage"]


async def test_a_long_list_is_cut_after_what_was_asked_for_and_says_how_long_it_is() -> None:
    children = [asserts(f"child-{number}", ("fine_tuned_from", BASE)) for number in range(IDS_MAX + 4)]
    node = a_node([make_asset("base"), *children])
    answer = await ask(node, BASE, direction="down")
    assert (len(answer.records), answer.attestation.total) == (IDS_MAX, IDS_MAX + 5)
    assert str(answer.records[0].record["id"]) == str(BASE)


@pytest.mark.parametrize(("asked", "direction"), [(NOWHERE, "down"), (BASE, "up"), (SECRET, "down")])
async def test_what_was_not_asked_for_is_refused_at_home(asked: AssetId, direction: str) -> None:
    """`tuned` came from `base`: it answers a question down from there, and no other."""
    answer = await ask(a_node(RECORDS), BASE, direction="down")
    opened = [OpenResult("salt", item.record) for item in answer.records if item.record["id"] == str(TUNED)]
    check_records(opened, NORTH, make_lineage_question(NETWORK, direction="down"), Part((str(BASE),)))
    with pytest.raises(RecordNotAsked):
        check_records(opened, NORTH, make_lineage_question(NETWORK, direction=direction), Part((str(asked),)))


async def test_an_edge_between_a_closed_asset_and_an_open_one_is_not_for_the_relay() -> None:
    """The vertex names an own asset whose owner lets no relay read it: the answer travels sealed."""
    sealed = make_asset("base", attributes_of(relay_may_read=False))
    node = a_node([sealed, asserts("tuned", ("fine_tuned_from", BASE))])
    question = make_lineage_question(NETWORK)
    request = asking(NETWORK, question, ids=[str(TUNED)], token_id=TOKEN).request()
    answer = answer_of(await node.handle(request), "lineage")
    assert answer["results"] == []
    assert isinstance(answer["sealed"], str)


async def test_the_log_says_that_lineage_left() -> None:
    node = a_node(RECORDS)
    await ask(node, TUNED)
    (stored,) = node.ledger.entries()
    assert stored.entry["operation"] == "lineage"
    released = stored.entry["released"]
    assert isinstance(released, list)
    (left,) = released
    assert isinstance(left, dict)
    assert (left["asset_id"], left["fields"]) == (str(TUNED), ["edges", "title"])
