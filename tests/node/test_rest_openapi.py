"""The OpenAPI document says what the routes really take: every address, every field, every limit."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from concordat_node.registration.documents import document, read_document
from concordat_node.registration.schemas import SCHEMAS
from concordat_node.registry.entry_tables import EntryKind
from concordat_node.registry.rules import ImportedAsset, read_line
from concordat_trust.errors import RefusedDocument
from tests.factories.registry import DIGEST, agreement_fields, approval_fields, asset_fields, ndjson_line
from tests.factories.rest import OWNER, RestDoor, make_rest_door

EVALUATION = {
    "metric": "volume",
    "value": "0.9",
    "split": "test",
    "unit": "ml",
    "dataset": "Arm A",
    "dataset_id": "arm-a",
    "interval_low": "0.8",
    "interval_high": "0.95",
    "version": "1",
}
VERSION = {"label": "1", "released": "2026-05-04", "digest": DIGEST, "changes": "First.", "status": "active"}
POLICY = {
    "sensitivity": 1,
    "permission": "DUO:0000007",
    "disease": "MONDO:0007254",
    "modifiers": [{"code": "DUO:0000022", "parameters": [{"name": "country", "value": "DE"}]}],
    "agreements": ["dua-1"],
    "approvals": ["irb-1"],
    "discoverable": "summary",
    "summary_metrics": True,
    "relay_may_read": True,
    "embargo_until": "2026-12-01",
    "status": "active",
    "lineage": "open",
}
WHOLE: dict[EntryKind, dict[str, Any]] = {
    "asset": asset_fields(
        "model",
        framework="scikit-learn",
        cohort_size=7,
        contact="office",
        versions=[VERSION],
        evaluations=[EVALUATION],
        trained_on=["arm-a"],
        lineage=[{"relation": "fine_tuned_from", "local_name": "base", "asserted_on": "2026-05-01"}],
        policy=POLICY,
    ),
    "agreement": agreement_fields(),
    "approval": approval_fields(),
}
NAMES: dict[EntryKind, str] = {"asset": "Asset", "agreement": "Agreement", "approval": "Approval"}
KINDS: tuple[EntryKind, ...] = ("asset", "agreement", "approval")


@pytest.fixture
def door(tmp_path: Path) -> Iterator[RestDoor]:
    made = make_rest_door(tmp_path)
    yield made
    made.close()


def is_taken(kind: EntryKind, fields: dict[str, Any]) -> bool:
    try:
        read_document(ndjson_line(fields), kind, OWNER)
    except RefusedDocument:
        return False
    return True


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that `schema` names or wraps."""
    if "$ref" in schema:
        return resolved(SCHEMAS[schema["$ref"].rsplit("/", 1)[1]])
    if "anyOf" in schema:
        return resolved(schema["anyOf"][0])
    return schema


Place = tuple[str | int, ...]


def places(schema: dict[str, Any], value: Any, where: Place = ()) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield every schema with the place of its value in the document."""
    yield where, schema
    inner = resolved(schema)
    if inner["type"] == "object":
        for name, item in inner["properties"].items():
            if name in value:
                yield from places(item, value[name], (*where, name))
    if inner["type"] == "array" and value:
        yield from places(inner["items"], value[0], (*where, 0))


def changed(kind: EntryKind, where: Place, value: Any) -> dict[str, Any]:
    """Return the whole document with `value` at a place; `...` removes it."""
    fields = copy.deepcopy(WHOLE[kind])
    parent: Any = fields
    for step in where[:-1]:
        parent = parent[step]
    if value is ...:
        del parent[where[-1]]
    else:
        parent[where[-1]] = value
    return fields


CASES = {kind: list(places(SCHEMAS[NAMES[kind]], WHOLE[kind])) for kind in KINDS}
FIELDS = {kind: [case for case in cases if case[0]] for kind, cases in CASES.items()}


def at(kind: EntryKind, where: Place) -> Any:
    value: Any = WHOLE[kind]
    for step in where:
        value = value[step]
    return value


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_has_every_field_of_every_schema(kind: EntryKind) -> None:
    seen = {where for where, _ in CASES[kind]}
    for where, schema in CASES[kind]:
        for name in resolved(schema).get("properties", {}):
            assert (*where, name) in seen or (kind, name) == ("asset", "id"), (where, name)
    assert is_taken(kind, WHOLE[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_has_the_fields_of_its_schema_and_no_others(kind: EntryKind) -> None:
    for where, schema in CASES[kind]:
        inner = resolved(schema)
        if inner["type"] == "object":
            assert inner["additionalProperties"] is False
            assert not is_taken(kind, changed(kind, (*where, "unknown_field"), "x"))
            for name in inner["required"]:
                assert not is_taken(kind, changed(kind, (*where, name), ...)), (where, name)


# Optional by themselves, and needed by another field of the example.
NEEDED = {"id", "local_name", "disease", "versions", "interval_low", "interval_high", "version"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_required_may_be_left_out(kind: EntryKind) -> None:
    for where, schema in CASES[kind]:
        inner = resolved(schema)
        for name in set(inner.get("properties", {})) - set(inner.get("required", ())) - NEEDED:
            assert is_taken(kind, changed(kind, (*where, name), ...)), (where, name)


@pytest.mark.parametrize("kind", KINDS)
def test_null_is_taken_where_the_schema_says_so(kind: EntryKind) -> None:
    for where, schema in FIELDS[kind]:
        if where[-1] not in NEEDED:
            assert is_taken(kind, changed(kind, where, None)) == ("anyOf" in schema), where


@pytest.mark.parametrize("kind", KINDS)
def test_the_limits_are_those_of_the_rules(kind: EntryKind) -> None:
    for where, schema in FIELDS[kind]:
        inner, value = resolved(schema), at(kind, where)
        assert not any(is_taken(kind, changed(kind, where, beyond)) for beyond in beyond_limits(inner, value)), where
        if set(inner) == {"type", "maxLength"} and not {"dataset_id", "trained_on", "disease"} & set(where):
            assert is_taken(kind, changed(kind, where, "a" * inner["maxLength"])), where


def beyond_limits(schema: dict[str, Any], value: Any) -> Iterator[Any]:
    """Yield values one past each limit of a schema."""
    match schema["type"]:
        case "string":
            yield "?" if "enum" in schema else "a" * (schema["maxLength"] + 1)
            yield from [""] if schema.get("minLength") else []
        case "integer":
            yield from (schema["minimum"] - 1, schema["maximum"] + 1)
        case "array":
            yield [value[0]] * (schema["maxItems"] + 1)
            yield from [[]] if schema["minItems"] else []
        case "boolean":
            yield "true"
        case _:
            yield from ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_read_back_is_the_same_entry(kind: EntryKind) -> None:
    item = read_line(ndjson_line(WHOLE[kind]), OWNER)
    again = document(item)
    assert read_document(json.dumps(again).encode(), kind, OWNER) == item
    if isinstance(item, ImportedAsset):
        assert set(again) == set(SCHEMAS["Asset"]["properties"]) - {"local_name"}  # type: ignore[arg-type]


async def test_every_address_under_v1_is_described_and_every_described_one_is_served(door: RestDoor) -> None:
    async with door.at_home.client() as anybody:
        response = await anybody.get("/v1/openapi.json")
    found = response.json()
    served = {
        (route.path_format, method.lower())
        for route in iter_route_contexts(door.at_home.app.routes)
        if route.path is not None and route.path.startswith("/v1/")
        for method in route.methods or ()
    }
    assert {(path, method) for path, methods in found["paths"].items() for method in methods} == served
    assert {"/v1/registry/assets", "/v1/search", "/v1/questions"} <= set(found["paths"])
    assert found["openapi"].startswith("3.1")


async def test_every_described_operation_keeps_its_word(door: RestDoor) -> None:
    """Who is nobody gets what is written, bodies and preconditions are asked for where they are written."""
    async with door.at_home.client() as anybody, door.client() as registrar:
        found = (await anybody.get("/v1/openapi.json")).json()
        operations = [
            (path.replace("{entry_id}", str(OWNER.asset_id("dataset", "nowhere"))).replace("{label}", "1"), *pair)
            for path, methods in found["paths"].items()
            if path.startswith("/v1/registry")
            for pair in methods.items()
        ]
        assert len(operations) == 24
        for path, method, operation in operations:
            assert (await anybody.request(method, path)).status_code == 401
            has_body = "requestBody" in operation
            bare = await registrar.request(method, path)
            assert (bare.status_code == 415) == has_body, (method, path)
            assert str(bare.status_code) in operation["responses"], (method, path, bare.status_code)


async def test_every_reference_of_the_document_leads_somewhere(door: RestDoor) -> None:
    async with door.at_home.client() as anybody:
        text = (await anybody.get("/v1/openapi.json")).text
    names = {part.split('"', 1)[0] for part in text.split("#/components/schemas/")[1:]}
    assert names
    assert names <= set(json.loads(text)["components"]["schemas"]) == set(SCHEMAS)
