"""Answers as they are verified, in front of the result they lead to.

`as_events` runs the asking in a task of its own, so that neither its deadline nor its cancellation is ever felt by
whoever takes the events, however long that one takes between two of them. What waits is bounded: one event for each
organization of the roster.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from concordat_node.home.judge import Believed
from concordat_trust.answer import VerifiedAnswer
from concordat_trust.canonical import JsonObject
from concordat_trust.ids import OrgId
from concordat_trust.merge import Entry, entry_of

Last = TypeVar("Last")


@dataclass(frozen=True, slots=True)
class OrganizationAnswered:
    """What home believes of one organization's answer when it came: verified records, or the reason for none.

    It is for showing early. The result at the end replaces it: it may bring others' records in between, and removes
    what the coordinator did not sign for.
    """

    entry: Entry
    records: tuple[JsonObject, ...]


Tell = Callable[[OrganizationAnswered], None]


@dataclass(slots=True)
class Telling:
    """Tells of each organization once, whatever later attempts bring."""

    tell: Tell
    told: set[OrgId] = field(default_factory=set)

    def __call__(self, org: OrgId, believed: Believed) -> None:
        """Tell of this organization unless it was told of before."""
        if org in self.told:
            return
        self.told.add(org)
        records = believed.records if isinstance(believed, VerifiedAnswer) else ()
        self.tell(OrganizationAnswered(entry_of(org, believed), tuple(item.record for item in records)))


async def as_events(
    asking: Callable[[Tell], Coroutine[Any, Any, Last]],
) -> AsyncGenerator[OrganizationAnswered | Last, None]:
    """Yield what is told while `asking` runs, then what it returns. Closing the generator cancels it.

    Raises: what `asking` raises, after what was told before.
    """
    arrived: asyncio.Queue[OrganizationAnswered | None] = asyncio.Queue()
    running = asyncio.create_task(asking(arrived.put_nowait))
    running.add_done_callback(lambda _: arrived.put_nowait(None))
    try:
        while (event := await arrived.get()) is not None:
            yield event
        yield running.result()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
