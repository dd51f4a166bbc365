"""The executable schemas of the federation doors, built from the golden files themselves.

Rules of this file:

* `_service { sdl }` answers with the bytes of the golden file: what an institution composes is what a review has seen.
  It is read once, so asking for it costs nothing.
* Records are the verified canonical objects; a field is its member, so nothing is converted and nothing is invented.
* Entities come from `Rounds` alone. There is no implicit resolution: what a representation holds beside type and id is
  never looked at, so it cannot come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from importlib.resources import files
from typing import Any

from graphql import (
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLUnionType,
    build_ast_schema,
    parse,
)

from concordat_node.doors.errors import RepresentationMalformed, RepresentationsTooMany
from concordat_node.doors.rounds import Answer, Loaded, Rounds, Scope
from concordat_node.home.errors import AssetForeign
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import AssetId, AssetIdInvalid
from concordat_trust.records import ASSET_FIELDS, CARD_FIELDS

REPRESENTATIONS_MAX = 50
GOLDEN: Mapping[Scope, str] = {"network": "network.graphql", "organization": "subgraph.graphql"}
WHOLE_RECORD_FIELDS = tuple(name for name in ASSET_FIELDS if name not in CARD_FIELDS)
_KINDS = {"Model": "model", "Dataset": "dataset"}
_TYPES = {kind: name for name, kind in _KINDS.items()}
_FEDERATION = """
directive @link(url: String!, as: String, for: link__Purpose, import: [link__Import]) repeatable on SCHEMA
directive @key(fields: federation__FieldSet!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE
scalar link__Import
scalar federation__FieldSet
enum link__Purpose { SECURITY EXECUTION }
scalar _Any
union _Entity = Model | Dataset
type _Service { sdl: String }
extend type Query {
  _entities(representations: [_Any!]!): [_Entity]!
  _service: _Service!
}
"""

Info = GraphQLResolveInfo[Any]


def sdl_of(scope: Scope) -> str:
    """Return the golden schema of a door."""
    return files("concordat_trust.wire").joinpath(GOLDEN[scope]).read_text("utf-8")


def door_schema(scope: Scope) -> GraphQLSchema:
    """Return the executable schema of a door. Its context value is a `Rounds`."""
    sdl = sdl_of(scope)
    schema = build_ast_schema(parse(sdl + _FEDERATION))
    query = _object(schema, "Query")
    query.fields["search"].resolve = _search
    query.fields["model"].resolve = _one("Model")
    query.fields["dataset"].resolve = _one("Dataset")
    query.fields["_entities"].resolve = _entities
    query.fields["_service"].resolve = lambda _source, _info: {"sdl": sdl}
    for name in _KINDS:
        for field in WHOLE_RECORD_FIELDS:
            _object(schema, name).fields[field].resolve = _whole_record
    for name in ("Asset", "_Entity"):
        abstract = schema.get_type(name)
        assert isinstance(abstract, GraphQLUnionType) or abstract is not None  # noqa: S101 - the golden file has it
        abstract.resolve_type = _type_name  # type: ignore[attr-defined]  # an interface or a union, both have it
    return schema


def _object(schema: GraphQLSchema, name: str) -> GraphQLObjectType:
    found = schema.get_type(name)
    if not isinstance(found, GraphQLObjectType):
        raise RuntimeError(f"the golden schema has no type {name}")
    return found


def _type_name(record: JsonObject, _info: Info, _type: object) -> str:
    return _TYPES[str(record["kind"])]


async def _search(_source: object, info: Info, **arguments: Json) -> Answer:
    rounds: Rounds = info.context
    wanted: JsonObject = {"facets": arguments["facets"], "page_size": arguments["first"]}
    if arguments.get("sentence") is not None:
        wanted["sentence"] = arguments["sentence"]
    typed = {name: arguments[name] for name in ("text", "filter") if arguments.get(name) is not None}
    if typed or "sentence" not in wanted:
        wanted["question"] = typed
    if arguments.get("sort") is not None:
        wanted["sort"] = arguments["sort"]
    return await rounds.search(wanted)


def _one(type_name: str) -> Any:
    def resolve(_source: object, info: Info, id: str) -> Awaitable[Loaded]:  # noqa: A002 - the schema's name
        return _record(info, {"__typename": type_name, "id": id})

    return resolve


def _record(info: Info, representation: object) -> Awaitable[Loaded]:
    """Return the entity of a representation, or of an error for it alone; never raises."""
    rounds: Rounds = info.context
    wanted = _asset_id(rounds, representation)
    if isinstance(wanted, AssetId):
        return rounds.load(wanted)
    refused: asyncio.Future[Loaded] = asyncio.get_running_loop().create_future()
    refused.set_result(wanted)
    return refused


def _asset_id(rounds: Rounds, representation: object) -> AssetId | ConcordatError:
    """Return the id that a representation names; judged from what was sent and the roster, never from what is held."""
    if not isinstance(representation, dict):
        return RepresentationMalformed()
    type_name, text = representation.get("__typename"), representation.get("id")
    if not isinstance(type_name, str) or not isinstance(text, str):
        return RepresentationMalformed()
    try:
        asset_id = AssetId.parse(text)
    except AssetIdInvalid:
        return RepresentationMalformed()
    if _KINDS.get(type_name) != asset_id.kind:
        return RepresentationMalformed()
    is_foreign = asset_id.org not in rounds.caller.bundle.roster
    if is_foreign or (rounds.scope == "organization" and asset_id.org != rounds.organization):
        return AssetForeign()
    return asset_id


async def _entities(_source: object, info: Info, representations: list[object]) -> list[Loaded]:
    # An error in the list is that item's error: graphql-core raises it there, and a nullable item becomes null.
    asked = [_record(info, item) for item in representations[:REPRESENTATIONS_MAX]]
    found = list(await asyncio.gather(*asked))
    beyond = len(representations) - len(found)
    return found + [RepresentationsTooMany(representations_max=REPRESENTATIONS_MAX) for _ in range(beyond)]


async def _whole_record(record: JsonObject, info: Info) -> Json:
    """Return a field that a card does not hold, from the whole record; those of all hits are asked for together."""
    name = info.field_name
    if name in record:
        return record[name]
    rounds: Rounds = info.context
    found = await rounds.load(AssetId.parse(str(record["id"])))
    if isinstance(found, ConcordatError):
        raise found
    return None if found is None else found[name]
