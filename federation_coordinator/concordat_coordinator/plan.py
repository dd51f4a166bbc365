"""Which node is asked what, and who is not asked and why.

Rules of this file:

* Pure: question, audience of the query token, parts and bundle in, one request per organization out.
* Every organization of the audience appears exactly once, as a request or as `Skipped` with a code. A relay never adds
  one, never drops one and never writes a part of its own.
* The endpoint comes from the trust bundle. Off loopback it must be https: a question is sensitive.
* The nodes get the deadline minus a reserve in which the relay checks, merges and signs, so that its own answer is
  still in time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from concordat_coordinator.cost import Limits
from concordat_trust.canonical import canonical_bytes
from concordat_trust.directory import DirectoryMember, KeyDirectory, MemberUnknown
from concordat_trust.ids import OrgId
from concordat_trust.question import Question
from concordat_trust.request_signature import EndpointInvalid, authority_of
from concordat_trust.wire.documents import DOCUMENT_IDS

NODE_PATH = "/graphql"
RESERVE_SHARE = 10
RESERVE_MS_MIN = 10
RESERVE_MS_MAX = 250
_LOOPBACK = re.compile(r"(127\.0\.0\.1|\[::1\]|localhost)(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """What one node is asked, not yet signed."""

    organization: OrgId
    endpoint: str
    part: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Skipped:
    """An organization that is not asked, with the reason."""

    organization: OrgId
    code: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole fan-out of one question."""

    requests: tuple[NodeRequest, ...]
    skipped: tuple[Skipped, ...]
    nodes_ms: int
    answer_bytes_max: int


def make_plan(
    question: Question,
    question_bytes: bytes,
    *,
    parts: Mapping[OrgId, bytes],
    audience: Sequence[OrgId],
    bundle: KeyDirectory,
    deadline_ms: int,
    limits: Limits,
) -> Plan:
    """Return one request or one reason for every organization of the audience, in its order."""
    requests: list[NodeRequest] = []
    skipped: list[Skipped] = []
    for organization in audience:
        member = _member(bundle, organization)
        code = _reason_to_skip(member, organization in parts)
        if member is None or code is not None:
            skipped.append(Skipped(organization, code or MemberUnknown.code))
            continue
        part = parts[organization]
        body = node_body(question, question_bytes, part)
        requests.append(NodeRequest(organization, member.endpoint, part, body))
    return Plan(
        requests=tuple(requests),
        skipped=tuple(skipped),
        nodes_ms=deadline_ms - reserve_ms(deadline_ms),
        answer_bytes_max=limits.answer_bytes_max(question),
    )


def node_body(question: Question, question_bytes: bytes, part: bytes) -> bytes:
    """Return the body of a node's request: the trusted document's id and the two texts exactly as they were hashed."""
    return canonical_bytes(
        {
            "documentId": DOCUMENT_IDS[question.operation],
            "variables": {"question": question_bytes.decode("utf-8"), "part": part.decode("utf-8")},
        }
    )


def reserve_ms(deadline_ms: int) -> int:
    """Return how much of a deadline the relay keeps for itself."""
    return min(max(deadline_ms // RESERVE_SHARE, RESERVE_MS_MIN), RESERVE_MS_MAX)


def is_safe_endpoint(endpoint: str) -> bool:
    """Return whether questions may be sent there: https, or plain http to this machine itself."""
    try:
        authority = authority_of(endpoint)
    except EndpointInvalid:
        return False
    return endpoint.lower().startswith("https://") or _LOOPBACK.fullmatch(authority) is not None


def _member(bundle: KeyDirectory, organization: OrgId) -> DirectoryMember | None:
    try:
        return bundle.member(organization)
    except MemberUnknown:
        return None


def _reason_to_skip(member: DirectoryMember | None, has_part: bool) -> str | None:
    if member is None:
        return MemberUnknown.code
    if member.suspended:
        return "organization_suspended"
    if member.kind != "organization":
        return "not_an_organization"
    if not member.endpoint:
        return "endpoint_missing"
    if not is_safe_endpoint(member.endpoint):
        return "endpoint_insecure"
    return None if has_part else "part_missing"
