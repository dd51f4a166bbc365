"""The coordinator's GraphQL schema; equal to the golden `coordinator.graphql`, which a test compares.

Rules of this file:

* One door, two trusted documents: for the whole answer, and for each organization's as it comes. Each selects every
  field there is, so what is sent *is* the object the relay made: running 400 records through an executor, 25 fields
  each, would give the same bytes for 100 times the work. That it does give the same bytes is a test
  (`test_the_schema_and_the_fast_path_give_one_answer`).
* `check_documents` runs when the coordinator is composed: a trusted document that does not fit this schema is a bug of
  the release and must not wait for the first question.
"""

# No `from __future__ import annotations` here: Strawberry reads the annotations of resolvers at run time.

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Protocol, cast

import strawberry
from graphql import parse, validate
from strawberry.schema.config import StrawberryConfig
from strawberry.types import Info

from concordat_coordinator.api.wire_types import SCALARS, Result
from concordat_trust.canonical import JsonObject
from concordat_trust.wire.documents import COORDINATOR_DOCUMENTS


class Asked(Protocol):
    """Answers one question; bound to the signed request it came in."""

    async def __call__(self, question: str, parts: str, deadline_ms: int) -> JsonObject: ...


class AskedProgress(Protocol):
    """Answers one question as its answers come; bound to the signed request it came in."""

    def __call__(self, question: str, parts: str, deadline_ms: int) -> AsyncIterator[JsonObject]: ...


@dataclass(frozen=True, slots=True)
class AskContext:
    """What the resolvers may touch."""

    ask: Asked
    progress: AskedProgress


_ANSWER = (
    "One organization of the query token: the status its attestation proves, "
    "or without an attestation what the relay reports."
)
_DELIVERY = "A JWS of the coordinator over what it delivers for every organization, so that blame can be placed."
_MERGED = (
    "The coordinator's own merge of what it can read, as JSON text; "
    "the home node recomputes it and trusts only its own."
)
_SEALED = (
    "Everything that follows from the records, sealed to the home node's key (HPKE), where no relay may read them."
)
_ASK = (
    "The answers of every organization the query token names, each checked by the relay, none of them changed by it. "
    "`parts`\nis a JSON object organization → part, both texts exactly as they were hashed into the token."
)

_PROGRESS = (
    "The same as `Query.ask`, as it comes: one event for each organization, and a last one when all of them are there."
)
_EVENT = "One event: the `answer` of one organization, or, at the end, `delivery` and `merged` as in `RelayedAnswers`."
_DeadlineMs = Annotated[int, strawberry.argument(name="deadlineMs")]


@strawberry.type(description=_ANSWER)
class RelayedAnswer:
    organization: str
    status: str
    code: str | None
    attestation: str | None
    results: list[Result] | None
    receipt: str | None = strawberry.field(description="The node's receipt, passed on unread.")
    cursor: str | None = strawberry.field(description="The node's cursor, sealed; the attestation names its hash.")
    sealed: str | None = strawberry.field(description=_SEALED)


@strawberry.type
class RelayedAnswers:
    delivery: str = strawberry.field(description=_DELIVERY)
    answers: list[RelayedAnswer]
    merged: str = strawberry.field(description=_MERGED)


async def _ask(
    info: Info[AskContext, None],
    question: str,
    parts: str,
    deadline_ms: _DeadlineMs,
) -> RelayedAnswers | None:
    answer = await info.context.ask(question, parts, deadline_ms)
    return cast(RelayedAnswers, answer)  # a mapping with these keys, which `_read` reads


@strawberry.type
class Query:
    ask: RelayedAnswers | None = strawberry.field(resolver=_ask, description=_ASK)


@strawberry.type(description=_EVENT)
class AskProgress:
    answer: RelayedAnswer | None
    delivery: str | None
    merged: str | None


@strawberry.type
class Subscription:
    @strawberry.subscription(name="askProgress", description=_PROGRESS)  # type: ignore[untyped-decorator]  # strawberry's
    async def ask_progress(
        self, info: Info[AskContext, None], question: str, parts: str, deadline_ms: _DeadlineMs
    ) -> AsyncGenerator[AskProgress | None, None]:
        async for event in info.context.progress(question, parts, deadline_ms):
            yield cast(AskProgress, event)  # a mapping with these keys, which `_read` reads


def _read(source: Any, name: str) -> Any:
    return source[name] if isinstance(source, Mapping) else getattr(source, name)


SCHEMA = strawberry.Schema(
    query=Query,
    subscription=Subscription,
    config=StrawberryConfig(
        auto_camel_case=False, default_resolver=_read, disable_field_suggestions=True, scalar_map=SCALARS
    ),
)


@cache
def check_documents() -> None:
    """Refuse to start with a trusted document that the schema does not know. Raises: RuntimeError."""
    for name, text in COORDINATOR_DOCUMENTS.items():
        errors = validate(SCHEMA._schema, parse(text))
        if errors:
            raise RuntimeError(f"the trusted document {name!r} does not fit the schema: {errors[0].message}")
