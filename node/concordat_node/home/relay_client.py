"""Carrying a round to a coordinator, or to the own node, and reading what comes back as if it were hostile.

Rules of this file:

* The request is signed by the home organization's own key over the receiver's authority as the bundle has it.
* Only the form of an answer is read here. Nothing of it is believed: that is `judge`.
* A refusal is a well-formed GraphQL error with a code. Everything else that is not an answer is `peer_answer_invalid`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from concordat_node.home.answer_stream import (
    MERGED_MAX,
    TEXT_MAX,
    AnswerStream,
    Handover,
    PeerRefused,
    RelayedAnswer,
    ToldAnswer,
    cursor_of,
    field_of,
    receipt_of,
    results_of,
    sealed_of,
)
from concordat_node.home.mint import Round
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.encoding import b64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.jose import Signer
from concordat_trust.request_signature import SignedMessage, authority_of, sign_request
from concordat_trust.shape import Shape
from concordat_trust.wire.documents import DOCUMENT_IDS
from concordat_trust.wire.event_stream import EVENT_STREAM, is_event_stream
from concordat_trust.wire.transport import PeerAnswerInvalid, StreamingTransport, WireRequest, WireResponse

__all__ = ["MERGED_MAX", "Carrier", "Handover", "PeerRefused", "RelayedAnswer", "ToldAnswer"]

PATH = "/graphql"
CONTENT_TYPE = "application/json"
NONCE_BYTES = 16
ANSWER_BYTES_MAX = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Carrier:
    """Signs and sends; one per home node."""

    transport: StreamingTransport
    key: Signer
    clock: Callable[[], int]
    entropy: Callable[[int], bytes]

    async def ask_coordinator(
        self,
        endpoint: str,
        round_: Round,
        *,
        deadline_s: float,
        coordinator_ms: int,
        tell: Callable[[ToldAnswer], None],
    ) -> Handover:
        """Tell of each organization's answer as it comes, and return what ends them.

        Raises: PeerFailure leaves, PeerRefused and PeerStreamBroken among them; what was told before is then unsigned.
        """
        variables: JsonObject = {
            "deadlineMs": coordinator_ms,
            "parts": canonical_bytes(_json(round_.part_texts())).decode("utf-8"),
            "question": round_.question_bytes.decode("utf-8"),
        }
        request = self._signed(endpoint, "askProgress", round_, variables, deadline_s, accept=EVENT_STREAM)
        reading = AnswerStream(endpoint, tell, bytes_max=ANSWER_BYTES_MAX)
        response = await self.transport.stream(
            endpoint, request, deadline_s=deadline_s, bytes_max=ANSWER_BYTES_MAX, feed=reading.feed
        )
        if response.status != 200 or not is_event_stream(response.headers.get("content-type", "")):
            _data(response, endpoint, "askProgress")  # a refusal says why
            raise PeerAnswerInvalid(endpoint=endpoint)
        return reading.handover()

    async def ask_node(self, endpoint: str, organization: OrgId, round_: Round, *, deadline_s: float) -> RelayedAnswer:
        """Return one node's own answer. Raises: PeerFailure leaves, PeerRefused among them."""
        variables: JsonObject = {
            "part": round_.part_texts()[organization],
            "question": round_.question_bytes.decode("utf-8"),
        }
        operation = round_.question.operation
        request = self._signed(endpoint, operation, round_, variables, deadline_s)
        response = await self.transport.exchange(endpoint, request, deadline_s=deadline_s, bytes_max=ANSWER_BYTES_MAX)
        try:
            shape = Shape(_data(response, endpoint, operation), "answer")
            attestation = shape.text("attestation", length_max=TEXT_MAX)
            results, receipt, cursor = results_of(shape), receipt_of(shape), cursor_of(shape)
            return RelayedAnswer(organization, attestation, results, receipt, cursor, sealed_of(shape))
        except RefusedDocument as error:
            raise PeerAnswerInvalid(endpoint=endpoint) from error

    def _signed(
        self,
        endpoint: str,
        document: str,
        round_: Round,
        variables: JsonObject,
        deadline_s: float,
        *,
        accept: str | None = None,
    ) -> WireRequest:
        body = canonical_bytes({"documentId": DOCUMENT_IDS[document], "variables": variables})
        message = SignedMessage(
            method="POST",
            authority=authority_of(endpoint),
            path=PATH,
            content_type=CONTENT_TYPE,
            authorization=f"Bearer {round_.token}",
            body=body,
        )
        headers = sign_request(message, key=self.key, created=self.clock(), nonce=b64u(self.entropy(NONCE_BYTES)))
        headers["concordat-timeout-ms"] = str(max(1, int(deadline_s * 1_000)))
        if accept is not None:
            headers["accept"] = accept
        return WireRequest("POST", PATH, headers, body)


def _data(response: WireResponse, endpoint: str, field: str) -> Json:
    try:
        value = field_of(parse_object(response.body, bytes_max=ANSWER_BYTES_MAX), endpoint, field)
    except RefusedDocument as error:
        raise PeerAnswerInvalid(endpoint=endpoint) from error
    if response.status != 200:
        raise PeerAnswerInvalid(endpoint=endpoint)
    return value


def _json(texts: Mapping[str, str]) -> JsonObject:
    return dict(texts)
