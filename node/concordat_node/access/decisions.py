"""The class decisions of one requester and purpose, remembered for as long as they hold.

Rules of this file:

* A remembered decision is used only for the same requester projection, purpose, policy revision and registry revision,
  and only until the earliest of: its own `valid_until`, the next beginning or end of an agreement or approval that
  names the requester, the end of the UTC day (embargoes end by day), a named maximum. Between these a decision is the
  same whenever it is made, so that no answer depends on when something else was imported.
* `scope` is asked with neither agreements nor classes in hand, so that a node's status cannot depend on them.
* The engine is given only the agreements and approvals that name the requester.
* Registry facts are read before and after the revision; when an import came between, nothing is remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from concordat_node.policy.engine import Decision, DecisionRequest, PolicyEngine, Scope
from concordat_node.policy.grants import turning_points, with_own_grants
from concordat_node.registry.records import Agreement, Approval, AssetRecord, PolicyAttributes
from concordat_trust.ids import AssetId

REMEMBERED_MAX = 256
DAY_S = 86_400

T = TypeVar("T")


class RunBlocking(Protocol):
    """Runs a blocking call away from the event loop; in the simulator, directly."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]: ...


class Registry(Protocol):
    """What the gate reads of the registry; `RegistryStore` is the real one. Every method blocks."""

    def revision(self) -> int: ...
    def classes(self) -> Mapping[str, PolicyAttributes]: ...
    def class_attributes(self, ids: Iterable[AssetId], /) -> Mapping[AssetId, PolicyAttributes]: ...
    def assets(self, ids: Iterable[AssetId], /) -> Mapping[AssetId, AssetRecord]: ...
    def agreements(self) -> Mapping[str, Agreement]: ...
    def approvals(self) -> Mapping[str, Approval]: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """One reading of what the owner's registry says about classes and permissions."""

    revision: int
    classes: Mapping[str, PolicyAttributes]
    agreements: Mapping[str, Agreement]
    approvals: Mapping[str, Approval]


@dataclass(frozen=True, slots=True)
class Decided:
    """The decisions of every class, with the request and the facts they stand on."""

    request: DecisionRequest
    facts: Facts
    decisions: Mapping[str, Decision]
    expires_at: int


class ClassDecisions:
    """Decides classes through the policy engine and remembers."""

    def __init__(
        self, *, engine: PolicyEngine, registry: Registry, run_blocking: RunBlocking, remembered_s: int
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._run_blocking = run_blocking
        self._remembered_s = remembered_s
        self._facts: Facts | None = None
        self._remembered: OrderedDict[tuple[object, ...], Decided] = OrderedDict()

    async def scope(self, request: DecisionRequest) -> Scope:
        """Return the node's status for this requester and purpose. Raises: PolicyUnavailable."""
        return await self._engine.scope(replace(request, agreements={}, approvals={}))

    async def of(self, request: DecisionRequest, *, fresh: bool) -> Decided:
        """Return the decisions of every class for `request`; `fresh` asks again what is remembered.

        Raises: PolicyUnavailable; the registry's failures.
        """
        facts = await self._run_blocking(self._read_facts)
        key = (request.requester, request.purpose, self._engine.revision, facts.revision)
        known = self._remembered.get(key)
        if known is not None and not fresh and request.now < known.expires_at:
            self._remembered.move_to_end(key)
            return replace(known, request=replace(known.request, now=request.now))
        everything = replace(request, agreements=facts.agreements, approvals=facts.approvals)
        request = await self._run_blocking(partial(with_own_grants, everything))
        decisions = await self._engine.decide_classes(request, facts.classes)
        decided = Decided(request, facts, decisions, self._expiry(request, decisions))
        self._remember(key, decided)
        return decided

    def _read_facts(self) -> Facts:
        while True:
            revision = self._registry.revision()
            if self._facts is not None and self._facts.revision == revision:
                return self._facts
            registry = self._registry
            facts = Facts(revision, registry.classes(), registry.agreements(), registry.approvals())
            if registry.revision() == revision:
                self._facts = facts
                return facts

    def _expiry(self, request: DecisionRequest, decisions: Mapping[str, Decision]) -> int:
        now = request.now
        day_end = now - now % DAY_S + DAY_S
        changes = [time for time in turning_points(request) if time > now]
        ends = [decision.valid_until for decision in decisions.values() if decision.valid_until is not None]
        return min(now + self._remembered_s, day_end, *changes, *ends)

    def _remember(self, key: tuple[object, ...], decided: Decided) -> None:
        self._remembered[key] = decided
        self._remembered.move_to_end(key)
        while len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
