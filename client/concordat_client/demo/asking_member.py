"""An organization that goes on asking with its own keys, whatever its home node would say: who still answers it?"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from concordat_client.render import obj, objects
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.encoding import b64u
from concordat_trust.ids import OrgId
from concordat_trust.jwk import SigningKey
from concordat_trust.query_token import RequesterClaims, mint_query_token
from concordat_trust.question import Part, Purpose, Question
from concordat_trust.request_signature import SignedMessage, authority_of, sign_request
from concordat_trust.sealing import SealingKey
from concordat_trust.vocabulary import Clearance
from concordat_trust.wire.coordinator_documents import COORDINATOR_ASK_ID
from concordat_trust.wire.documents import DOCUMENT_IDS

PATH: Final = "/graphql"
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
DEADLINE_MS: Final = 3_000
ANSWER_SECONDS_MAX: Final = 10.0
CLAIMS: Final = RequesterClaims("staff", "researcher", Clearance.PUBLIC)
PURPOSE: Final = Purpose("HMB")


@dataclass(frozen=True, slots=True)
class AskingMember:
    """One member of the network with its operational keys, as the network was when it could still ask."""

    organization: OrgId
    query_token: SigningKey
    request: SigningKey
    bundle: TrustedBundle

    def refused_by(self, party: OrgId) -> str | None:
        """Ask a node or a coordinator; return the code of its refusal, None when it answers.

        Raises: httpx.HTTPError when it cannot be reached; RefusedDocument for something that is no answer.
        """
        member = self.bundle.member(party)
        request = self._to_coordinator(party) if member.kind == "coordinator" else self._to_node(party)
        endpoint = member.endpoint
        with httpx.Client(trust_env=False, timeout=ANSWER_SECONDS_MAX) as client:
            response = client.post(endpoint + PATH, content=request[1], headers=request[0])
        answer = parse_object(response.content, bytes_max=ANSWER_BYTES_MAX)
        errors = objects(answer.get("errors"))
        return str(obj(errors[0].get("extensions")).get("code")) if errors else None

    def _to_node(self, node: OrgId) -> tuple[dict[str, str], bytes]:
        part = Part().canonical().decode()
        variables: JsonObject = {"part": part, "question": self._question().decode()}
        body = canonical_bytes({"documentId": DOCUMENT_IDS["search"], "variables": variables})
        return self._signed(node, [node], self.request, body), body

    def _to_coordinator(self, coordinator: OrgId) -> tuple[dict[str, str], bytes]:
        everybody = self.bundle.organizations
        parts: JsonObject = dict.fromkeys(everybody, Part().canonical().decode())
        variables: JsonObject = {
            "deadlineMs": DEADLINE_MS,
            "parts": canonical_bytes(parts).decode(),
            "question": self._question().decode(),
        }
        body = canonical_bytes({"documentId": COORDINATOR_ASK_ID, "variables": variables})
        return self._signed(coordinator, everybody, None, body), body

    def _signed(
        self, to: OrgId, audience: Sequence[OrgId], presenter: SigningKey | None, body: bytes
    ) -> dict[str, str]:
        now = int(time.time())
        presenting = sorted(self.bundle.member(to).keys["request"])[0] if presenter is None else presenter.key_id
        token = mint_query_token(
            key=self.query_token,
            issuer=self.organization,
            subject="p-" + secrets.token_hex(8),
            network=self.bundle.network.id,
            question=self._question(),
            parts={org: Part().canonical() for org in audience},
            claims=CLAIMS,
            presenter=presenting,
            enc=SealingKey.from_seed(secrets.token_bytes(32)).public,
            token_id=b64u(secrets.token_bytes(16)),
            now=now,
        )
        message = SignedMessage(
            method="POST",
            authority=authority_of(self.bundle.member(to).endpoint),
            path=PATH,
            content_type="application/json",
            authorization=f"Bearer {token}",
            body=body,
        )
        signature = sign_request(message, key=self.request, created=now, nonce=b64u(secrets.token_bytes(16)))
        return dict(signature)

    def _question(self) -> bytes:
        question = Question(
            network=self.bundle.network.id,
            operation="search",
            purpose=PURPOSE,
            stats_revision=self.bundle.statistics.revision,
        )
        return question.canonical()
