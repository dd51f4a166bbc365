"""Edges of a lineage: what joins what, what a vertex may say, and the question that asks for them."""

from __future__ import annotations

import hashlib

import pytest

from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import AssetId, AssetKind, OrgId
from concordat_trust.lineage import (
    EDGES_MAX,
    LINEAGE_RELATIONS,
    RELATIONS,
    AssertedEdge,
    EdgeMalformed,
    LineageEdge,
    hiding_fields,
    read_edges,
    relation_of,
)
from concordat_trust.question import Purpose, Question, QuestionMalformed, parse_question
from concordat_trust.records import RecordMalformed, validate_record
from concordat_trust.vocabulary import MASKABLE_FIELDS

ALMA, NORTH = OrgId.parse("alma-university"), OrgId.parse("north-hospital")


def an_id(name: str, kind: AssetKind = "model", org: OrgId = NORTH) -> AssetId:
    return AssetId.new(org, kind, hashlib.sha256(name.encode()).digest()[:16])


TUNED, BASE, ARM = an_id("tuned"), an_id("base", org=ALMA), an_id("arm", "dataset")
EDGE: JsonObject = AssertedEdge(LineageEdge("fine_tuned_from", TUNED, BASE), "2026-05-01").to_json()


def vertex(**changes: object) -> JsonObject:
    values: dict[str, object] = {
        "id": str(TUNED),
        "kind": "model",
        "organization": "north-hospital",
        "level": "FULL",
        "title": "Tuned",
        "edges": [EDGE],
        "complete": None,
        "masked_fields": ["complete"],
        "obligations": [],
        "agreement_ids": [],
        "valid_until": None,
    }
    return {**values, **changes}  # type: ignore[dict-item]  # a test breaks one


def lineage_question(**changes: object) -> Question:
    values: dict[str, object] = {
        "network": "health-research",
        "operation": "lineage",
        "projection": "lineageVertex",
        "direction": "down",
        "purpose": Purpose("GRU"),
        "stats_revision": "0" * 64,
    }
    return Question(**{**values, **changes})  # type: ignore[arg-type]  # a test breaks one


def test_two_organizations_say_the_same_thing_under_one_id() -> None:
    edge = LineageEdge("fine_tuned_from", TUNED, BASE)
    triple: JsonObject = {"edge_version": 1, "relation": "fine_tuned_from", "source": str(TUNED), "target": str(BASE)}
    assert edge.id == hashlib.sha256(canonical_bytes(triple)).hexdigest()
    assert edge.id != LineageEdge("fine_tuned_from", BASE, TUNED).id


def test_every_relation_is_a_term_of_prov_with_an_inverse_word_of_its_own() -> None:
    assert {terms.prov for terms in RELATIONS.values()} == {"prov:wasDerivedFrom", "prov:used"}
    words = [word for relation, terms in RELATIONS.items() for word in (relation, terms.inverse)]
    assert len(set(words)) == len(words) == 2 * len(LINEAGE_RELATIONS)
    assert [relation_of(terms.inverse) for terms in RELATIONS.values()] == [(r, True) for r in LINEAGE_RELATIONS]
    assert relation_of("trained_on") == ("trained_on", False)
    assert relation_of("sibling_of") is None


def test_what_hides_an_edge_is_a_maskable_field() -> None:
    for relation in LINEAGE_RELATIONS:
        for is_foreign in (True, False):
            hiding = hiding_fields(relation, is_foreign=is_foreign)
            assert hiding
            assert hiding <= set(MASKABLE_FIELDS)
            assert not is_foreign or "lineage" in hiding


@pytest.mark.parametrize(
    ("relation", "source", "target"),
    [
        ("fine_tuned_from", TUNED, TUNED),
        ("fine_tuned_from", TUNED, ARM),
        ("derived_from", TUNED, BASE),
        ("trained_on", TUNED, BASE),
        ("evaluated_on", ARM, TUNED),
    ],
)
def test_an_edge_that_joins_the_wrong_things_cannot_be_written(relation: str, source: AssetId, target: AssetId) -> None:
    with pytest.raises(EdgeMalformed):
        LineageEdge(relation, source, target)  # type: ignore[arg-type]  # the relation is known


def test_a_good_vertex_is_read() -> None:
    validate_record(vertex(), "lineageVertex")
    assert read_edges([EDGE], TUNED) == (AssertedEdge(LineageEdge("fine_tuned_from", TUNED, BASE), "2026-05-01"),)


@pytest.mark.parametrize(
    "edges",
    [
        None,
        {},
        ["edge"],
        [{**EDGE, "relation": "sibling_of"}],
        [{**EDGE, "asserted_on": None}],
        [{**EDGE, "asserted_on": "yesterday"}],
        [{**EDGE, "source": "urn:concordat:x"}],
        [{**EDGE, "target": None}],
        [{**EDGE, "target": str(TUNED)}],
        [{**EDGE, "source": str(an_id("another"))}],
        [{**EDGE, "source": str(an_id("sibling")), "target": str(TUNED)}],
        [EDGE, EDGE],
    ],
)
def test_a_vertex_with_a_wrong_edge_is_malformed(edges: object) -> None:
    with pytest.raises(RecordMalformed) as caught:
        validate_record(vertex(edges=edges), "lineageVertex")
    assert caught.value.fields["field"] == "edges"


def test_a_vertex_has_at_most_so_many_edges() -> None:
    def edges(count: int) -> list[JsonObject]:
        return [{**EDGE, "target": str(an_id(f"base-{number}", org=ALMA))} for number in range(count)]

    validate_record(vertex(edges=edges(EDGES_MAX)), "lineageVertex")
    with pytest.raises(RecordMalformed):
        validate_record(vertex(edges=edges(EDGES_MAX + 1)), "lineageVertex")


def test_a_foreign_id_beside_a_masked_lineage_contradicts_itself() -> None:
    with pytest.raises(RecordMalformed):
        validate_record(vertex(masked_fields=["lineage"]), "lineageVertex")
    validate_record(vertex(masked_fields=["lineage"], edges=[]), "lineageVertex")


@pytest.mark.parametrize("complete", [False, "true", 1])
def test_completeness_is_said_or_not_said_and_never_denied(complete: object) -> None:
    with pytest.raises(RecordMalformed) as caught:
        validate_record(vertex(complete=complete), "lineageVertex")
    assert caught.value.fields["field"] == "complete"
    validate_record(vertex(complete=True), "lineageVertex")


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_lineage_question_is_its_own_canonical_form(direction: str) -> None:
    question = lineage_question(direction=direction)
    assert parse_question(question.canonical()) == question


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"text": "sepsis"}, QuestionMalformed),
        ({"facets": ("kind",)}, QuestionMalformed),
        ({"projection": "card"}, QuestionMalformed),
        ({"direction": "sideways"}, ConcordatError),
    ],
)
def test_a_lineage_question_takes_ids_and_a_direction(changes: dict[str, object], error: type[ConcordatError]) -> None:
    with pytest.raises(error):
        parse_question(lineage_question(**changes).canonical())
