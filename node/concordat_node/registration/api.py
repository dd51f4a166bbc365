"""The registry's addresses under /v1/registry, for the organization's registrars.

Rules of this file:

* First the session, then the decision whether it is a registrar's, then everything else: whoever is none gets one
  answer, whatever the address names, whatever the body is, and whatever the registry holds.
* A change needs If-Match (creating apart) and may carry an Idempotency-Key. ETags are revisions, and only here.
* The registry is the organization's own: a suspension by the network closes no address here.
* Nothing is decided here but that: documents are read by the rules of an import line.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from fastapi import APIRouter, Request, Response

from concordat_node.home.errors import QueryMalformed
from concordat_node.home.home import Home
from concordat_node.home.http_answers import HEADERS, bearer, body_of, told
from concordat_node.home.requests import single_query
from concordat_node.registration.errors import IdempotencyKeyInvalid
from concordat_node.registration.idempotency import Answer, once
from concordat_node.registration.openapi import described, header, openapi_document, query_parameters
from concordat_node.registration.parts import (
    evaluation_added,
    evaluations_replaced,
    part_of,
    version_added,
    version_replaced,
)
from concordat_node.registration.registrar import Registrar, decide_registrar
from concordat_node.registration.registration import COLLECTIONS, LIST_MAX, ROOT, Asked, Registration, etag
from concordat_node.registry.entry_tables import KEY_LENGTH, EntryKind
from concordat_node.registry.tables import ID_LENGTH
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object

DOCUMENT_BYTES_MAX = 131_072
OPENAPI_PATH = "/v1/openapi.json"
DOCUMENTS: dict[EntryKind, str] = {"asset": "Asset", "agreement": "Agreement", "approval": "Approval"}

_REFUSED = {401: "not_signed_in", 403: "not_registrar"}
_FOUND = {**_REFUSED, 404: "registry_entry_unknown", 410: "registry_entry_deleted"}
_BODY = {400: "the refusals of a document", 413: "json_too_large", 415: "content_type_unsupported"}
_CHANGED = {**_FOUND, 412: "revision_changed", 428: "precondition_required"}
_ONCE = header("Idempotency-Key", required=False)
_IF_MATCH = header("If-Match", required=True)

Effect = Callable[[Asked, bytes], Answer]


def build_registration_router(home: Home, registration: Registration) -> APIRouter:
    """Return the routes of the REST door."""
    router = APIRouter()
    door = _Door(home, registration)
    # Parts first: the id of a whole entry takes everything that follows.
    _add_parts(router, _Parts(door), f"{ROOT}/assets/{{entry_id}}")
    for kind, collection in COLLECTIONS.items():
        _add_collection(router, _Collection(door, kind), f"{ROOT}/{collection}", DOCUMENTS[kind])
    router.add_api_route(OPENAPI_PATH, _openapi, methods=["GET"], summary="This document.")
    return router


async def _openapi(request: Request) -> Response:
    body = json.dumps(openapi_document(request.app.routes), sort_keys=True).encode()
    return Response(body, media_type="application/json", headers=dict(HEADERS))


def _add_collection(router: APIRouter, routes: _Collection, path: str, schema: str) -> None:
    one = f"{path}/{{entry_id:path}}"
    listed = cast(list[JsonObject], query_parameters(("after", "deleted")))

    def add(path: str, method: str, route: Callable[..., Awaitable[Response]], summary: str, **more: Any) -> None:
        router.add_api_route(path, route, methods=[method], summary=summary, openapi_extra=described(**more))

    change = {"parameters": (_IF_MATCH, _ONCE), "body": schema, "answer": (200, schema)}
    add(
        path,
        "GET",
        routes.entries,
        f"List ids and revisions, at most {LIST_MAX}; `deleted=true` lists tombstones.",
        parameters=listed,
        answer=(200, "Page"),
        codes={**_REFUSED, 400: "query_malformed"},
    )
    add(
        path,
        "POST",
        routes.create,
        "Register a new entry.",
        parameters=(_ONCE,),
        body=schema,
        answer=(201, schema),
        codes={
            **_REFUSED,
            **_BODY,
            409: "registry_entry_exists",
            410: "registry_entry_deleted",
            422: "idempotency_key_reused",
        },
    )
    add(
        f"{one}/restore",
        "POST",
        routes.restore,
        "Write a deleted entry again.",
        codes={
            **_REFUSED,
            **_BODY,
            404: "registry_entry_unknown",
            409: "registry_entry_not_deleted",
            412: "revision_changed",
            422: "idempotency_key_reused",
            428: "precondition_required",
        },
        **change,
    )
    add(one, "GET", routes.read, "Read an entry whole, with its ETag.", answer=(200, schema), codes=_FOUND)
    add(
        one,
        "PUT",
        routes.replace,
        "Replace an entry as a whole.",
        codes={**_CHANGED, **_BODY, 422: "idempotency_key_reused"},
        **change,
    )
    add(
        one,
        "DELETE",
        routes.delete,
        "Delete an entry; its id and revision stay as a tombstone.",
        parameters=(_IF_MATCH, _ONCE),
        answer=(204, None),
        codes={**_CHANGED, 422: "idempotency_key_reused"},
    )


def _add_parts(router: APIRouter, routes: _Parts, path: str) -> None:
    versions, evaluations = f"{path}/versions", f"{path}/evaluations"
    reads = (
        (versions, routes.versions, "Read the versions of an asset.", "Versions"),
        (evaluations, routes.evaluations, "Read the evaluations of an asset.", "Evaluations"),
    )
    for where, route, summary, answer in reads:
        extra = described(answer=(200, answer), codes=_FOUND)
        router.add_api_route(where, route, methods=["GET"], summary=summary, openapi_extra=extra)
    changes = (
        (versions, "POST", routes.add_version, "Add a version.", "Version"),
        (f"{versions}/{{label}}", "PUT", routes.replace_version, "Replace a version, or withdraw it.", "Version"),
        (evaluations, "POST", routes.add_evaluation, "Add an evaluation.", "Evaluation"),
        (evaluations, "PUT", routes.replace_evaluations, "Replace all evaluations.", "Evaluations"),
    )
    codes = {**_CHANGED, **_BODY, 422: "idempotency_key_reused"}
    for where, method, change, summary, body in changes:
        extra = described(body=body, answer=(200, "Asset"), parameters=(_IF_MATCH, _ONCE), codes=codes)
        router.add_api_route(where, change, methods=[method], summary=summary, openapi_extra=extra)


@dataclass(frozen=True, slots=True)
class _Door:
    home: Home
    registration: Registration

    async def registrar(self, request: Request) -> Registrar:
        """Return who asks. Raises: NotSignedIn, NotRegistrar, RegistrarSignInOld; before that nothing was looked at."""
        return decide_registrar(await self.home.local_session(bearer(request)), now=self.home.clock())

    async def changed(self, request: Request, effect: Effect, *, has_body: bool = True) -> Response:
        registrar = await self.registrar(request)
        body = await body_of(request, bytes_max=DOCUMENT_BYTES_MAX) if has_body else b""
        if_match = ", ".join(request.headers.getlist("if-match")) or None
        key = once(_key(request), method=request.method, path=request.url.path, if_match=if_match or "", body=body)
        asked = Asked(registrar, if_match, key)
        return _told_answer(await self.home.run_blocking(partial(effect, asked, body)))

    async def read(self, request: Request, entry: tuple[EntryKind, str]) -> Answer:
        registrar = await self.registrar(request)
        return await self.home.run_blocking(lambda: self.registration.read(registrar, entry))


@dataclass(frozen=True, slots=True)
class _Collection:
    """The routes of one kind of entry."""

    door: _Door
    kind: EntryKind

    @told
    async def entries(self, request: Request) -> Response:
        registrar = await self.door.registrar(request)
        query = single_query(request.query_params.multi_items())
        for name, value in query.items():
            is_valid = len(value) <= ID_LENGTH if name == "after" else name == "deleted" and value in ("true", "false")
            if not is_valid:
                raise QueryMalformed(parameter=name[:100])
        after, is_deleted = query.get("after", ""), query.get("deleted") == "true"
        registration = self.door.registration
        found = await self.door.home.run_blocking(
            lambda: registration.entries(registrar, self.kind, after=after, is_deleted=is_deleted)
        )
        return _json(canonical_bytes(found))

    @told
    async def create(self, request: Request) -> Response:
        registration = self.door.registration
        return await self.door.changed(request, lambda asked, body: registration.create(asked, self.kind, body))

    @told
    async def read(self, request: Request, entry_id: str) -> Response:
        return _told_answer(await self.door.read(request, (self.kind, entry_id)))

    @told
    async def replace(self, request: Request, entry_id: str) -> Response:
        key, registration = (self.kind, entry_id), self.door.registration
        return await self.door.changed(request, lambda asked, body: registration.replace(asked, key, body))

    @told
    async def restore(self, request: Request, entry_id: str) -> Response:
        key, registration = (self.kind, entry_id), self.door.registration
        return await self.door.changed(request, lambda asked, body: registration.restore(asked, key, body))

    @told
    async def delete(self, request: Request, entry_id: str) -> Response:
        key, registration = (self.kind, entry_id), self.door.registration
        return await self.door.changed(request, lambda asked, _: registration.delete(asked, key), has_body=False)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The routes of versions and evaluations: changes of their asset, under its ETag."""

    door: _Door

    @told
    async def versions(self, request: Request, entry_id: str) -> Response:
        return _told_answer(part_of(await self.door.read(request, ("asset", entry_id)), "versions"))

    @told
    async def evaluations(self, request: Request, entry_id: str) -> Response:
        return _told_answer(part_of(await self.door.read(request, ("asset", entry_id)), "evaluations"))

    @told
    async def add_version(self, request: Request, entry_id: str) -> Response:
        return await self._edited(request, entry_id, version_added)

    @told
    async def replace_version(self, request: Request, entry_id: str, label: str) -> Response:
        return await self._edited(request, entry_id, partial(version_replaced, label=label))

    @told
    async def add_evaluation(self, request: Request, entry_id: str) -> Response:
        return await self._edited(request, entry_id, evaluation_added)

    @told
    async def replace_evaluations(self, request: Request, entry_id: str) -> Response:
        return await self._edited(request, entry_id, evaluations_replaced)

    async def _edited(
        self, request: Request, entry_id: str, edit: Callable[[JsonObject, JsonObject], JsonObject]
    ) -> Response:
        def effect(asked: Asked, body: bytes) -> Answer:
            part = parse_object(body, bytes_max=DOCUMENT_BYTES_MAX)
            return self.door.registration.edit(asked, entry_id, lambda whole: edit(whole, part))

        return await self.door.changed(request, effect)


def _key(request: Request) -> str | None:
    keys = request.headers.getlist("idempotency-key")
    if len(keys) > 1:
        raise IdempotencyKeyInvalid(length_max=KEY_LENGTH)
    return keys[0] if keys else None


def _told_answer(answer: Answer) -> Response:
    response = _json(answer.body, answer.status)
    response.headers["etag"] = etag(answer.revision)
    if answer.location:
        response.headers["location"] = answer.location
    return response


def _json(body: bytes, status: int = 200) -> Response:
    if status == 204:
        return Response(status_code=status, headers=dict(HEADERS))
    return Response(body, status, media_type="application/json", headers=dict(HEADERS))
