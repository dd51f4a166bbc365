"""Frozen reference 1: what one writes first with FastAPI, Strawberry and one httpx client. Do not improve it.

Every node is asked at once; every answer is decoded; every hit becomes a Strawberry object; the best twenty are
returned through the executor. It checks no signature, no attestation and no record.
"""

# Strawberry reads the annotations of resolvers at run time, so there are no postponed annotations here.

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import strawberry
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

PAGE = 20


@strawberry.type
class Evaluation:
    metric: str
    value: str
    split: str | None


@strawberry.type
class Hit:
    id: str
    organization: str
    kind: str | None
    title: str | None
    summary: str | None
    description: str | None
    task: str | None
    framework: str | None
    modality: str | None
    license: str | None
    created: str | None
    evaluations: list[Evaluation]


@strawberry.type
class Found:
    total: int
    hits: list[Hit]


def build_app(endpoints: Sequence[str]) -> FastAPI:
    """Return the application that asks these nodes."""
    clients: list[httpx.AsyncClient] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=60) as client:
            clients.append(client)
            yield

    async def ask(endpoint: str, question: str, part: str) -> list[Hit]:
        response = await clients[0].post(f"{endpoint}/graphql", json={"question": question, "part": part})
        return [_hit(result["card"]) for result in response.json()["data"]["search"]["results"]]

    @strawberry.type
    class Query:
        @strawberry.field
        async def search(self, question: str, part: str) -> Found:
            answers = await asyncio.gather(*(ask(endpoint, question, part) for endpoint in endpoints))
            hits = [hit for answer in answers for hit in answer]
            hits.sort(key=lambda hit: (hit.evaluations[0].value, hit.id), reverse=True)
            return Found(total=len(hits), hits=hits[:PAGE])

    app = FastAPI(lifespan=lifespan)
    app.include_router(GraphQLRouter(strawberry.Schema(query=Query)), prefix="/graphql")
    return app


def _hit(card: dict[str, Any]) -> Hit:
    plain = {name: card[name] for name in _PLAIN}
    return Hit(**plain, evaluations=[_evaluation(item) for item in card["evaluations"]])


def _evaluation(item: dict[str, Any]) -> Evaluation:
    return Evaluation(metric=item["metric"], value=item["value"], split=item["split"])


_PLAIN = (
    "id",
    "organization",
    "kind",
    "title",
    "summary",
    "description",
    "task",
    "framework",
    "modality",
    "license",
    "created",
)

QUERY = """
query Search($question: String!, $part: String!) {
  search(question: $question, part: $part) {
    total
    hits {
      id organization kind title summary description task framework modality license created
      evaluations { metric value split }
    }
  }
}
"""
