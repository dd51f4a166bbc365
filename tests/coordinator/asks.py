"""A good signed request of a home node to a coordinator, for tests that break one thing in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.encoding import b64u
from concordat_trust.ids import OrgId
from concordat_trust.query_token import mint_query_token
from concordat_trust.question import Part, Question
from concordat_trust.request_signature import SignedMessage, authority_of, sign_request
from concordat_trust.wire.coordinator_documents import COORDINATOR_ASK_ID
from concordat_trust.wire.transport import WireRequest
from tests.factories.network import NOW, TestNetwork, make_network
from tests.factories.node import ANALYST, HOME, RELAY, SEALING_KEY, make_question


@cache
def network() -> TestNetwork:
    return make_network()


def default_parts() -> dict[OrgId, bytes]:
    return {org: Part().canonical() for org in network().bundle.organizations}


@dataclass(frozen=True)
class AskDraft:
    """Change one thing with `replace`, then `request()`. The token is always minted for `token_parts`."""

    question: Question = field(default_factory=lambda: make_question(network()))
    question_text: str | None = None
    parts: Mapping[OrgId, bytes] = field(default_factory=default_parts)
    token_parts: Mapping[OrgId, bytes] | None = None
    token_question: bytes | None = None
    parts_text: str | None = None
    deadline_ms: Json = 1_000
    document_id: str = COORDINATOR_ASK_ID
    issuer: OrgId = HOME
    presenter: OrgId = RELAY
    signer: OrgId = HOME
    receiver: OrgId = RELAY
    path: str = "/graphql"
    content_type: str = "application/json"
    scheme: str = "Bearer "
    now: int = NOW
    more: JsonObject = field(default_factory=dict)

    def token(self) -> str:
        keys = network().keys
        return mint_query_token(
            key=keys[self.issuer]["query_token"],
            issuer=self.issuer,
            subject="p-4711",
            network=network().bundle.network.id,
            question=self.token_question or self.question.canonical(),
            parts=self.token_parts or self.parts,
            claims=ANALYST,
            presenter=keys[self.presenter]["request"].key_id,
            enc=SEALING_KEY.public,
            token_id=b64u(b"t" * 16),
            now=self.now,
        )

    def body(self) -> bytes:
        texts = json.dumps({org: part.decode() for org, part in self.parts.items()})
        variables: JsonObject = {
            "question": self.question.canonical().decode() if self.question_text is None else self.question_text,
            "parts": texts if self.parts_text is None else self.parts_text,
            "deadlineMs": self.deadline_ms,
        }
        return canonical_bytes({"documentId": self.document_id, "variables": variables, **self.more})

    def request(self, *, body: bytes | None = None, token: str | None = None) -> WireRequest:
        sent = self.body() if body is None else body
        message = SignedMessage(
            method="POST",
            authority=authority_of(network().bundle.member(self.receiver).endpoint),
            path=self.path,
            content_type=self.content_type,
            authorization=self.scheme + (self.token() if token is None else token),
            body=sent,
        )
        key = network().keys[self.signer]["request"]
        headers = sign_request(message, key=key, created=self.now, nonce=b64u(b"n" * 16))
        return WireRequest("POST", self.path, headers, sent)
