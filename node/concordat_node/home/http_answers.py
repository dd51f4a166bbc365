"""How the home door's routes read a request and tell an answer or an error: one shape for all of them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import ParamSpec

from fastapi import Request, Response
from sqlalchemy.exc import SQLAlchemyError

from concordat_node.home.errors import (
    ContentTypeUnsupported,
    HomeStorageFailed,
    LoginsTooMany,
    NotSignedIn,
    PersonNotMapped,
)
from concordat_node.home.http_status import status_of
from concordat_node.home.requests import BODY_BYTES_MAX
from concordat_trust.canonical import Json, JsonObject, JsonTooLarge, canonical_bytes
from concordat_trust.errors import ConcordatError, RefusedDocument, RequesterError
from concordat_trust.failure_log import without_texts

FORM = "application/x-www-form-urlencoded"
HEADERS: Mapping[str, str] = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_log = logging.getLogger("concordat.node.home")

P = ParamSpec("P")


def told(route: Callable[P, Awaitable[Response]]) -> Callable[P, Awaitable[Response]]:
    """Turn an error into the one shape in which people are told."""

    @wraps(route)
    async def telling(*args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            return await route(*args, **kwargs)
        except SQLAlchemyError as error:
            _log.error("%s: %s", route.__name__, without_texts(error))
            return refused(HomeStorageFailed())
        except ConcordatError as error:
            level = logging.ERROR if status_of(error) >= 500 else logging.INFO
            _log.log(level, "%s: %s", route.__name__, error.code)
            return refused(error)

    return telling


def refused(error: ConcordatError) -> Response:
    """Return an error as people are told it."""
    return json_answer({"error": dict[str, Json](error.to_json())}, status_of(error))


def json_answer(value: JsonObject, status: int = 200) -> Response:
    """Return canonical JSON that nobody caches."""
    return Response(canonical_bytes(value), status, media_type="application/json", headers=dict(HEADERS))


def bearer(request: Request) -> str:
    """Return the session token of a request. Raises: NotSignedIn."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotSignedIn
    return token


async def body_of(request: Request, media_type: str = "application/json", bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """Return the whole body. Raises: ContentTypeUnsupported; JsonTooLarge as soon as it is longer than `bytes_max`."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != media_type:
        raise ContentTypeUnsupported(media_type=media_type)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise JsonTooLarge(size=len(body), bytes_max=bytes_max)
    return bytes(body)


def oauth_refusal(error: ConcordatError) -> tuple[JsonObject, int]:
    """Return an error as OAuth clients read it (RFC 6749 §5.2), with our own code in front of the description."""
    status = status_of(error)
    if isinstance(error, RequesterError):
        name = "invalid_request"
    else:
        name = "invalid_grant" if isinstance(error, RefusedDocument) else "temporarily_unavailable"
    if isinstance(error, PersonNotMapped | LoginsTooMany):
        name = "invalid_grant"
    _log.info("token exchange: %s", error.code)
    return {"error": name, "error_description": f"{error.code}: {error.message}"}, 400 if status < 500 else status
