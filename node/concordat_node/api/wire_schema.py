"""The node's GraphQL schema; equal to the golden `concordat_trust/wire/node.graphql`, which a test compares.

Rules of this file:

* It decides nothing: the answer is complete before it comes here, and resolvers only hand out what the gate released.
* A trusted document selects every field there is, so its answer *is* the object of the given answer (`answer_data`):
  an executor would give the same bytes for a hundred times the work. That it does is a test, over this schema.
* A type is resolved from one Python class alone (`is_type_of`, and the same check in `answer_data`), so that a raw
  record in its place is an error and never bytes. `Result` is a `Released`, `Card`, `Asset` and `LineageVertex` are
  a `DisclosedRecord`; both are made by the gate only.
* Names are those of the canonical record, so no name is converted.
"""

# No `from __future__ import annotations` here: Strawberry reads the annotations of resolvers at run time.

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NewType, cast

import strawberry
from graphql import GraphQLError, GraphQLResolveInfo, parse, validate
from strawberry.schema.config import StrawberryConfig
from strawberry.types import Info

from concordat_node.access.gate import DisclosedRecord, Released
from concordat_node.answering.given import GivenAnswer
from concordat_trust.canonical import INTEGER_MAX, Json, JsonObject
from concordat_trust.wire.documents import NODE_DOCUMENTS

INTEGER_DESCRIPTION = "An integer within ±(2^53-1). GraphQL's Int ends at 2^31-1, which a time reaches in 2038."


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > INTEGER_MAX:
        raise GraphQLError("not an integer within ±(2^53-1)")
    return value


Integer = NewType("Integer", int)
_SCALARS: Mapping[object, Any] = {
    Integer: strawberry.scalar(
        name="Integer", description=INTEGER_DESCRIPTION, serialize=_integer, parse_value=_integer
    )
}


def _only(kind: type) -> Callable[[Any, GraphQLResolveInfo[Any]], bool]:
    def is_type_of(obj: Any, _info: GraphQLResolveInfo[Any]) -> bool:
        return isinstance(obj, kind)

    return is_type_of


@strawberry.type
class Evaluation:
    metric: str | None
    value: str | None
    unit: str | None
    dataset: str | None
    dataset_id: str | None
    split: str | None
    interval_low: str | None
    interval_high: str | None
    version: str | None


@strawberry.type
class Version:
    label: str | None
    released: str | None
    digest: str | None
    changes: str | None


@strawberry.type
class Parameter:
    name: str | None
    value: str | None


@strawberry.type
class Modifier:
    code: str | None
    parameters: list[Parameter] | None


@strawberry.type
class Conditions:
    permission: str | None
    disease: str | None
    modifiers: list[Modifier] | None


@strawberry.type
class Missing:
    code: str | None
    who_can_grant: str | None


@strawberry.type
class Obligation:
    code: str | None
    text: str | None


@strawberry.type
class DatasetReference:
    id: str | None
    title: str | None


@strawberry.type
class AgreementReference:
    id: str | None
    title: str | None
    digest: str | None
    valid_until: Integer | None


@strawberry.type
class Card:
    id: strawberry.ID
    kind: str | None
    organization: str | None
    level: str | None
    title: str | None
    summary: str | None
    keywords: list[str] | None
    description: str | None
    task: str | None
    framework: str | None
    modality: str | None
    license: str | None
    origin: str | None
    created: str | None
    evaluations: list[Evaluation] | None
    conditions: Conditions | None
    masked_fields: list[str] | None
    missing: list[Missing] | None
    obligations: list[Obligation] | None
    agreement_ids: list[str] | None
    valid_until: Integer | None

    is_type_of = _only(DisclosedRecord)


@strawberry.type
class Asset(Card):
    version: str | None
    versions: list[Version] | None
    cohort_size: Integer | None
    contact: str | None
    sensitivity: Integer | None
    trained_on: list[DatasetReference] | None
    agreements: list[AgreementReference] | None

    is_type_of = _only(DisclosedRecord)


@strawberry.type
class LineageEdge:
    relation: str | None
    source: str | None
    target: str | None
    asserted_on: str | None


@strawberry.type
class LineageVertex:
    id: strawberry.ID
    kind: str | None
    organization: str | None
    level: str | None
    title: str | None
    edges: list[LineageEdge] | None
    complete: bool | None
    masked_fields: list[str] | None
    obligations: list[Obligation] | None
    agreement_ids: list[str] | None
    valid_until: Integer | None

    is_type_of = _only(DisclosedRecord)


_RESULT = "One candidate, in the order of the attestation: salt and card, asset or lineage vertex."


@strawberry.type(description=_RESULT)
class Result:
    salt: str | None
    card: Card | None
    asset: Asset | None
    lineageVertex: LineageVertex | None  # noqa: N815 - the name of the projection

    is_type_of = _only(Released)


_CURSOR = "Sealed by the node: with it the next page can be asked for. The attestation names its hash."
_SEALED = (
    "Everything that follows from the records, sealed to the home node's key (HPKE), where no relay may read them."
)
_RECEIPT = "Canonical JSON text: the proof that this answer is in the node's disclosure log."


@strawberry.type
class NodeAnswer:
    attestation: str | None
    results: list[Result] | None
    receipt: str | None = strawberry.field(description=_RECEIPT)
    cursor: str | None = strawberry.field(description=_CURSOR)
    sealed: str | None = strawberry.field(description=_SEALED)

    is_type_of = _only(GivenAnswer)


@dataclass(frozen=True, slots=True)
class DoorContext:
    """What the resolvers may touch: the answer that was already given."""

    answer: GivenAnswer


_SEARCH = "The records of this organization that match the question and that the requester may see."
_ASSETS = (
    "The records with the ids of the part, as far as the requester may see them; "
    "a hidden id is as absent as an unknown one."
)
_LINEAGE = (
    "What the assets of the part came from (up), or which of this organization's assets came from them (down), as its "
    "owner\nasserts it and as far as the requester may see it; one step, never two."
)


def _given(info: Info[DoorContext, None], question: str, part: str) -> NodeAnswer | None:
    return cast(NodeAnswer, info.context.answer)  # a GivenAnswer, which `is_type_of` demands


@strawberry.type
class Query:
    search: NodeAnswer | None = strawberry.field(resolver=_given, description=_SEARCH)
    assets: NodeAnswer | None = strawberry.field(resolver=_given, description=_ASSETS)
    lineage: NodeAnswer | None = strawberry.field(resolver=_given, description=_LINEAGE)


def _read(source: Any, name: str) -> Any:
    if isinstance(source, DisclosedRecord):
        return source.fields[name]
    if isinstance(source, Mapping):
        return source[name]
    if isinstance(source, Released) and name == "lineageVertex":
        return source.vertex
    return getattr(source, name)


SCHEMA = strawberry.Schema(
    query=Query,
    config=StrawberryConfig(
        auto_camel_case=False, default_resolver=_read, disable_field_suggestions=True, scalar_map=_SCALARS
    ),
)


def check_documents() -> None:
    """Refuse to start with a trusted document that the schema does not know. Raises: RuntimeError."""
    for name, text in NODE_DOCUMENTS.items():
        errors = validate(SCHEMA._schema, parse(text))
        if errors:
            raise RuntimeError(f"the trusted document {name!r} does not fit the schema: {errors[0].message}")


def answer_data(field: str, answer: GivenAnswer) -> JsonObject:
    """Return the `data` of the trusted document whose root field is `field`. Raises: RuntimeError for a raw record."""
    results: list[Json] = [_result(item) for item in answer.results]
    proofs: JsonObject = {"attestation": answer.attestation, "receipt": answer.receipt}
    return {field: {**proofs, "cursor": answer.cursor, "results": results, "sealed": answer.sealed}}


def _result(item: Released) -> JsonObject:
    if not isinstance(item, Released):
        raise RuntimeError("only a released record can be serialized")
    return {
        "salt": item.salt,
        "card": None if item.card is None else dict(item.card.fields),
        "asset": None if item.asset is None else dict(item.asset.fields),
        "lineageVertex": None if item.vertex is None else dict(item.vertex.fields),
    }
