"""Carrying a round to a coordinator, or to the own node, and reading what comes back as if it were hostile.

Rules of this file:

* The request is signed by the home organization's own key over the receiver's authority as the bundle has it.
* Only the form of an answer is read here. Nothing of it is believed: that is `judge`.
* A refusal is a well-formed GraphQL error with a code. Everything else that is not an answer is `peer_answer_invalid`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from concordat_node.home.mint import Round
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.encoding import b64u
from concordat_trust.errors import PeerFailure, RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.jose import Signer
from concordat_trust.request_signature import SignedMessage, authority_of, sign_request
from concordat_trust.shape import Shape
from concordat_trust.wire.documents import DOCUMENT_IDS
from concordat_trust.wire.transport import PeerAnswerInvalid, Transport, WireRequest, WireResponse

PATH = "/graphql"
CONTENT_TYPE = "application/json"
NONCE_BYTES = 16
RESULTS_MAX = 50
ORGANIZATIONS_MAX = 200
TEXT_MAX = 400_000
MERGED_MAX = 8_000_000
ANSWER_BYTES_MAX = 32 * 1024 * 1024
_CODE = re.compile(r"[a-z][a-z0-9_]{2,63}")


class PeerRefused(PeerFailure):
    code = "peer_refused"
    sentence = "{endpoint} refused the question: {reason}."
    hint = "The documentation lists the refusals; most concern clocks, keys or versions of the trust bundle."


@dataclass(frozen=True, slots=True)
class RelayedAnswer:
    """What a coordinator handed over for one organization; results as they stand on the wire."""

    organization: OrgId
    attestation: str | None
    results: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True)
class Relayed:
    """A coordinator's whole answer; nothing of it is believed."""

    delivery: str
    answers: tuple[RelayedAnswer, ...]
    merged: str


@dataclass(frozen=True, slots=True)
class Carrier:
    """Signs and sends; one per home node."""

    transport: Transport
    key: Signer
    clock: Callable[[], int]
    entropy: Callable[[int], bytes]

    async def ask_coordinator(self, endpoint: str, round_: Round, *, deadline_s: float, coordinator_ms: int) -> Relayed:
        """Return the coordinator's answer. Raises: PeerFailure leaves, PeerRefused among them."""
        variables: JsonObject = {
            "deadlineMs": coordinator_ms,
            "parts": canonical_bytes(_json(round_.part_texts())).decode("utf-8"),
            "question": round_.question_bytes.decode("utf-8"),
        }
        data = await self._call(endpoint, "ask", round_, variables, deadline_s)
        try:
            return _relayed(Shape(data, "ask"))
        except RefusedDocument as error:
            raise PeerAnswerInvalid(endpoint=endpoint) from error

    async def ask_node(self, endpoint: str, organization: OrgId, round_: Round, *, deadline_s: float) -> RelayedAnswer:
        """Return one node's own answer. Raises: PeerFailure leaves, PeerRefused among them."""
        variables: JsonObject = {
            "part": round_.part_texts()[organization],
            "question": round_.question_bytes.decode("utf-8"),
        }
        data = await self._call(endpoint, round_.question.operation, round_, variables, deadline_s)
        try:
            shape = Shape(data, "answer")
            attestation = shape.text("attestation", length_max=TEXT_MAX)
            return RelayedAnswer(organization, attestation, _results(shape))
        except RefusedDocument as error:
            raise PeerAnswerInvalid(endpoint=endpoint) from error

    async def _call(
        self, endpoint: str, document: str, round_: Round, variables: JsonObject, deadline_s: float
    ) -> Json:
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
        response = await self.transport.exchange(
            endpoint, WireRequest("POST", PATH, headers, body), deadline_s=deadline_s, bytes_max=ANSWER_BYTES_MAX
        )
        return _data(response, endpoint, document)


def _data(response: WireResponse, endpoint: str, field: str) -> Json:
    try:
        answer = parse_object(response.body, bytes_max=ANSWER_BYTES_MAX)
    except RefusedDocument as error:
        raise PeerAnswerInvalid(endpoint=endpoint) from error
    reason = _refusal(answer)
    if reason is not None:
        raise PeerRefused(endpoint=endpoint, reason=reason)
    data = answer.get("data")
    if response.status != 200 or "errors" in answer or not isinstance(data, dict) or field not in data:
        raise PeerAnswerInvalid(endpoint=endpoint)
    return data[field]


def _refusal(answer: Mapping[str, Json]) -> str | None:
    errors = answer.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    extensions = first.get("extensions") if isinstance(first, dict) else None
    code = extensions.get("code") if isinstance(extensions, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _relayed(shape: Shape) -> Relayed:
    return Relayed(
        delivery=shape.text("delivery", length_max=TEXT_MAX),
        answers=tuple(_answer(item) for item in shape.objects("answers", count_max=ORGANIZATIONS_MAX)),
        merged=shape.text("merged", length_max=MERGED_MAX),
    )


def _answer(shape: Shape) -> RelayedAnswer:
    organization = OrgId.parse(shape.text("organization", length_max=40))
    attestation = shape.optional_text("attestation", length_max=TEXT_MAX)
    return RelayedAnswer(organization, attestation, _results(shape) if shape.has("results") else ())


def _results(shape: Shape) -> tuple[JsonObject, ...]:
    if shape.value("results") is None:
        return ()
    items = shape.value("results")
    if not isinstance(items, list) or len(items) > RESULTS_MAX:
        raise shape.refuse("results", f"is not a list of at most {RESULTS_MAX} results")
    results: list[JsonObject] = []
    for item in items:
        if not isinstance(item, dict):
            raise shape.refuse("results", "has an entry that is not an object")
        results.append(item)
    return tuple(results)


def _json(texts: Mapping[str, str]) -> JsonObject:
    return dict(texts)
