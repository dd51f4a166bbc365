"""A question has one form; what is not known is said, never dropped."""

from typing import Any

import pytest

from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.errors import ConcordatError
from concordat_trust.filters import And, Equals, FieldUnsupported, FilterTooLarge, MetricIs, TrainedOn
from concordat_trust.ids import AssetIdInvalid
from concordat_trust.question import (
    CURSOR_LENGTH_MAX,
    IDS_MAX,
    PAGE_SIZE_MAX,
    Part,
    PartCursor,
    Purpose,
    Question,
    QuestionMalformed,
    QuestionNotCanonical,
    Sort,
    candidate_count,
    parse_part,
    parse_question,
)
from concordat_trust.shape import DocumentMalformed

SEALED = "c" * 40
ASSET = "urn:concordat:north-hospital:model:" + "a" * 26


def good() -> Question:
    return Question(
        network="health-research-demo",
        operation="search",
        purpose=Purpose("HMB"),
        stats_revision="0" * 64,
        text="sepsis",
        filter=And((Equals("kind", "model"), TrainedOn("clinical trial data"), MetricIs("accuracy", "gt", "0.9"))),
        facets=("kind", "task"),
    )


def broken(**changes: Any) -> bytes:
    obj: JsonObject = good().to_json()
    obj.update(changes)
    return canonical_bytes(obj)


def test_a_question_reads_back_from_its_canonical_form() -> None:
    assert parse_question(good().canonical()) == good()


def test_the_hash_covers_every_field() -> None:
    hashes = {good().hash()}
    changed: list[dict[str, Any]] = [
        {"network": "another-network"},
        {"text": "other"},
        {"filter": None},
        {"facets": ["kind"]},
        {"page_size": 21},
        {"sort": {"by": "created", "order": "asc"}},
        {"purpose": Purpose("GRU").to_json()},
        {"stats_revision": "1" * 64},
    ]
    for change in changed:
        hashes.add(parse_question(broken(**change)).hash())
    assert len(hashes) == len(changed) + 1


def test_bytes_that_are_not_the_canonical_form_are_refused() -> None:
    with pytest.raises(QuestionNotCanonical):
        parse_question(good().canonical().replace(b'{"facets"', b'{ "facets"'))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"extra": 1}, DocumentMalformed),
        ({"text": 5}, DocumentMalformed),
        ({"text": "x" * 501}, DocumentMalformed),
        ({"page_size": 0}, DocumentMalformed),
        ({"page_size": 51}, DocumentMalformed),
        ({"page_size": True}, DocumentMalformed),
        ({"network": "../x"}, DocumentMalformed),
        ({"stats_revision": "latest"}, DocumentMalformed),
        ({"question_version": 2}, FieldUnsupported),
        ({"operation": "join"}, FieldUnsupported),
        ({"operation": "lineage"}, DocumentMalformed),
        ({"direction": "up"}, DocumentMalformed),
        ({"projection": "lineageVertex"}, QuestionMalformed),
        ({"facets": ["contact"]}, FieldUnsupported),
        ({"facets": ["kind", "kind"]}, QuestionMalformed),
        ({"sort": {"by": "cohort_size", "order": "asc"}}, FieldUnsupported),
        ({"sort": {"by": "metric", "metric": "Accuracy", "order": "asc"}}, DocumentMalformed),
        ({"sort": {"by": "relevance", "order": "asc"}}, DocumentMalformed),
        ({"projection": "asset"}, QuestionMalformed),
        ({"operation": "assets"}, QuestionMalformed),
        ({"purpose": {**Purpose("HMB").to_json(), "code": "XYZ"}}, DocumentMalformed),
        ({"purpose": {**Purpose("HMB").to_json(), "note": "x"}}, DocumentMalformed),
        ({"purpose": Purpose("DS").to_json()}, QuestionMalformed),
        ({"filter": {"op": "eq", "field": "contact", "value": "x"}}, FieldUnsupported),
        ({"filter": {"op": "near", "field": "kind", "value": "x"}}, FieldUnsupported),
        ({"filter": {"op": "and", "args": []}}, DocumentMalformed),
        ({"filter": {"op": "in", "field": "kind", "values": []}}, DocumentMalformed),
        ({"filter": {"op": "metric", "metric": "accuracy", "cmp": "near", "value": "0.9"}}, FieldUnsupported),
        ({"filter": {"op": "metric", "metric": "accuracy", "cmp": "gt", "value": "90%"}}, DocumentMalformed),
        ({"filter": {"op": "gt", "field": "created", "value": "2026-13-01"}}, DocumentMalformed),
        ({"filter": {"op": "eq", "field": "kind", "value": "model", "also": 1}}, DocumentMalformed),
    ],
)
def test_a_question_with_one_wrong_field_is_refused(change: JsonObject, error: type[ConcordatError]) -> None:
    with pytest.raises(error):
        parse_question(broken(**change))


@pytest.mark.parametrize("name", sorted(good().to_json()))
def test_a_question_without_one_of_its_fields_is_refused(name: str) -> None:
    obj = good().to_json()
    del obj[name]
    with pytest.raises(DocumentMalformed):
        parse_question(canonical_bytes(obj))


def _nested(depth: int) -> JsonObject:
    node: JsonObject = {"op": "eq", "field": "kind", "value": "model"}
    for _ in range(depth - 1):
        node = {"op": "not", "arg": node}
    return node


def _wide(nodes: int) -> JsonObject:
    return {"op": "or", "args": [{"op": "eq", "field": "kind", "value": "model"} for _ in range(nodes - 1)]}


@pytest.mark.parametrize("size", [_nested(6), _wide(32)])
def test_a_filter_at_the_limit_is_read(size: JsonObject) -> None:
    parse_question(broken(filter=size))


@pytest.mark.parametrize("size", [_nested(7), _wide(33)])
def test_a_filter_one_past_the_limit_is_refused(size: JsonObject) -> None:
    with pytest.raises(FilterTooLarge):
        parse_question(broken(filter=size))


def test_a_part_reads_back_and_is_hashed() -> None:
    part = Part((ASSET,))
    assert parse_part(part.canonical()) == part
    assert part.hash() != Part().hash()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"ids": [ASSET, ASSET]}, QuestionMalformed),
        ({"ids": ["urn:other"]}, AssetIdInvalid),
        ({"ids": [ASSET] * (IDS_MAX + 1)}, DocumentMalformed),
        ({"cursor": "x"}, DocumentMalformed),
        ({"cursor": {"after": 1}}, DocumentMalformed),
        ({"cursor": {"after": 0, "sealed": SEALED}}, DocumentMalformed),
        ({"cursor": {"after": PAGE_SIZE_MAX + 1, "sealed": SEALED}}, DocumentMalformed),
        ({"cursor": {"after": 1, "sealed": "short"}}, DocumentMalformed),
        ({"cursor": {"after": 1, "sealed": "/" * 40}}, DocumentMalformed),
        ({"cursor": {"after": 1, "sealed": "c" * (CURSOR_LENGTH_MAX + 1)}}, DocumentMalformed),
        ({"cursor": {"after": 1, "sealed": SEALED, "x": 1}}, DocumentMalformed),
        ({"cursor": {"after": 1, "sealed": SEALED}, "ids": [ASSET]}, QuestionMalformed),
        ({"part_version": 2}, FieldUnsupported),
        ({"x": 1}, DocumentMalformed),
    ],
)
def test_a_part_with_one_wrong_field_is_refused(change: JsonObject, error: type[ConcordatError]) -> None:
    obj = Part().to_json()
    obj.update(change)
    with pytest.raises(error):
        parse_part(canonical_bytes(obj))


@pytest.mark.parametrize("length", [16, CURSOR_LENGTH_MAX])
def test_a_part_keeps_its_cursor(length: int) -> None:
    part = Part(cursor=PartCursor("c" * length, PAGE_SIZE_MAX))
    assert parse_part(part.canonical()) == part


def test_a_node_discloses_at_least_twenty_candidates() -> None:
    assert candidate_count(good()) == 20
    assert candidate_count(parse_question(broken(page_size=50))) == 50


def test_records_by_id_are_as_many_as_ids_may_be_asked_for() -> None:
    # A page size of 20 once made a relay refuse the honest answer to 21 ids.
    assets = broken(operation="assets", projection="asset", text="", filter=None, facets=[], sort={"by": "relevance"})
    assert candidate_count(parse_question(assets)) == IDS_MAX


def test_a_sort_by_relevance_names_no_order() -> None:
    assert Sort().to_json() == {"by": "relevance"}
