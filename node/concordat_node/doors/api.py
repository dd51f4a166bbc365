"""HTTP around the federation doors: two routes. Nothing is decided here; only this file of the room knows FastAPI.

A header that is there twice is joined, as RFC 9110 §5.3 has it; a doubled token or purpose is thereby neither,
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from concordat_node.doors.door import FederationDoor
from concordat_node.doors.http_request import HttpRequest
from concordat_node.home.home import Home

NETWORK_PATH: Final = "/graphql/network"
SUBGRAPH_PATH: Final = "/graphql/subgraph"
_METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def build_doors_router(home: Home) -> APIRouter:
    """Return the routes of both federation doors of a home node."""
    router = APIRouter()
    for path, door in (
        (NETWORK_PATH, FederationDoor(home, "network")),
        (SUBGRAPH_PATH, FederationDoor(home, "organization")),
    ):
        router.add_api_route(path, _Route(door), methods=_METHODS)
    return router


class _Route:
    def __init__(self, door: FederationDoor) -> None:
        self._door = door

    async def __call__(self, request: Request) -> Response:
        asked = HttpRequest(request.method, request.scope["query_string"], _headers(request), await request.body())
        answer = await self._door.handle(asked)
        return Response(answer.body, answer.status, headers=dict(answer.headers))


def _headers(request: Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        # Twice the same header is nobody's: joined, it is neither a token nor a purpose.
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
