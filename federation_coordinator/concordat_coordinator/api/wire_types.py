"""The types of a node's result as a relay passes them on; equal to `node.graphql` from `Result` downwards.

A relay resolves none of them: names are those of the canonical record, every value is what the node sent.
"""

# No `from __future__ import annotations` here: Strawberry reads these annotations at run time.

from typing import NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

INTEGER_DESCRIPTION = "An integer within ±(2^53-1). GraphQL's Int ends at 2^31-1, which a time reaches in 2038."
Integer = NewType("Integer", int)
SCALARS: dict[object, ScalarDefinition] = {
    Integer: strawberry.scalar(name="Integer", description=INTEGER_DESCRIPTION, serialize=int, parse_value=int)
}


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


@strawberry.type
class Asset(Card):
    version: str | None
    versions: list[Version] | None
    cohort_size: Integer | None
    contact: str | None
    sensitivity: Integer | None
    trained_on: list[DatasetReference] | None
    agreements: list[AgreementReference] | None


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


_RESULT = "One candidate, in the order of the attestation: salt and card, asset or lineage vertex."


@strawberry.type(description=_RESULT)
class Result:
    salt: str | None
    card: Card | None
    asset: Asset | None
    lineageVertex: LineageVertex | None  # noqa: N815 - the name of the projection
