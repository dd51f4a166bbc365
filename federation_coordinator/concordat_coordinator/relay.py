"""The relay: one signed question in, the checked answers of every organization and a signed delivery out.

Rules of this file:

* One bundle, one clock reading and one deadline per question. What the relay knows after it is nothing: no records, no
  answers and no questions are kept.
* Every organization of the token leaves with exactly one entry: a proved status with its attestation, or a reported
  one.
* Whoever the bundle in force has suspended meanwhile gets nothing more: a question of its ends, an answer of its that
  arrives is dropped. What was handed on before is signed for; home decides what it still believes.
* What is relayed is what came, unchanged. The merge made here is for streaming; home recomputes it and believes only
  its own.
* There is one way to answer: `asking` gives every entry as it comes and the whole at the end. Who wants the answer at
  once (`ask`) takes that last one. Who leaves early ends the fan-out.
* Admission before overload: at most `asks_parallel_max` questions at a time, the next one is refused at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from concordat_coordinator.admission import Ask, admit, read_signed
from concordat_coordinator.check import CheckedAnswer, check_response
from concordat_coordinator.cost import Limits
from concordat_coordinator.errors import CoordinatorOverloaded, CoordinatorStopping
from concordat_coordinator.fanout import fanning_out
from concordat_coordinator.node_call import Answered, Failed, NodeCall
from concordat_coordinator.plan import NodeRequest, Plan, make_plan
from concordat_coordinator.signing import RequestSigner
from concordat_trust.bundle import TrustedBundle
from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.delivery import DeliveredAnswer, Delivery, sign_delivery, took_bucket
from concordat_trust.directory import require_standing
from concordat_trust.encoding import b64u, sha256_b64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.jose import Signer
from concordat_trust.merge import MergedResult, Reported, merge
from concordat_trust.vocabulary import ProvedStatus, ReportedStatus
from concordat_trust.wire.coordinator_documents import COORDINATOR_ASK_ID
from concordat_trust.wire.transport import Transport, WireRequest, WireResponse

DELIVERY_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class RelayedEntry:
    """What one organization's turn came to; `answer` is there exactly when the status is a proved one."""

    organization: OrgId
    status: ProvedStatus | ReportedStatus
    code: str | None
    took_ms: int
    answer: CheckedAnswer | None = None

    def to_json(self) -> JsonObject:
        """Return the object of `RelayedAnswer`."""
        results: list[Json] | None = None if self.answer is None else list(self.answer.payload.results)
        return {
            "organization": self.organization,
            "status": self.status,
            "code": self.code,
            "attestation": None if self.answer is None else self.answer.payload.attestation,
            "results": results,
            "receipt": None if self.answer is None else self.answer.payload.receipt,
            "cursor": None if self.answer is None else self.answer.payload.cursor,
            "sealed": None if self.answer is None else self.answer.payload.sealed,
        }

    def progress_json(self) -> JsonObject:
        """Return the object of `AskProgress`."""
        return {"answer": self.to_json(), "delivery": None, "merged": None}


@dataclass(frozen=True, slots=True)
class Relayed:
    """The answer to one question, as the wire has it."""

    delivery: str
    entries: tuple[RelayedEntry, ...]
    merged: str

    def to_json(self) -> JsonObject:
        """Return the object of `Query.ask`."""
        return {"delivery": self.delivery, "answers": [e.to_json() for e in self.entries], "merged": self.merged}

    def progress_json(self) -> JsonObject:
        """Return the last object of `AskProgress`; the answers have been told."""
        return {"answer": None, "delivery": self.delivery, "merged": self.merged}


Progress = RelayedEntry | Relayed
"""What becomes known of a question: each organization once, then the whole."""


@dataclass(frozen=True, slots=True)
class RelayKeys:
    """The coordinator's two keys: one signs requests to nodes, one signs what is handed over."""

    request: Signer
    delivery: Signer


class RelayService:
    """Relays questions. Everything it needs from outside comes in here."""

    def __init__(
        self,
        *,
        me: OrgId,
        keys: RelayKeys,
        bundle: Callable[[], TrustedBundle],
        transport: Transport,
        clock: Callable[[], int],
        entropy: Callable[[int], bytes],
        limits: Limits | None = None,
    ) -> None:
        self.me = me
        self.limits = limits or Limits()
        self._keys = keys
        self._bundle = bundle
        self._transport = transport
        self._clock = clock
        self._entropy = entropy
        self._signer = RequestSigner(keys.request, clock, entropy)
        self._asks = 0
        self._stopping = False

    async def ask(self, request: WireRequest) -> Relayed:
        """Return the answers to the signed question of a home node.

        Raises: CoordinatorOverloaded, CoordinatorStopping, CoordinatorNotReady, OrganizationSuspended, and the refusals
        of `read_signed` and `admit`. A node's failure is never raised; it is an entry.
        """
        async with self.asking(request, COORDINATOR_ASK_ID) as events:
            async for event in events:
                if isinstance(event, Relayed):
                    return event
        raise RuntimeError("a question ended without its delivery")

    @contextlib.asynccontextmanager
    async def asking(self, request: WireRequest, document_id: str) -> AsyncIterator[AsyncIterator[Progress]]:
        """Admit the signed question, which must name this document, and yield what becomes known as it does.

        A skipped organization comes first, the others as their nodes answer, and `Relayed` is last. Leaving cancels
        the calls that still run. Raises (on entering): as `ask`.
        """
        self._refuse_beyond_capacity()
        self._asks += 1
        try:
            started_at = asyncio.get_running_loop().time()
            ask, plan, bundle = self._admitted(request, document_id)
            deadline_at = started_at + plan.nodes_ms / 1_000

            async def call(planned: NodeRequest) -> RelayedEntry:
                return _entry_of(await self._call(planned, ask, plan, bundle).run(deadline_at=deadline_at))

            parallel_max = self.limits.nodes_parallel_max
            async with (
                fanning_out(plan.requests, call, parallel_max=parallel_max) as next_entry,
                contextlib.aclosing(self._events(ask, plan, bundle, next_entry)) as events,
            ):
                yield events
        finally:
            self._asks -= 1

    def stop(self) -> None:
        """Refuse every question from now on; those that run are finished."""
        self._stopping = True

    @property
    def asks_running(self) -> int:
        return self._asks

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    def _refuse_beyond_capacity(self) -> None:
        if self._stopping:
            raise CoordinatorStopping
        if self._asks >= self.limits.asks_parallel_max:
            raise CoordinatorOverloaded(asks_max=self.limits.asks_parallel_max)

    def _admitted(self, request: WireRequest, document_id: str) -> tuple[Ask, Plan, TrustedBundle]:
        bundle, now = self._bundle(), self._clock()
        signed = read_signed(request, me=self.me, document_id=document_id, bundle=bundle, now=now, limits=self.limits)
        ask = admit(signed, me=self.me, relay=self._keys.request.key_id, bundle=bundle, now=now, limits=self.limits)
        plan = make_plan(
            ask.question,
            ask.question_bytes,
            parts=ask.parts,
            audience=ask.tokens.audience,
            bundle=bundle,
            deadline_ms=ask.deadline_ms,
            limits=self.limits,
        )
        return ask, plan, bundle

    async def _events(
        self, ask: Ask, plan: Plan, bundle: TrustedBundle, next_entry: Callable[[], Awaitable[RelayedEntry]]
    ) -> AsyncGenerator[Progress, None]:
        entries: dict[OrgId, RelayedEntry] = {}
        for skip in plan.skipped:
            entries[skip.organization] = RelayedEntry(skip.organization, "SKIPPED", skip.code, took_ms=0)
            yield entries[skip.organization]
        for _ in plan.requests:
            entry = await next_entry()
            in_force = self._bundle()
            require_standing(in_force, ask.home)
            entry = still_standing(entry, in_force)
            entries[entry.organization] = entry
            yield entry
        yield self.relayed(ask, [entries[organization] for organization in ask.tokens.audience], bundle)

    def _call(self, request: NodeRequest, ask: Ask, plan: Plan, bundle: TrustedBundle) -> NodeCall[CheckedAnswer]:
        def inspect(response: WireResponse) -> CheckedAnswer:
            return check_response(response, request=request, ask=ask, bundle=bundle)

        return NodeCall(
            request,
            transport=self._transport,
            sign=lambda planned: self._signer.sign(planned, ask.tokens.texts[planned.organization]),
            inspect=inspect,
            bytes_max=plan.answer_bytes_max,
        )

    def relayed(self, ask: Ask, entries: Sequence[RelayedEntry], bundle: TrustedBundle) -> Relayed:
        """Return the entries with the merge over what is readable here and the signed delivery."""
        return Relayed(
            delivery=self.deliver(ask, entries),
            entries=tuple(entries),
            merged=canonical_bytes(_merged(ask, entries, bundle).to_json()).decode("utf-8"),
        )

    def deliver(self, ask: Ask, entries: Sequence[RelayedEntry]) -> str:
        """Return the JWS over what is handed over for every organization of the token."""
        delivery = Delivery(
            coordinator=self.me,
            home=ask.home,
            issued_at=self._clock(),
            delivery_id=b64u(self._entropy(DELIVERY_ID_BYTES)),
            token_id=ask.tokens.presented.token_id,
            question_hash=ask.tokens.presented.question_hash,
            answers=tuple(_delivered(entry) for entry in entries),
        )
        return sign_delivery(delivery, key=self._keys.delivery)


def still_standing(entry: RelayedEntry, in_force: TrustedBundle) -> RelayedEntry:
    """Return the entry, or what is left of it when its organization may no longer speak: its answer is dropped."""
    try:
        require_standing(in_force, entry.organization)
    except RefusedDocument as error:
        return RelayedEntry(entry.organization, "SKIPPED", error.code, entry.took_ms)
    return entry


def _entry_of(outcome: Answered[CheckedAnswer] | Failed) -> RelayedEntry:
    if isinstance(outcome, Failed):
        return RelayedEntry(outcome.organization, outcome.status, outcome.code, outcome.took_ms)
    attestation = outcome.answer.verified.attestation
    return RelayedEntry(
        outcome.organization, attestation.status, attestation.code, outcome.took_ms, answer=outcome.answer
    )


def _merged(ask: Ask, entries: Sequence[RelayedEntry], bundle: TrustedBundle) -> MergedResult:
    return merge(
        ask.question,
        [entry.answer.verified for entry in entries if entry.answer is not None],
        {entry.organization: Reported.of(entry.status, entry.code) for entry in entries if entry.answer is None},
        ask.tokens.audience,
        bundle.statistics,
    )


def _delivered(entry: RelayedEntry) -> DeliveredAnswer:
    answer = entry.answer
    return DeliveredAnswer(
        organization=entry.organization,
        status=entry.status,
        code=entry.code,
        attestation_sha256=None if answer is None else sha256_b64u(answer.payload.attestation.encode("utf-8")),
        took=took_bucket(entry.took_ms),
    )
