"""A coordinator and a node in memory, as a home node meets them: they check what they get and answer by the factories.

`FakeCoordinator` is honest until a test gives it a lie: a function that changes what it hands over, after the answers
were made and before the delivery is signed (`lie`), or the finished answer (`lie_late`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from concordat_trust.answer import NodeAnswer, OpenResult, VerifiedAnswer, verify_node_answer
from concordat_trust.attestation import verify_attestation
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.delivery import DeliveredAnswer, Delivery, sign_delivery
from concordat_trust.directory import request_keys
from concordat_trust.encoding import b64u, sha256_b64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.merge import Reported, merge
from concordat_trust.query_token import VerifiedToken, verify_query_token, verify_relayed_token
from concordat_trust.question import Question, parse_part, parse_question
from concordat_trust.request_signature import SignedMessage, authority_of, verify_request
from concordat_trust.vocabulary import ProvedStatus
from concordat_trust.wire.documents import DOCUMENT_IDS
from concordat_trust.wire.transport import PeerUnreachable, WireRequest, WireResponse
from tests.factories.answers import (
    HOME,
    NORTH,
    RELAY,
    VITALIS,
    digest16,
    in_order,
    make_attestation,
    make_card,
    salt_of,
    sealed_answer,
    signed_answer,
)
from tests.factories.network import NOW, TestNetwork
from tests.factories.streaming import stream_of

Cards = Mapping[OrgId, Sequence[JsonObject]]


def demo_cards() -> dict[OrgId, list[JsonObject]]:
    """Return a few cards of each organization that the words "clinical trial" find."""
    return {
        HOME: [make_card(HOME, "diabetes")],
        NORTH: [make_card(NORTH, "sepsis"), make_card(NORTH, "heart failure")],
        VITALIS: [make_card(VITALIS, "asthma", task="regression")],
    }


@dataclass
class Handed:
    """What a coordinator is about to sign and hand over."""

    answers: dict[OrgId, NodeAnswer]
    reported: dict[OrgId, Reported]
    merged: JsonObject
    claimed: dict[OrgId, ProvedStatus] = field(default_factory=dict)
    digests: dict[OrgId, str] = field(default_factory=dict)


@dataclass
class FakeCoordinator:
    network: TestNetwork
    cards: Cards = field(default_factory=demo_cards)
    reported: Mapping[OrgId, Reported] = field(default_factory=dict)
    sealed: frozenset[str] = frozenset()
    attested: Mapping[OrgId, Mapping[str, Any]] = field(default_factory=dict)
    lie: Callable[[Handed], None] = lambda _handed: None
    lie_late: Callable[[JsonObject], None] = lambda _ask: None
    delivery_changes: Mapping[str, Any] = field(default_factory=dict)
    tokens: list[VerifiedToken] = field(default_factory=list)
    clock: Callable[[], int] = lambda: NOW
    is_paging: bool = False

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        variables = checked_variables(self.network, endpoint, request, document="askProgress", now=self.clock())
        question_bytes = variables["question"].encode()
        parts = {OrgId.parse(org): text.encode() for org, text in json.loads(variables["parts"]).items()}
        token = verify_relayed_token(
            request.headers["authorization"].removeprefix("Bearer "),
            bundle=self.network.bundle,
            question=question_bytes,
            parts=parts,
            relay=self.network.keys[RELAY]["request"].key_id,
            now=self.clock(),
        )
        self.tokens.append(token)
        return stream_of(self.asked(parse_question(question_bytes), parts, token))

    def asked(self, question: Question, parts: Mapping[OrgId, bytes], token: VerifiedToken) -> JsonObject:
        bundle = self.network.bundle
        reported = dict(self.reported)
        answers = {
            org: node_answer(
                self.network,
                self.cards.get(org, ()),
                org=org,
                question=question,
                part=parts[org],
                token=token,
                sealed=self.sealed,
                is_paging=self.is_paging,
                **{"issued_at": self.clock(), **self.attested.get(org, {})},
            )
            for org in token.audience
            if org not in reported
        }
        tried = [self._read(answer, question, parts[org], token) for org, answer in answers.items()]
        read = [answer for answer in tried if answer is not None]
        merged = merge(question, read, reported, token.audience, bundle.statistics).to_json()
        handed = Handed(answers, reported, merged)
        self.lie(handed)
        delivery = self._signed_delivery(handed, question, token)
        ask: JsonObject = {
            "delivery": delivery,
            "answers": [self._entry(org, handed, question) for org in sorted({*handed.answers, *handed.reported})],
            "merged": json.dumps(handed.merged),
        }
        self.lie_late(ask)
        return ask

    def _signed_delivery(self, handed: Handed, question: Question, token: VerifiedToken) -> str:
        delivery = Delivery(
            coordinator=RELAY,
            home=HOME,
            issued_at=self.clock(),
            delivery_id=b64u(digest16("delivery")),
            token_id=token.token_id,
            question_hash=question.hash(),
            answers=tuple(self._delivered(org, handed) for org in sorted({*handed.answers, *handed.reported})),
        )
        key = self.network.keys[RELAY]["delivery"]
        return sign_delivery(replace(delivery, **self.delivery_changes), key=key)

    def _read(self, answer: NodeAnswer, question: Question, part: bytes, token: VerifiedToken) -> VerifiedAnswer | None:
        try:
            return verify_node_answer(
                answer,
                org=answer.org,
                question=question,
                part=parse_part(part),
                token_id=token.token_id,
                home=HOME,
                bundle=self.network.bundle,
                open_sealed=None,
            )
        except RefusedDocument:
            return None  # an honest relay would not hand it over; this one does

    def _delivered(self, org: OrgId, handed: Handed) -> DeliveredAnswer:
        report = handed.reported.get(org)
        if report is not None:
            return DeliveredAnswer(org, report.status, report.code, None, ">=5s")  # type: ignore[arg-type]  # a relay's
        text = handed.answers[org].attestation
        stated = verify_attestation(text, bundle=self.network.bundle)
        status = handed.claimed.get(org, stated.status)
        digest = handed.digests.get(org, sha256_b64u(text.encode()))
        return DeliveredAnswer(org, status, stated.code, digest, "<100ms")

    def _entry(self, org: OrgId, handed: Handed, question: Question) -> JsonObject:
        answer, delivered = handed.answers.get(org), self._delivered(org, handed)
        return {
            "organization": org,
            "status": delivered.status,
            "code": delivered.code,
            "attestation": None if answer is None else answer.attestation,
            "results": None if answer is None else [on_the_wire(result, question) for result in answer.results],
            "receipt": None if answer is None else answer.receipt,
            "cursor": None if answer is None else answer.cursor,
            "sealed": None if answer is None else answer.sealed,
        }


@dataclass
class FakeNode:
    """One organization's own node, asked directly."""

    network: TestNetwork
    org: OrgId = HOME
    cards: Sequence[JsonObject] = field(default_factory=lambda: demo_cards()[HOME])
    presenters: list[str] = field(default_factory=list)
    lie: Callable[[JsonObject], None] = lambda _given: None

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        variables = checked_variables(self.network, endpoint, request, document=None)
        question, part = variables["question"].encode(), variables["part"].encode()
        presenter = presenter_of(self.network, endpoint, request)
        token = verify_query_token(
            request.headers["authorization"].removeprefix("Bearer "),
            me=self.org,
            bundle=self.network.bundle,
            question=question,
            part=part,
            presenter=presenter,
            now=NOW,
        )
        self.presenters.append(presenter)
        asked = parse_question(question)
        answer = node_answer(self.network, self.cards, org=self.org, question=asked, part=part, token=token)
        results: list[Json] = [on_the_wire(result, asked) for result in answer.results]
        given: JsonObject = {"attestation": answer.attestation, "results": results, "receipt": answer.receipt}
        self.lie(given)
        return graphql({asked.operation: given})


class Away:
    """Nobody is there."""

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        raise PeerUnreachable(endpoint=endpoint, sent=False)


@dataclass
class Says:
    """Answers the same bytes to everything."""

    status: int = 200
    body: bytes = b""

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        return WireResponse(self.status, {"content-type": "text/html"}, self.body)


def presenter_of(network: TestNetwork, endpoint: str, request: WireRequest, *, now: int = NOW) -> str:
    """Return who signed the request, checked as a node checks it."""
    message = SignedMessage(
        method=request.method,
        authority=authority_of(endpoint),
        path=request.path,
        content_type=request.headers["content-type"],
        authorization=request.headers["authorization"],
        body=request.body,
    )
    return verify_request(message, request.headers, resolve_key=request_keys(network.bundle), now=now)


def checked_variables(
    network: TestNetwork, endpoint: str, request: WireRequest, *, document: str | None, now: int = NOW
) -> dict[str, str]:
    presenter_of(network, endpoint, request, now=now)
    body = json.loads(request.body)
    allowed = {DOCUMENT_IDS[document]} if document else {DOCUMENT_IDS["search"], DOCUMENT_IDS["assets"]}
    assert body["documentId"] in allowed
    variables: dict[str, str] = body["variables"]
    return variables


def node_answer(
    network: TestNetwork,
    cards: Sequence[JsonObject],
    *,
    org: OrgId,
    question: Question,
    part: bytes,
    token: VerifiedToken,
    sealed: frozenset[str] = frozenset(),
    is_paging: bool = False,
    **changes: Any,
) -> NodeAnswer:
    """Return an honest answer to this token; for an assets question the cards whose ids the part names.

    With `is_paging` it comes with a cursor: the number of cards before it, unsealed.
    """
    parsed = parse_part(part)
    wanted = [card for card in cards if question.operation == "search" or card["id"] in parsed.ids]
    start = 0 if parsed.cursor is None else int(parsed.cursor.sealed) + parsed.cursor.after
    following = in_order(network, question, wanted)[start:]
    whole = make_attestation(network, wanted, org=org, question=question, part=parsed)
    rest = make_attestation(network, following, org=org, question=question, part=parsed)
    cursor = f"{start:016}" if is_paging and following else None
    members: dict[str, Any] = {
        "candidates": rest.candidates,
        "cursor": None if cursor is None else sha256_b64u(cursor.encode()),
        "token_id": token.token_id,
        **changes,
    }
    attestation = replace(whole, **members)
    results = [OpenResult(salt_of(record), record) for record in following[: len(attestation.candidates)]]
    if not sealed.isdisjoint(str(card["id"]) for card in cards):
        return sealed_answer(network, attestation, results, org=org, to=token.enc, cursors=cursor)
    return replace(signed_answer(network, attestation, results, org=org), cursor=cursor)


def on_the_wire(result: OpenResult, question: Question) -> JsonObject:
    wire: JsonObject = {"salt": None, "card": None, "asset": None, "lineageVertex": None}
    return {**wire, "salt": result.salt, question.projection: result.record}


def graphql(data: JsonObject) -> WireResponse:
    body = json.dumps({"data": data}).encode()
    return WireResponse(200, {"content-type": "application/graphql-response+json"}, body)


def with_results(answer: NodeAnswer, results: Sequence[OpenResult]) -> NodeAnswer:
    return replace(answer, results=tuple(results))
