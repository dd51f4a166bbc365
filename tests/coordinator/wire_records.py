"""Records and node answers as they look on the wire, for tests that break one thing in a good one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from concordat_trust.canonical import Json, JsonObject
from concordat_trust.encoding import b64u
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.question import Purpose, Question
from concordat_trust.wire.transport import WireResponse

JSON_TYPE = "application/graphql-response+json"
STATS_REVISION = "0" * 64


def make_question(**changes: object) -> Question:
    fields: dict[str, object] = {
        "network": "health-research-demo",
        "operation": "search",
        "purpose": Purpose("GRU"),
        "stats_revision": STATS_REVISION,
        "text": "sepsis",
    }
    return Question(**{**fields, **changes})  # type: ignore[arg-type]  # a test names the field it breaks


def make_card(org: str = "north-hospital", number: int = 0, **changes: Json) -> JsonObject:
    """Return a good card with the id of `number`."""
    card: JsonObject = {
        "id": str(AssetId.new(OrgId.parse(org), "model", number.to_bytes(16, "big"))),
        "kind": "model",
        "organization": org,
        "level": "FULL",
        "title": f"Sepsis model {number}",
        "summary": "Predicts sepsis",
        "keywords": ["sepsis"],
        "description": "",
        "task": "classification",
        "framework": "scikit-learn",
        "modality": "tabular",
        "license": "CC-BY-4.0",
        "origin": "trial",
        "created": "2026-01-02",
        "evaluations": [],
        "conditions": {"permission": "DUO:0000042", "disease": None, "modifiers": []},
        "masked_fields": [],
        "missing": [],
        "obligations": [],
        "agreement_ids": [],
        "valid_until": None,
    }
    return {**card, **changes}


def open_result(card: JsonObject, salt: bytes = b"s" * 16) -> JsonObject:
    return {"salt": b64u(salt), "card": card, "asset": None, "lineageVertex": None}


def answer_body(results: Sequence[Json], attestation: Json = "a.b.c", operation: str = "search") -> bytes:
    return json.dumps({"data": {operation: {"attestation": attestation, "results": list(results)}}}).encode()


def response(body: bytes, *, status: int = 200, content_type: str | None = JSON_TYPE) -> WireResponse:
    headers: Mapping[str, str] = {} if content_type is None else {"content-type": content_type}
    return WireResponse(status, headers, body)


def refusal(code: str, *, status: int = 403) -> WireResponse:
    body = json.dumps({"errors": [{"message": code, "extensions": {"code": code}}]}).encode()
    return response(body, status=status)
