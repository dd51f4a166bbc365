"""The golden schemas of the doors: what institutions compose is what records hold, and all of it is described."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_scalar_type,
    is_specified_scalar_type,
)

from concordat_node.api.wire_schema import SCHEMA as WIRE
from concordat_node.doors.rounds import Scope
from concordat_node.doors.schema import GOLDEN, door_schema, sdl_of
from concordat_trust.records import ASSET_FIELDS
from tests.factories.doors import NETWORK_PATH, SUBGRAPH_PATH, Institution

SCOPES: tuple[Scope, ...] = ("network", "organization")
FEDERATION = ("_Service", "_Entity", "_Any", "link__Purpose", "link__Import", "federation__FieldSet")
PATHS: dict[Scope, str] = {"network": NETWORK_PATH, "organization": SUBGRAPH_PATH}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", ["Model", "Dataset", "Asset"])
def test_an_entity_has_exactly_the_fields_of_a_whole_record(scope: Scope, name: str) -> None:
    entity = door_schema(scope).get_type(name)
    assert isinstance(entity, GraphQLObjectType | GraphQLInterfaceType)
    assert set(entity.fields) == set(ASSET_FIELDS)


@pytest.mark.parametrize("scope", SCOPES)
def test_types_of_a_record_are_those_of_the_wire(scope: Scope) -> None:
    ours = door_schema(scope)
    for kind in _below(WIRE._schema.get_type("Asset")):
        shown = ours.get_type(kind.name)
        assert isinstance(shown, GraphQLObjectType), kind.name
        assert {n: str(f.type) for n, f in shown.fields.items()} == {n: str(f.type) for n, f in kind.fields.items()}


def _below(kind: GraphQLNamedType | None) -> Iterator[GraphQLObjectType]:
    assert isinstance(kind, GraphQLObjectType)
    for field in kind.fields.values():
        inner = get_named_type(field.type)
        if isinstance(inner, GraphQLObjectType):
            yield inner
            yield from _below(inner)


@pytest.mark.parametrize("scope", SCOPES)
def test_every_field_but_a_key_is_nullable(scope: Scope) -> None:
    for name, kind in door_schema(scope).type_map.items():
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and not name.startswith("__"):
            required = {field for field, found in kind.fields.items() if isinstance(found.type, GraphQLNonNull)}
            assert required <= {"id", "_entities", "_service"}, name


@pytest.mark.parametrize("scope", SCOPES)
def test_everything_is_described(scope: Scope) -> None:
    bare = []
    for name, kind in door_schema(scope).type_map.items():
        if name.startswith("__") or name in FEDERATION or is_specified_scalar_type(kind):
            continue
        if name != "Query" and not kind.description:
            bare.append(name)
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            bare += [f"{name}.{n}" for n, f in kind.fields.items() if not f.description and not n.startswith("_")]
        if isinstance(kind, GraphQLEnumType):
            bare += [f"{name}.{n}" for n, value in kind.values.items() if not value.description]
        assert is_scalar_type(kind) or bare == [], bare
    arguments = [a for f in door_schema(scope).query_type.fields.values() for a in f.args.items()]  # type: ignore[union-attr]
    assert [name for name, argument in arguments if not argument.description and name != "representations"] == []


def test_what_both_doors_have_is_the_same() -> None:
    one, other = door_schema("network"), door_schema("organization")
    shared = set(one.type_map) & set(other.type_map) - {"Query"}
    assert {"Model", "Dataset", "Hit", "OrganizationStatus"} <= shared
    for name in shared:
        kinds = (one.get_type(name), other.get_type(name))
        if isinstance(kinds[0], GraphQLObjectType):
            assert isinstance(kinds[1], GraphQLObjectType)
            fields = [{n: (str(f.type), f.description) for n, f in kind.fields.items()} for kind in kinds]  # type: ignore[union-attr]
            assert fields[0] == fields[1], name


@pytest.mark.parametrize("scope", SCOPES)
async def test_the_service_answers_with_the_bytes_of_the_golden_file(
    scope: Scope, institution: Institution, token: str
) -> None:
    data = await institution.data("{ _service { sdl } }", token=token, path=PATHS[scope], purpose=None)
    assert data["_service"]["sdl"] == sdl_of(scope)
    assert GOLDEN[scope].endswith(".graphql")
