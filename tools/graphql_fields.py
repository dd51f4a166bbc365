"""The reference page of the federation doors' GraphQL schemas, from the golden files' own descriptions."""

from __future__ import annotations

from collections.abc import Iterator

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    is_specified_scalar_type,
)

from concordat_node.doors import cost, door, http_request, limits, rounds, schema
from concordat_node.doors.rounds import Scope

DOORS: tuple[tuple[Scope, str], ...] = (("network", "/graphql/network"), ("organization", "/graphql/subgraph"))
_FEDERATION = ("_Service", "_Any", "link__Import", "federation__FieldSet", "link__Purpose")
LIMITS = (
    ("body, bytes", http_request.BODY_BYTES_MAX),
    ("address of a GET, bytes", http_request.QUERY_BYTES_MAX),
    ("tokens", limits.TOKENS_MAX),
    ("nesting of brackets", limits.NESTING_MAX),
    ("depth of fields", limits.DEPTH_MAX),
    ("fields", limits.FIELDS_MAX),
    ("aliases", limits.ALIASES_MAX),
    ("times one response name in one selection", limits.REPEATS_MAX),
    ("directives", limits.DIRECTIVES_MAX),
    ("fragments", limits.FRAGMENTS_MAX),
    ("operations", limits.OPERATIONS_MAX),
    ("variables", limits.VARIABLES_MAX),
    ("cost", cost.COST_MAX),
    ("representations of one `_entities`", schema.REPRESENTATIONS_MAX),
    ("different ids", rounds.IDS_MAX),
    ("questions", rounds.ROUNDS_MAX),
    ("seconds", int(door.SECONDS_MAX)),
)


def graphql_page() -> str:
    """Return the page: limits, then every type and field of each door."""
    lines = ["# GraphQL of the federation doors\n", "How to use them: [federation.md](../federation.md).\n"]
    lines.append("## Limits of one request\n\n| what | at most |\n|---|---|")
    lines += [f"| {name} | {limit} |" for name, limit in LIMITS]
    lines.append(
        f"\nCost: a field is 1, a question {cost.QUESTION}; `hits` multiply what is below by `first`, `_entities`\n"
        f"by the number of representations, every other list by {cost.LIST_ASSUMED}.\n"
    )
    shown: set[str] = set()
    for scope, path in DOORS:
        lines.append(f"## `{path}`\n")
        for kind in schema.door_schema(scope).type_map.values():
            if kind.name not in shown and not kind.name.startswith("__") and kind.name not in _FEDERATION:
                lines += _type(kind)
                shown |= set() if kind.name == "Query" else {kind.name}
    return "\n".join(lines)


def _type(kind: GraphQLNamedType) -> Iterator[str]:
    if is_specified_scalar_type(kind):
        return
    if isinstance(kind, GraphQLScalarType):
        yield f"### `{kind.name}`\n\n{kind.description}\n"
    elif isinstance(kind, GraphQLEnumType):
        yield f"### `{kind.name}`\n\n{kind.description}\n\n| value | meaning |\n|---|---|"
        yield from (f"| `{name}` | {value.description} |" for name, value in kind.values.items())
        yield ""
    elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
        head = f"### `{kind.name}`\n" if kind.description is None else f"### `{kind.name}`\n\n{kind.description}\n"
        yield f"{head}\n| field | type | meaning |\n|---|---|---|"
        for name, field in kind.fields.items():
            if not name.startswith("_"):
                yield f"| `{name}` | `{field.type}` | {field.description} |"
                for argument, given in getattr(field, "args", {}).items():
                    yield f"| `{name}({argument}:)` | `{given.type}` | {given.description} |"
        yield ""
