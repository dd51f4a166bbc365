"""A coordinator that lies, one way at a time: everything else about it is the real relay.

`before` changes what it hands over and then signs for; `after` changes what it sends after it signed; `asks` changes
what it asks the nodes.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from concordat_coordinator.admission import Ask
from concordat_coordinator.check import CheckedAnswer
from concordat_coordinator.node_call import NodeCall
from concordat_coordinator.payload import NodePayload
from concordat_coordinator.plan import NodeRequest, Plan
from concordat_coordinator.relay import Progress, Relayed, RelayedEntry, RelayService
from concordat_trust.bundle import TrustedBundle
from concordat_trust.canonical import JsonObject
from concordat_trust.ids import OrgId
from concordat_trust.wire.coordinator_documents import COORDINATOR_ASK_ID
from concordat_trust.wire.transport import WireRequest

Entries = Sequence[RelayedEntry]
Before = Callable[[Entries], Entries]
After = Callable[[JsonObject], JsonObject]
Asks = Callable[[Ask, NodeRequest], NodeRequest]


@dataclass(frozen=True, slots=True)
class _Changed(Relayed):
    after: After

    def to_json(self) -> JsonObject:
        return self.after(Relayed(self.delivery, self.entries, self.merged).to_json())


@dataclass(frozen=True, slots=True)
class _Told(RelayedEntry):
    event: JsonObject = field(default_factory=dict)

    def progress_json(self) -> JsonObject:
        return self.event


def _told(relayed: Progress) -> list[Progress]:
    """Return the events of a whole answer as it was changed."""
    sent = relayed.to_json()
    answers = sent["answers"]
    assert isinstance(answers, list)
    events: list[JsonObject] = [{"answer": answer, "delivery": None, "merged": None} for answer in answers]
    events.append({"answer": None, "delivery": sent["delivery"], "merged": sent["merged"]})
    return [_Told(OrgId.parse("nobody"), "SKIPPED", None, 0, None, event) for event in events]


async def _one_by_one(events: Sequence[Progress]) -> AsyncGenerator[Progress, None]:
    for event in events:
        yield event


class HostileRelay(RelayService):
    """The real relay with one lie. `handed` keeps what it handed over, so that it can be replayed."""

    def __init__(
        self, *, before: Before | None = None, after: After | None = None, asks: Asks | None = None, **parts: Any
    ) -> None:
        super().__init__(**parts)
        self._before = before or (lambda entries: entries)
        self._after = after or (lambda sent: sent)
        self._asks_instead = asks or (lambda _ask, request: request)
        self.handed: list[Relayed] = []

    def relayed(self, ask: Ask, entries: Entries, bundle: TrustedBundle) -> Relayed:
        honest = super().relayed(ask, self._before(entries), bundle)
        self.handed.append(honest)
        return _Changed(honest.delivery, honest.entries, honest.merged, self._after)

    @contextlib.asynccontextmanager
    async def asking(self, request: WireRequest, document_id: str) -> AsyncIterator[AsyncIterator[Progress]]:
        """Tell the lie in a stream too: what it comes to as a whole, event by event."""
        async with super().asking(request, document_id) as events:
            relayed = [event async for event in events][-1]
            told = [relayed] if document_id == COORDINATOR_ASK_ID else _told(relayed)
            async with contextlib.aclosing(_one_by_one(told)) as lies:
                yield lies

    def _call(self, request: NodeRequest, ask: Ask, plan: Plan, bundle: TrustedBundle) -> NodeCall[CheckedAnswer]:
        return super()._call(self._asks_instead(ask, request), ask, plan, bundle)


def entry_of(entries: Entries, org: OrgId) -> RelayedEntry:
    return next(entry for entry in entries if entry.organization == org)


def payload_of(entry: RelayedEntry) -> NodePayload:
    assert entry.answer is not None
    return entry.answer.payload


def with_payload(entries: Entries, org: OrgId, **changes: Any) -> Entries:
    """Return the entries with one organization's payload changed; the rest of its entry stays honest."""

    def changed(entry: RelayedEntry) -> RelayedEntry:
        if entry.organization != org or entry.answer is None:
            return entry
        return replace(entry, answer=replace(entry.answer, payload=replace(entry.answer.payload, **changes)))

    return [changed(entry) for entry in entries]
