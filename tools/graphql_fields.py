"""The reference pages of the GraphQL schemas: the federation doors', and what peers say to each other.

The golden files of the doors describe every field. The fields of peers are those of the canonical record, so what one
means is looked up there; `PEERS_ONLY` says the rest. A field without a meaning is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    build_schema,
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


PEERS_ONLY = {
    "AskProgress.answer": "one organization's answer, as soon as it was checked; null in the last event",
    "AskProgress.delivery": "the signed delivery; null in every event but the last",
    "AskProgress.merged": "the coordinator's merge as JSON text; null in every event but the last",
    "LineageEdge.asserted_on": "the day on which this organization asserted the edge",
    "LineageEdge.relation": "how the source came from the target, in the terms of PROV (glossary)",
    "LineageEdge.source": "the id of the asset that came from the other",
    "LineageEdge.target": "the id of what it came from, of this or of another organization",
    "LineageVertex.complete": "whether the organization says that no edge is missing; null where policy does not tell",
    "LineageVertex.edges": "what this asset came from, as far as the requester may see it",
    "NodeAnswer.attestation": "the answer attestation, a JWS",
    "NodeAnswer.results": "one per candidate, in the order of the attestation",
    "RelayedAnswer.attestation": "the node's attestation, passed on as it came",
    "RelayedAnswer.code": "the reason that belongs to the status, null where there is none",
    "RelayedAnswer.organization": "whose answer this is",
    "RelayedAnswer.results": "the node's results, passed on as they came",
    "RelayedAnswer.status": "proved by the attestation, or reported by the coordinator",
    "RelayedAnswers.answers": "one per organization of the query token",
    "Result.asset": "the whole record, for `assets`",
    "Result.card": "the card, for `search`",
    "Result.salt": "16 random bytes, base64url: the commitment is SHA-256(salt ‖ canonical record)",
    "Result.lineageVertex": "the vertex, for `lineage`",
}


def peers_page() -> str:
    """Return the page of the two schemas in which peers talk. Raises: LookupError for a field without a meaning."""
    lines = ["# GraphQL between peers\n", "Only the trusted documents are executed, by id, with signed questions.\n"]
    shown: set[str] = set()
    for name, where in (("node", "a node, `POST /graphql`"), ("coordinator", "a coordinator, `POST /graphql`")):
        text = resources.files("concordat_trust.wire").joinpath(f"{name}.graphql").read_text("utf-8")
        lines.append(f"## Asked of {where}\n")
        for kind in build_schema(text).type_map.values():
            is_root = kind.name in ("Query", "Subscription")
            if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__") and kind.name not in shown:
                lines += _peer_type(kind)
                shown |= set() if is_root else {kind.name}
    return "\n".join(lines)


def _peer_type(kind: GraphQLObjectType) -> Iterator[str]:
    yield f"### `{kind.name}`\n\n| field | type | meaning |\n|---|---|---|"
    for name, field in kind.fields.items():
        described = field.description or PEERS_ONLY.get(f"{kind.name}.{name}") or _record_meaning(kind.name, name)
        yield f"| `{name}` | `{field.type}` | {' '.join(described.split())} |"
    yield ""


def _record_meaning(kind: str, field: str) -> str:
    described = schema.door_schema("network").type_map
    for name in (kind, {"Card": "Asset", "LineageVertex": "Asset"}.get(kind, kind)):
        of_door = described.get(name)
        if isinstance(of_door, GraphQLObjectType | GraphQLInterfaceType) and field in of_door.fields:
            meaning = of_door.fields[field].description
            if meaning:
                return str(meaning)
    raise LookupError(f"{kind}.{field} of the wire schema is described nowhere: add it to PEERS_ONLY")


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
