"""The OpenAPI document of the addresses under /v1, made from the routes that serve them.

Rules of this file:

* An operation is described where its route is made (`described`); this only collects. What no route serves is absent.
* It is the same for everybody and says nothing of what the node holds. There is no page that shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from concordat_node.registration.schemas import SCHEMAS, ref
from concordat_trust.canonical import Json, JsonObject

PREFIX = "/v1/"
JSON = "application/json"
_UNUSED_SCHEMAS = ("HTTPValidationError", "ValidationError")


def query_parameters(names: Sequence[str], *, required: Sequence[str] = ()) -> list[Json]:
    """Return the descriptions of parameters of the address, each a text."""
    return [{"in": "query", "name": name, "required": name in required, "schema": {"type": "string"}} for name in names]


def header(name: str, *, required: bool) -> JsonObject:
    """Return the description of a request header."""
    return {"in": "header", "name": name, "required": required, "schema": {"type": "string"}}


def described(
    *,
    body: str | None = None,
    answer: tuple[int, str | None] = (200, None),
    parameters: Sequence[JsonObject] = (),
    codes: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """Return what an operation takes and answers: schema names of body and answer, parameters, refusals."""
    status, schema = answer
    content = {} if schema is None else {"content": {JSON: {"schema": ref(schema)}}}
    refusals = {
        str(code): {"description": text, "content": {JSON: {"schema": ref("Error")}}}
        for code, text in (codes or {}).items()
    }
    found: dict[str, Any] = {
        "parameters": list(parameters),
        "responses": {str(status): {"description": "Done.", **content}, **refusals},
        "security": [{"session": []}],
    }
    if body is not None:
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": ref(body)}}}
    return found


def openapi_document(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """Return the document of those of `routes` that are under /v1."""
    found = get_openapi(title="Concordat home node", version="1", routes=routes)
    found["paths"] = {path: held for path, held in found["paths"].items() if path.startswith(PREFIX)}
    for operations in found["paths"].values():
        for operation in operations.values():
            _drop_framework_refusal(operation["responses"])
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _UNUSED_SCHEMAS:
        schemas.pop(name, None)
    schemas.update(SCHEMAS)
    components["securitySchemes"] = {"session": {"type": "http", "scheme": "bearer"}}
    return found


def _drop_framework_refusal(responses: dict[str, Any]) -> None:
    """Remove the 422 that the framework writes for parameters which it never refuses here."""
    if _UNUSED_SCHEMAS[0] in str(responses.get("422", {})):
        del responses["422"]
