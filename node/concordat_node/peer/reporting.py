"""Telling the issuers of tokens that these were used here, after the answer and apart from it.

Rules of this file:

* One report at a time for each issuer, with as many uses as one message holds. An issuer that cannot be reached, or
  refuses, is left alone for twice as long each time, up to an hour; nothing is sent while either side is suspended.
* A use is forgotten when its issuer has taken it. What is sent twice is taken once (`peer.store`), so that a process
  that dies in between, or a second worker, does no harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from concordat_node.access.decisions import RunBlocking
from concordat_node.ledger.outbox import UseOutbox
from concordat_node.peer.channel import PeerChannel
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.errors import ConcordatError, PeerFailure, RefusedDocument
from concordat_trust.failure_log import without_texts
from concordat_trust.ids import OrgId
from concordat_trust.token_use import USES_MAX, token_uses_body

PAUSE_S = 5
PAUSE_MAX_S = 3_600
PARALLEL_MAX = 4
_log = logging.getLogger("concordat.node.peer")

T = TypeVar("T")


@dataclass(slots=True)
class Patience:
    """How long an issuer is left alone: nothing at first, then twice as long after every failure."""

    failures: int = 0
    until: int = 0

    def failed(self, now: int) -> None:
        self.failures += 1
        self.until = now + min(PAUSE_MAX_S, PAUSE_S << min(self.failures, 20))


@dataclass(slots=True)
class UseReporter:
    """Reports what waits in the outbox; `run` does so for ever."""

    outbox: UseOutbox
    channel: PeerChannel
    bundle: Callable[[], TrustedBundle | None]
    run_blocking: RunBlocking
    clock: Callable[[], int]
    _patience: dict[OrgId, Patience] = field(default_factory=dict)

    async def run(self) -> None:
        """Report every PAUSE_S; a failure of any kind is told and tried again."""
        while True:
            await asyncio.sleep(PAUSE_S)
            try:
                await self.report()
            except ConcordatError as error:
                _log.error("token uses are not reported: %s", error.code)
            except Exception as error:  # noqa: BLE001  # whatever an issuer brought about, the next report must come
                _log.error("token uses are not reported: %s", without_texts(error))

    async def report(self) -> None:
        """Tell every issuer once of what waits for it. Raises: the storage failures."""
        bundle, now = self.bundle(), self.clock()
        given_up = await self.run_blocking(partial(self.outbox.give_up, now=now))
        if given_up:
            _log.warning("token_use_given_up: %s uses could not be told to their issuers within a day", given_up)
        if bundle is None or bundle.expires_at <= now:
            return
        issuers = await self.run_blocking(self.outbox.issuers)
        due = [org for org in issuers if self._patience.setdefault(org, Patience()).until <= now]
        at_once = asyncio.Semaphore(PARALLEL_MAX)

        async def told(issuer: OrgId) -> None:
            async with at_once:
                await self._tell(issuer, bundle)

        await asyncio.gather(*(told(issuer) for issuer in due))

    async def _tell(self, issuer: OrgId, bundle: TrustedBundle) -> None:
        patience = self._patience[issuer]
        while True:
            due = await self.run_blocking(partial(self.outbox.due, issuer))
            if not due.uses:
                return
            try:
                await self.channel.send(issuer, "token_uses", token_uses_body(due.uses), bundle=bundle)
            except (PeerFailure, RefusedDocument) as error:
                patience.failed(self.clock())
                _log.warning("token uses wait for %s: %s", issuer, error.code)
                return
            patience.failures = 0
            await self.run_blocking(partial(self.outbox.done, due.numbers))
            if len(due.uses) < USES_MAX:
                return
