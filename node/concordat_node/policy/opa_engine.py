"""The policy engine over OPA: builds one input, asks one rule, believes only what decision.py reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from concordat_node.policy.decision import CANARY, CANARY_ID, parse_decisions, parse_page, parse_scope
from concordat_node.policy.engine import Decision, DecisionRequest, Scope
from concordat_trust.canonical import Json, JsonObject

if TYPE_CHECKING:
    from concordat_node.registry.records import PolicyAttributes

SCOPE_RULE = "disclosure/scope"
CLASSES_RULE = "disclosure/decisions"
PAGE_RULE = "disclosure/page"
CLASSES_MAX = 250
"""Classes in one request to OPA; more are asked in several, so that each stays well within the timeout."""


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
        return parse_scope(await self._point.evaluate(SCOPE_RULE, request.to_json()))

    async def decide_classes(
        self, request: DecisionRequest, classes: Mapping[str, PolicyAttributes]
    ) -> Mapping[str, Decision]:
        """Return one decision per class. Asks also when there is none: whether OPA works is no fact about classes."""
        decisions: dict[str, Decision] = {}
        ids = sorted(classes)
        for start in range(0, max(len(ids), 1), CLASSES_MAX):
            batch = {class_id: classes[class_id] for class_id in ids[start : start + CLASSES_MAX]}
            decisions |= await self._decide_batch(request, batch)
        return decisions

    async def _decide_batch(
        self, request: DecisionRequest, batch: Mapping[str, PolicyAttributes]
    ) -> dict[str, Decision]:
        asked: JsonObject = {class_id: attributes.to_json() for class_id, attributes in batch.items()}
        document: JsonObject = {**_request(request, batch.values()), "classes": {**asked, CANARY_ID: _canary()}}
        return parse_decisions(await self._point.evaluate(CLASSES_RULE, document), batch, request.now)

    async def decide_page(self, request: DecisionRequest, page: Sequence[PolicyAttributes]) -> tuple[Decision, ...]:
        asked: list[Json] = [attributes.to_json() for attributes in page]
        document: JsonObject = {**_request(request, page), "page": [*asked, _canary()]}
        return parse_page(await self._point.evaluate(PAGE_RULE, document), len(page), request.now)


def _request(request: DecisionRequest, page: Iterable[PolicyAttributes]) -> JsonObject:
    """Return the input without what is decided. Agreements that no class names are left out: they decide nothing."""
    named = {agreement_id for attributes in page for agreement_id in attributes.agreements}
    agreements = {key: value for key, value in request.agreements.items() if key in named}
    return replace(request, agreements=agreements).to_json()


def _canary() -> JsonObject:
    return dict(CANARY)
