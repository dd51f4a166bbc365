"""The whole round of a question: mint, carry, judge; through a coordinator, or to the own node when none answers.

Rules of this file:

* One absolute deadline for everything, also for a second coordinator and the direct way. A coordinator that cannot be
  reached, refuses, or hands over something that is not its signed delivery costs its share of the time and no more.
* An organization's answer is verified when it arrives, and told of once (`ask_events`). A stream that breaks before its
  signed delivery is an attempt that failed: nobody could be blamed for what it left out. What was told of it stays
  told until the result replaces it.
* Every attempt is a new round with a new token: a token is bound to its presenter, and a node consumes it once.
* A suspension counts at once: the round ends when the own organization may no longer ask, and nothing is shown of whom
  the bundle in force no longer lets speak (`standing`).
* When no coordinator answers, the own node is asked directly with a token bound to the own request key; everybody else
  is UNREACHABLE, with the code of why. A failed network is never an empty one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from concordat_node.home.arrivals import OrganizationAnswered, Tell, Telling, as_events
from concordat_node.home.checkpoints import SeenCheckpoints
from concordat_node.home.freshness import SeenSnapshots
from concordat_node.home.judge import (
    COORDINATOR_UNREACHABLE,
    Finding,
    Heard,
    Judge,
    Judged,
    NoteSplit,
    nobody_keeps,
)
from concordat_node.home.mint import HomeKeys, Round, mint_round
from concordat_node.home.relay_client import Carrier, PeerRefused, RelayedAnswer, ToldAnswer
from concordat_node.home.sessions import Session
from concordat_node.home.standing import InForce, own_standing, still_believed, still_standing, while_standing
from concordat_trust.answer import reported_untrusted
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.directory import KeyUnknown, MemberUnknown, OrganizationSuspended, require_standing
from concordat_trust.errors import ConcordatError, PeerFailure, RefusedDocument
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.merge import NOT_REPORTED, Reported
from concordat_trust.question import Part, PartCursor, Question
from concordat_trust.round_tokens import Minting
from concordat_trust.token_use import MintedToken
from concordat_trust.wire.transport import PeerOverloaded, PeerTimeout, PeerUnreachable, StreamingTransport

NoteMinted = Callable[[str, MintedToken, int], Awaitable[None]]
"""Remembers (token id, what was minted, when). Raises what keeps the token from being sent."""


async def nobody_notes(token_id: str, minted: MintedToken, at: int) -> None:
    """Remember nothing: for a home without the channel on which nodes report the uses of its tokens."""


DIRECT_MS_MAX = 2_000
"""How much of the deadline is kept for asking the own node directly."""
MARGIN_MS_MAX = 250
FROM_THE_BEGINNING: Final[Mapping[OrgId, PartCursor]] = MappingProxyType({})
_COORDINATOR_MS_MIN = 50
_NOT_ASKED = (PeerUnreachable, PeerTimeout, PeerOverloaded)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, asked: the round that was judged, and who carried it (None: nobody, the own node was asked)."""

    round: Round
    judged: Judged
    coordinator: OrgId | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event: the result, which replaces what was told before it."""

    asked: Asked


@dataclass(slots=True)
class _Attempts:
    """What went wrong so far, in order."""

    findings: list[Finding] = field(default_factory=list)

    def note(self, coordinator: OrgId, error: ConcordatError) -> None:
        code = error.fields.get("reason") if isinstance(error, PeerRefused) else None
        self.findings.append(Finding(coordinator, code if isinstance(code, str) else error.code))


class Asker:
    """Asks questions for signed-in people. Everything it needs from outside comes in here."""

    def __init__(
        self,
        *,
        organization: OrgId,
        coordinators: tuple[OrgId, ...],
        deadline_ms: int,
        keys: HomeKeys,
        transport: StreamingTransport,
        clock: Callable[[], int],
        entropy: Callable[[int], bytes],
        in_force: InForce,
        note_minted: NoteMinted = nobody_notes,
        minting: Minting = "shared",
        note_split: NoteSplit = nobody_keeps,
    ) -> None:
        self._minting = minting
        self._note_split = note_split
        self._note_minted = note_minted
        self._organization = organization
        self._in_force = in_force
        self._coordinators = coordinators
        self._deadline_ms = deadline_ms
        self._keys = keys
        self._carrier = Carrier(transport, keys.request, clock, entropy)
        self._clock = clock
        self._entropy = entropy
        self._seen = SeenSnapshots()
        self._checkpoints = SeenCheckpoints()

    async def ask(
        self,
        question: Question,
        ids: Mapping[OrgId, tuple[str, ...]],
        *,
        session: Session,
        bundle: TrustedBundle,
        only: frozenset[OrgId] | None = None,
        cursors: Mapping[OrgId, PartCursor] = FROM_THE_BEGINNING,
    ) -> Asked:
        """Return what the network answers; `ids` are the assets asked for, by their organization.

        `cursors` say where the pages of a search go on (`paging`).
        With `only`, nobody else is asked, nor learns that something is asked; the others are SKIPPED.
        Raises: ClaimNotAssertable, PurposeNotInNetwork, AudienceTooLarge, OrganizationSuspended (the own one).
        """
        wanted = _Wanted(question, ids, cursors, session, bundle, only)
        return await self._asked(wanted, lambda _: None)

    def ask_events(
        self,
        question: Question,
        ids: Mapping[OrgId, tuple[str, ...]],
        *,
        session: Session,
        bundle: TrustedBundle,
        only: frozenset[OrgId] | None = None,
        cursors: Mapping[OrgId, PartCursor] = FROM_THE_BEGINNING,
    ) -> AsyncGenerator[OrganizationAnswered | Finished, None]:
        """Yield each organization once, as soon as its answer is verified, and `Finished` with what `ask` returns.

        Close the generator (`contextlib.aclosing`) to end the question early: the round is cancelled. Raises: as `ask`,
        while it is iterated.
        """
        wanted = _Wanted(question, ids, cursors, session, bundle, only)

        async def asking(tell: Tell) -> Finished:
            return Finished(await self._asked(wanted, tell))

        return as_events(asking)

    async def _asked(self, wanted: _Wanted, tell: Tell) -> Asked:
        bundle = wanted.bundle
        telling = Telling(tell)
        asking = self._asking(wanted.question, wanted.parts(), wanted.session, bundle, telling)
        for org, report in reported_untrusted(bundle).items():
            telling(org, report)
        return await self._standing(asking, self._rounds(asking))

    async def _rounds(self, asking: _Asking) -> Asked:
        attempts = _Attempts()
        for position, coordinator in enumerate(self._coordinators):
            left = len(self._coordinators) - position
            try:
                return await asking.through(coordinator, left, attempts)
            except (PeerFailure, RefusedDocument) as error:
                attempts.note(coordinator, error)
        return await asking.directly(attempts)

    async def ask_own(
        self, question: Question, ids: tuple[str, ...], *, session: Session, bundle: TrustedBundle
    ) -> Asked:
        """Return what the own node answers, asked at its door like by anybody else; the others are SKIPPED.

        Raises: as `ask`.
        """
        asking = self._asking(question, {self._organization: Part(ids)}, session, bundle, Telling(lambda _: None))
        return await self._standing(asking, asking.own(Reported.at_home("SKIPPED", NOT_REPORTED), ()))

    async def _standing(self, asking: _Asking, rounds: Coroutine[Any, Any, Asked]) -> Asked:
        """Return the result of `rounds` as far as the bundle in force still believes it; a suspension ends it."""
        asked = await while_standing(rounds, self.own_standing)
        before = asked.judged
        judged = still_believed(before, asking.question, began_with=asking.bundle, in_force=self.own_standing())
        return replace(asked, judged=judged, findings=(*asked.findings, *judged.findings[len(before.findings) :]))

    def own_standing(self) -> TrustedBundle:
        """Return the bundle in force. Raises: HomeBundleUnusable, OrganizationSuspended (the own one)."""
        return own_standing(self._in_force, self._organization)

    def _asking(
        self,
        question: Question,
        parts: Mapping[OrgId, Part],
        session: Session,
        bundle: TrustedBundle,
        telling: Telling,
    ) -> _Asking:
        require_standing(bundle, self._organization)
        self._seen.note(bundle, now=self._clock())
        deadline_at = asyncio.get_running_loop().time() + self._deadline_ms / 1_000
        return _Asking(self, question, parts, session, bundle, deadline_at, telling)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a caller of `Asker` wants to know."""

    question: Question
    ids: Mapping[OrgId, tuple[str, ...]]
    cursors: Mapping[OrgId, PartCursor]
    session: Session
    bundle: TrustedBundle
    only: frozenset[OrgId] | None

    def parts(self) -> dict[OrgId, Part]:
        """Return the part of each organization that is asked."""
        only = self.only
        asked = [org for org in self.bundle.organizations if only is None or org in only]
        return {org: Part(self.ids.get(org, ()), self.cursors.get(org)) for org in asked}


@dataclass(frozen=True, slots=True)
class _Asking:
    """One call of `Asker.ask`, with what stays the same over its attempts."""

    asker: Asker
    question: Question
    parts: Mapping[OrgId, Part]
    session: Session
    bundle: TrustedBundle
    deadline_at: float
    telling: Telling

    async def through(self, coordinator: OrgId, coordinators_left: int, attempts: _Attempts) -> Asked:
        """Raises: PeerFailure or RefusedDocument when this coordinator is of no use."""
        key_id = request_key_of(self.bundle, coordinator)
        endpoint = self.bundle.member(coordinator).endpoint
        left_ms = self._left_ms()
        share_ms = (left_ms - min(DIRECT_MS_MAX, left_ms // 4)) // coordinators_left
        margin_ms = min(MARGIN_MS_MAX, share_ms // 10)
        round_ = await self._mint(self.parts, coordinator, key_id)
        judge = self._judge(round_)
        heard = Heard(judge)

        def tell(told: ToldAnswer) -> None:
            believed = heard.hear(told)
            if believed is not None:
                in_force = self.asker._in_force() or self.bundle
                self.telling(told.organization, still_standing(told.organization, believed, in_force))

        handover = await self.asker._carrier.ask_coordinator(
            endpoint,
            round_,
            deadline_s=share_ms / 1_000,
            coordinator_ms=max(_COORDINATOR_MS_MIN, share_ms - margin_ms),
            tell=tell,
        )
        require_standing(self.asker.own_standing(), coordinator)
        judged = judge.judge(heard, handover, coordinator=coordinator, now=self.asker._clock())
        return Asked(round_, judged, coordinator, (*attempts.findings, *judged.findings))

    async def directly(self, attempts: _Attempts) -> Asked:
        """Ask the own node alone; says so for everybody else."""
        return await self.own(_others(attempts.findings), tuple(attempts.findings))

    async def own(self, others: Reported, findings: tuple[Finding, ...]) -> Asked:
        """Ask the own node alone, with a token that only this home node can present."""
        me = self.asker._organization
        own = {org: part for org, part in self.parts.items() if org == me} or {me: Part()}
        round_ = await self._mint(own, me, self.asker._keys.request.key_id)
        answer = await self._own_answer(round_)
        judged = self._judge(round_).judge_direct(answer, others)
        self.telling(me, judged.verified.get(me) or judged.reported[me])
        return Asked(round_, judged, None, (*findings, *judged.findings))

    async def _own_answer(self, round_: Round) -> RelayedAnswer | Reported:
        me = self.asker._organization
        try:
            endpoint = self.bundle.member(me).endpoint
            return await self.asker._carrier.ask_node(endpoint, me, round_, deadline_s=self._left_ms() / 1_000)
        except PeerRefused as error:
            return Reported.of("REFUSED", str(error.fields.get("reason")), "home")
        except PeerTimeout as error:
            return Reported.at_home("TIMEOUT", error.code)
        except PeerOverloaded as error:
            return Reported.at_home("OVERLOADED", error.code)
        except PeerUnreachable as error:
            return Reported.at_home("UNREACHABLE", error.code)
        except (PeerFailure, RefusedDocument) as error:
            return Reported.at_home("INVALID", error.code)

    async def _mint(self, parts: Mapping[OrgId, Part], carrier: OrgId, presenter: KeyId) -> Round:
        asker = self.asker
        round_ = mint_round(
            self.question,
            parts,
            session=self.session,
            organization=asker._organization,
            carrier=carrier,
            presenter=presenter,
            minting=asker._minting,
            keys=asker._keys,
            bundle=self.bundle,
            now=asker._clock(),
            entropy=asker._entropy,
        )
        # Before it leaves: a token that is used and not remembered looks like one that somebody else made.
        for token_id, minted in round_.minted():
            await asker._note_minted(token_id, minted, round_.minted_at)
        return round_

    def _judge(self, round_: Round) -> Judge:
        asker = self.asker
        age_max_s = self.bundle.network.bundle_age_max_s
        return Judge(
            round_,
            asker._organization,
            self.bundle,
            lambda attestation: asker._seen.is_stale(attestation, age_max_s=age_max_s, now=asker._clock()),
            asker._checkpoints.is_split,
            asker._seen.contradicted,
            asker._note_split,
        )

    def _left_ms(self) -> int:
        return max(1, int((self.deadline_at - asyncio.get_running_loop().time()) * 1_000))


def _others(findings: list[Finding]) -> Reported:
    unreachable = {error.code for error in _NOT_ASKED}
    # A coordinator that was there but cannot be believed is named by what was wrong with it.
    code = next((finding.code for finding in findings if finding.code not in unreachable), COORDINATOR_UNREACHABLE)
    return Reported.at_home("UNREACHABLE", code)


def request_key_of(bundle: TrustedBundle, member: OrgId) -> KeyId:
    """Return the key with which a coordinator signs its requests, the one a token must name.

    With two keys in a rotation it is the first in order. Raises: MemberUnknown, OrganizationSuspended, KeyUnknown.
    """
    entry = bundle.member(member)
    if entry.kind != "coordinator":
        raise MemberUnknown(organization=member)
    if entry.suspended:
        raise OrganizationSuspended(organization=member)
    for key_id in sorted(entry.keys.get("request", {})):
        return key_id
    raise KeyUnknown(organization=member, use="request")
