"""The policy engine over OPA: builds one input, asks one rule, believes only what decision.py reads.

Rules of this file:

* Whether OPA decides in time must not depend on what the requester may not see. So nothing is sent that decides
  nothing: no grant of a stranger, no grant that no class names, no class that is not published.
* That a class is not published is decided by the Rego (`status.active`). It is repeated here only to bound what is
  sent: such a class comes back denied, as OPA would have denied it, and never otherwise.
* What is sent is cut into requests by number and by bytes, because OPA has one short time for each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from concordat_node.policy.decision import CANARY, CANARY_ID, parse_decisions, parse_page, parse_scope
from concordat_node.policy.engine import Decision, DecisionRequest, Scope, denied
from concordat_node.policy.grants import with_own_grants
from concordat_trust.canonical import Json, JsonObject

if TYPE_CHECKING:
    from concordat_node.registry.records import PolicyAttributes

SCOPE_RULE = "disclosure/scope"
CLASSES_RULE = "disclosure/decisions"
PAGE_RULE = "disclosure/page"
NOT_ACTIVE = "not_active"
CLASSES_MAX = 250
"""Classes in one request to OPA; more are asked in several, so that each stays well within the timeout."""
CLASSES_BYTES_MAX = 131_072
"""Bytes of classes, and of the grants they name, in one request to OPA; a larger class is asked about alone."""


class DecisionPoint(Protocol):
    """Whoever evaluates a rule: a supervised OPA, or a broken one in a test."""

    @property
    def revision(self) -> str: ...

    async def evaluate(self, rule: str, document: JsonObject) -> object:
        """Return the rule's value. Raises: PolicyUnavailable."""


class OpaPolicyEngine:
    """A PolicyEngine that asks `point`. Holds no state, so one serves every request."""

    def __init__(self, point: DecisionPoint) -> None:
        self._point = point

    @property
    def revision(self) -> str:
        return self._point.revision

    async def scope(self, request: DecisionRequest) -> Scope:
        document = replace(request, agreements={}, approvals={}).to_json()
        return parse_scope(await self._point.evaluate(SCOPE_RULE, document))

    async def decide_classes(
        self, request: DecisionRequest, classes: Mapping[str, PolicyAttributes]
    ) -> Mapping[str, Decision]:
        """Return one decision per class. Asks also when there is none: whether OPA works is no fact about classes."""
        request = with_own_grants(request)
        published = [class_id for class_id in sorted(classes) if _is_published(classes[class_id])]
        decisions: dict[str, Decision] = {}
        for batch in _batches(request, [classes[class_id] for class_id in published]):
            ids = published[batch]
            asked: JsonObject = {class_id: classes[class_id].to_json() for class_id in ids}
            document = _request(request, (classes[class_id] for class_id in ids))
            document["classes"] = {**asked, CANARY_ID: _canary()}
            decisions |= parse_decisions(await self._point.evaluate(CLASSES_RULE, document), ids, request.now)
        return {class_id: decisions.get(class_id, denied(NOT_ACTIVE)) for class_id in sorted(classes)}

    async def decide_page(self, request: DecisionRequest, page: Sequence[PolicyAttributes]) -> tuple[Decision, ...]:
        request = with_own_grants(request)
        published = [attributes for attributes in page if _is_published(attributes)]
        decisions: list[Decision] = []
        for batch in _batches(request, published):
            asked: list[Json] = [attributes.to_json() for attributes in published[batch]]
            document = _request(request, published[batch])
            document["page"] = [*asked, _canary()]
            decisions += parse_page(await self._point.evaluate(PAGE_RULE, document), len(asked), request.now)
        in_order = iter(decisions)
        return tuple(next(in_order) if _is_published(attributes) else denied(NOT_ACTIVE) for attributes in page)


def _is_published(attributes: PolicyAttributes) -> bool:
    return attributes.status == "active"


def _batches(request: DecisionRequest, asked: Sequence[PolicyAttributes]) -> Iterator[slice]:
    """Yield what of `asked` goes into each request to OPA: at least one, which may be empty."""
    sizes = {
        **{("agreement", key): _size(value.to_json()) for key, value in request.agreements.items()},
        **{("approval", key): _size(value.to_json()) for key, value in request.approvals.items()},
    }
    start = used = 0
    for position, attributes in enumerate(asked):
        # A grant counts for every class that names it, although it is sent once: an upper bound is enough.
        size = _size(attributes.to_json())
        size += sum(sizes.get(("agreement", key), 0) for key in attributes.agreements)
        size += sum(sizes.get(("approval", key), 0) for key in attributes.approvals)
        if position > start and (position - start == CLASSES_MAX or used + size > CLASSES_BYTES_MAX):
            yield slice(start, position)
            start, used = position, 0
        used += size
    yield slice(start, len(asked))


def _size(document: JsonObject) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def _request(request: DecisionRequest, asked: Iterable[PolicyAttributes]) -> JsonObject:
    """Return the input without what is decided. Grants that no class names are left out: they decide nothing."""
    agreements: set[str] = set()
    approvals: set[str] = set()
    for attributes in asked:
        agreements.update(attributes.agreements)
        approvals.update(attributes.approvals)
    return replace(
        request,
        agreements={key: value for key, value in request.agreements.items() if key in agreements},
        approvals={key: value for key, value in request.approvals.items() if key in approvals},
    ).to_json()


def _canary() -> JsonObject:
    return dict(CANARY)
