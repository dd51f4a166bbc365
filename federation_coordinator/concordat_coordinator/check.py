"""What a relay verifies of a node's answer before it passes it on.

The same function as at home (`node_answer.verify_node_answer`), because a check that exists twice differs twice:
signature with the node's key from the bundle, then organization, home, token, question and part, then every record
against its commitment. A sealed part cannot be opened here and travels unread, and so does the receipt. An answer that
fails is INVALID and goes nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from concordat_coordinator.admission import Ask
from concordat_coordinator.payload import NodePayload, read_payload
from concordat_coordinator.plan import NodeRequest
from concordat_trust.node_answer import (
    AnswerDirectory,
    NodeAnswer,
    VerifiedAnswer,
    result_from_wire,
    verify_node_answer,
)
from concordat_trust.question import parse_part
from concordat_trust.wire.transport import WireResponse


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """A node's answer that may be relayed: exactly what came, and what a relay could verify of it."""

    payload: NodePayload
    verified: VerifiedAnswer


def check_response(response: WireResponse, *, request: NodeRequest, ask: Ask, bundle: AnswerDirectory) -> CheckedAnswer:
    """Return the answer of one node as it may be relayed.

    Raises: what `read_payload` and `verify_node_answer` raise; every one of them is INVALID or the node's own refusal.
    """
    payload = read_payload(response, question=ask.question, endpoint=request.endpoint)
    answer = NodeAnswer(
        org=request.organization,
        attestation=payload.attestation,
        results=tuple(result_from_wire(result, ask.question.projection) for result in payload.results),
        cursor=payload.cursor,
        sealed=payload.sealed,
    )
    verified = verify_node_answer(
        answer,
        org=request.organization,
        question=ask.question,
        part=parse_part(request.part),
        token_id=ask.tokens.by_organization[request.organization].token_id,
        home=ask.home,
        bundle=bundle,
        open_sealed=None,
        asked_at=ask.tokens.presented.issued_at,
        is_relay=True,
    )
    return CheckedAnswer(payload, verified)
