"""One call to one node, from the first attempt to its closed status.

Rules of this file:

* One absolute deadline (a reading of the loop's clock) for everything; every hop is told what is left of it.
* A query token may be presented once. So there is one retry, and only where the connection failed before a byte was
  sent: then nobody has seen the token. The whole rule is the table `NEXT`.
* Every way to fail ends in one status of the closed list and a code; a failed node is never an empty one.
* An answer counts when `inspect` accepts it. What it raises from a document's or a peer's family is INVALID.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from concordat_coordinator.errors import NodeRefused, NotAskedInTime
from concordat_coordinator.plan import NodeRequest
from concordat_trust.errors import PeerFailure, RefusedDocument, RequesterError
from concordat_trust.ids import OrgId
from concordat_trust.vocabulary import ReportedStatus
from concordat_trust.wire.transport import (
    PeerOverloaded,
    PeerTimeout,
    PeerUnreachable,
    Transport,
    WireRequest,
    WireResponse,
)

RETRY_PAUSE_S = 0.02
TIMEOUT_HEADER = "concordat-timeout-ms"

Inspected = TypeVar("Inspected")


class State(Enum):
    FIRST_ATTEMPT = "first attempt"
    SECOND_ATTEMPT = "second attempt"
    DONE = "done"


class Event(Enum):
    ANSWERED = "answered"
    NOTHING_SENT = "failed before a byte was sent"
    FAILED = "failed"


NEXT: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        (State.FIRST_ATTEMPT, Event.ANSWERED): State.DONE,
        (State.FIRST_ATTEMPT, Event.NOTHING_SENT): State.SECOND_ATTEMPT,
        (State.FIRST_ATTEMPT, Event.FAILED): State.DONE,
        (State.SECOND_ATTEMPT, Event.ANSWERED): State.DONE,
        (State.SECOND_ATTEMPT, Event.NOTHING_SENT): State.DONE,
        (State.SECOND_ATTEMPT, Event.FAILED): State.DONE,
    }
)


@dataclass(frozen=True, slots=True)
class Answered(Generic[Inspected]):
    """A node's answer that passed every check of a relay."""

    organization: OrgId
    answer: Inspected
    took_ms: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A node without an answer: what the relay reports in its place."""

    organization: OrgId
    status: ReportedStatus
    code: str
    took_ms: int


class NodeCall(Generic[Inspected]):
    """Asks one node. `sign` makes the signed request, `inspect` turns an answer into what may be relayed or raises."""

    def __init__(
        self,
        request: NodeRequest,
        *,
        transport: Transport,
        sign: Callable[[NodeRequest], WireRequest],
        inspect: Callable[[WireResponse], Inspected],
        bytes_max: int,
    ) -> None:
        self._request = request
        self._transport = transport
        self._sign = sign
        self._inspect = inspect
        self._bytes_max = bytes_max
        self.state = State.FIRST_ATTEMPT

    async def run(self, *, deadline_at: float) -> Answered[Inspected] | Failed:
        """Return the outcome no later than `deadline_at` (the running loop's clock, in seconds)."""
        clock = asyncio.get_running_loop().time
        started_at = clock()

        def failed(error: PeerFailure | RefusedDocument | RequesterError) -> Failed:
            return Failed(self._request.organization, status_of(error), code_of(error), _ms(clock() - started_at))

        while True:
            try:
                answer = self._inspect(await self._exchange(deadline_at))
                self._move(Event.ANSWERED)
                return Answered(self._request.organization, answer, _ms(clock() - started_at))
            except (PeerFailure, RefusedDocument, RequesterError) as error:
                self._move(_event_of(error))
                if self.state is State.DONE or deadline_at - clock() <= RETRY_PAUSE_S:
                    return failed(error)
            await asyncio.sleep(RETRY_PAUSE_S)

    async def _exchange(self, deadline_at: float) -> WireResponse:
        left_s = deadline_at - asyncio.get_running_loop().time()
        endpoint = self._request.endpoint
        if left_s <= 0:
            raise NotAskedInTime if self.state is State.FIRST_ATTEMPT else PeerTimeout(endpoint=endpoint)
        signed = self._sign(self._request)
        request = replace(signed, headers={**signed.headers, TIMEOUT_HEADER: str(max(1, _ms(left_s)))})
        try:
            # The transport keeps the deadline; this holds for one that does not.
            async with asyncio.timeout(left_s):
                return await self._transport.exchange(endpoint, request, deadline_s=left_s, bytes_max=self._bytes_max)
        except TimeoutError as error:
            raise PeerTimeout(endpoint=endpoint) from error

    def _move(self, event: Event) -> None:
        self.state = NEXT[self.state, event]


def _event_of(error: PeerFailure | RefusedDocument | RequesterError) -> Event:
    if isinstance(error, PeerUnreachable) and error.fields.get("sent") is False:
        return Event.NOTHING_SENT
    return Event.FAILED


def status_of(error: PeerFailure | RefusedDocument | RequesterError) -> ReportedStatus:
    """Return the closed status for a failed call; whatever is not named here broke the protocol."""
    if isinstance(error, PeerTimeout):
        return "TIMEOUT"
    if isinstance(error, PeerUnreachable):
        return "UNREACHABLE"
    if isinstance(error, PeerOverloaded):
        return "OVERLOADED"
    if isinstance(error, NodeRefused):
        return "REFUSED"
    if isinstance(error, NotAskedInTime):
        return "SKIPPED"
    return "INVALID"


def code_of(error: PeerFailure | RefusedDocument | RequesterError) -> str:
    """Return the code to show; a node that refused is quoted with its own."""
    quoted = error.fields.get("node_code") if isinstance(error, NodeRefused) else None
    return quoted if isinstance(quoted, str) else error.code


def _ms(seconds: float) -> int:
    return max(0, int(seconds * 1_000))
