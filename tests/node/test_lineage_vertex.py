"""The lineage vertex: which edges leave with an asset, and what is said when they do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from concordat_node.access.masks import Surroundings, masked_record
from concordat_node.policy.engine import Decision, Mask
from concordat_node.registry.records import EvaluationRecord
from concordat_trust.canonical import JsonObject
from concordat_trust.ids import OrgId
from concordat_trust.lineage import AssertedEdge, LineageEdge, read_edges
from concordat_trust.records import LINEAGE_FIELDS, validate_record
from tests.factories.node import asset_id, attributes_of, make_asset, permit

ALMA = OrgId.parse("alma-university")
OWN, ARM, MEASURED = asset_id("tuned"), asset_id("arm", "dataset"), asset_id("measured", "dataset")
SIBLING, BASE, MADE = asset_id("sibling"), asset_id("base", org=ALMA), asset_id("made", org=ALMA)
FOREIGN_ARM = asset_id("their-arm", "dataset", ALMA)
ATTRIBUTES = attributes_of(lineage="complete")
TUNED = make_asset(
    "tuned",
    ATTRIBUTES,
    trained_on=(ARM, FOREIGN_ARM),
    evaluations=(EvaluationRecord("accuracy", "0.9", "test", dataset_id=MEASURED),),
    lineage=(
        AssertedEdge(LineageEdge("fine_tuned_from", OWN, BASE), "2026-05-01"),
        AssertedEdge(LineageEdge("fine_tuned_from", OWN, SIBLING), "2026-05-02"),
        AssertedEdge(LineageEdge("fine_tuned_from", MADE, OWN), "2026-05-03"),
    ),
)
EVERYTHING = {
    ("trained_on", OWN, ARM),
    ("trained_on", OWN, FOREIGN_ARM),
    ("evaluated_on", OWN, MEASURED),
    ("fine_tuned_from", OWN, BASE),
    ("fine_tuned_from", OWN, SIBLING),
    ("fine_tuned_from", MADE, OWN),
}
ALL = Surroundings(assets={ARM: "Arm", MEASURED: None, SIBLING: "Sibling"}, agreements={})


def vertex(decision: Decision, around: Surroundings = ALL) -> JsonObject:
    record = masked_record(TUNED.record, TUNED.policy, decision, projection="lineageVertex", around=around)
    validate_record(record, "lineageVertex")
    return record


def hiding(*names: str) -> Decision:
    return permit(ATTRIBUTES, masks={name: Mask() for name in names})


def edges_of(record: JsonObject) -> set[tuple[object, ...]]:
    return {(e.edge.relation, e.edge.source, e.edge.target) for e in read_edges(record["edges"], OWN)}


def test_every_edge_that_may_be_told_stands_in_the_vertex() -> None:
    record = vertex(permit(ATTRIBUTES))
    assert tuple(record) == LINEAGE_FIELDS
    assert edges_of(record) == EVERYTHING
    assert (record["complete"], record["masked_fields"], record["title"]) == (True, [], "tuned title")


def test_an_edge_says_since_when_it_is_asserted() -> None:
    days = {item.edge.target: item.asserted_on for item in read_edges(vertex(permit(ATTRIBUTES))["edges"], OWN)}
    assert (days[BASE], days[ARM]) == ("2026-05-01", TUNED.record.created)


@pytest.mark.parametrize("hidden", [ARM, MEASURED, SIBLING])
def test_an_edge_to_a_hidden_own_asset_does_not_exist(hidden: object) -> None:
    around = replace(ALL, assets={item: title for item, title in ALL.assets.items() if item != hidden})
    record = vertex(permit(ATTRIBUTES), around)
    assert edges_of(record) == {edge for edge in EVERYTHING if hidden not in edge}
    assert str(hidden) not in str(record)
    assert (record["complete"], record["masked_fields"]) == (True, [])


def test_foreign_ids_go_with_lineage() -> None:
    record = vertex(hiding("lineage"))
    assert edges_of(record) == {("trained_on", OWN, ARM), ("evaluated_on", OWN, MEASURED)}
    assert "alma-university" not in str(record)
    assert record["masked_fields"] == ["lineage"]


@pytest.mark.parametrize(("field", "relation"), [("trained_on", "trained_on"), ("evaluations", "evaluated_on")])
def test_what_a_field_hides_no_edge_tells(field: str, relation: str) -> None:
    record = vertex(hiding(field))
    assert edges_of(record) == {edge for edge in EVERYTHING if edge[0] != relation}
    assert record["masked_fields"] == [field]


def test_completeness_is_told_only_where_the_policy_lets_it() -> None:
    record = vertex(hiding("complete"))
    assert (record["complete"], record["masked_fields"]) == (None, ["complete"])
    assert edges_of(record) == EVERYTHING


def test_a_hidden_title_is_null() -> None:
    record = vertex(hiding("title", "contact"))
    assert (record["title"], record["masked_fields"]) == (None, ["title"])
