"""What the home node believes of what a coordinator, or its own node, handed over. Pure.

Rules of this file, in the order of `judge`:

0. Each answer is verified once, when it arrives (`Heard`), and may be shown then; it stands only if the delivery says
   the same of it. What was told and is not what was signed for is the finding `delivery_mismatch`, and is removed.
1. The delivery must be this coordinator's, for this token and question, and account for exactly the organizations that
   were asked. If it is not, nothing that came with it is used.
2. A proved status needs its attestation, the one that the delivery names; every record is verified, also sealed ones.
   What fails is *found at home*: UNTRUSTED for who may not speak, STALE for too old a view, INVALID for the rest; also
   for an answer without a receipt, for one that attests another snapshot than we saw under its number (both signed
   objects are kept), and for one whose log contradicts what the same organization signed before.
   A coordinator that says INVALID of somebody only reports it: its word is no finding.
3. The roster is the bundle's, also with organizations that cannot be asked because their statement cannot be used:
   these are UNTRUSTED with its code. Order, sums and completeness are computed here; the coordinator's own merge is
   compared with ours over what it could read, and a difference is the finding `merge_mismatch`, never the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from concordat_node.home.mint import Round
from concordat_node.home.relay_client import MERGED_MAX, Handover, RelayedAnswer, ToldAnswer
from concordat_trust.answer import (
    NodeAnswer,
    VerifiedAnswer,
    merge_at_home,
    reported_untrusted,
    result_from_wire,
    verify_node_answer,
)
from concordat_trust.answer_errors import (
    AnswerNotInRoster,
    AttestationSplitView,
    DeliveryMismatch,
    LogSplitView,
    MergeMismatch,
)
from concordat_trust.attestation import Attestation, AttestationIssuerUnknown, AttestationKeyUnknown
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import JsonObject, parse_json
from concordat_trust.checkpoint import Checkpoint
from concordat_trust.delivery import DeliveredAnswer, verify_delivery
from concordat_trust.directory import KeyUnknown, MemberUnknown, OrganizationSuspended
from concordat_trust.encoding import sha256_b64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.merge import MergedResult, Reported, merge, require_same_result
from concordat_trust.vocabulary import PROVED, FoundStatus

COORDINATOR_UNREACHABLE = "coordinator_unreachable"
VIEW_TOO_OLD = "node_view_too_old"
STRAYS_MAX = 20
"""Answers that nobody asked for and that are told of; further ones are passed over."""
_UNTRUSTED = (OrganizationSuspended, MemberUnknown, KeyUnknown, AttestationIssuerUnknown, AttestationKeyUnknown)

IsStale = Callable[[Attestation], bool]
Believed = VerifiedAnswer | Reported
IsSplit = Callable[[Checkpoint], bool]
Contradicted = Callable[[Attestation], TrustedBundle | None]
NoteSplit = Callable[[OrgId, str, TrustedBundle], None]
"""Keeps (organization, attestation, the bundle that contradicts it)."""


def nobody_keeps(organization: OrgId, attestation: str, bundle: TrustedBundle) -> None:
    """Keep nothing: for a home without a folder."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with what came, and whose answer it concerns; None is the coordinator's own part."""

    organization: OrgId | None
    code: str

    def to_json(self) -> JsonObject:
        return {"code": self.code, "organization": self.organization}


@dataclass(frozen=True, slots=True)
class Judged:
    """One round as far as it is believed. `raw` are the answers that were verified, as they came."""

    merged: MergedResult
    verified: Mapping[OrgId, VerifiedAnswer]
    raw: Mapping[OrgId, RelayedAnswer]
    reported: Mapping[OrgId, Reported]
    delivery: str | None
    findings: tuple[Finding, ...]

    @property
    def valid_until(self) -> int | None:
        """When the first of the answers ends; None when none of them does."""
        ends = [answer.attestation.valid_until for answer in self.verified.values()]
        return min((end for end in ends if end is not None), default=None)


_MISMATCH = Reported.at_home("INVALID", DeliveryMismatch.code)


@dataclass(slots=True)
class Heard:
    """What a coordinator has told so far, and what home believes of each of it."""

    judge: Judge
    told: dict[OrgId, ToldAnswer] = field(default_factory=dict)
    believed: dict[OrgId, Believed] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def hear(self, told: ToldAnswer) -> Believed | None:
        """Return what is believed of one more answer; None for one that nobody asked for, or that came already."""
        org = told.organization
        if org not in self.judge.round.parts or org in self.told:
            self._note_stray(Finding(org, AnswerNotInRoster.code))
            return None
        self.told[org] = told
        self.believed[org] = self.judge.hear(told)
        return self.believed[org]

    def _note_stray(self, finding: Finding) -> None:
        # A stream of 32 MiB holds hundreds of thousands of them, and each finding is stored and shown.
        if finding not in self.findings and len(self.findings) < STRAYS_MAX:
            self.findings.append(finding)

    def settled(self, delivered: DeliveredAnswer) -> Believed:
        """Return what stands of an organization's answer once the coordinator has signed for it."""
        if delivered.status not in PROVED:
            return Reported.of(delivered.status, delivered.code)
        told = self.told.get(delivered.organization)
        if told is None or told.answer.attestation is None:
            return _MISMATCH
        if sha256_b64u(told.answer.attestation.encode("utf-8")) != delivered.attestation_sha256:
            return _MISMATCH
        return self.believed[delivered.organization]

    def differs(self, delivered: DeliveredAnswer) -> bool:
        """Say whether something else was told of an organization, or proved by it, than was signed for."""
        told = self.told.get(delivered.organization)
        if told is None:
            return False
        said = {(told.status, told.code)}
        believed = self.believed[delivered.organization]
        if isinstance(believed, VerifiedAnswer):
            said.add((believed.attestation.status, believed.attestation.code))
        return said != {(delivered.status, delivered.code)}


@dataclass(frozen=True, slots=True)
class Judge:
    """What is known about a round before its answers: who asked what, through whom, and when."""

    round: Round
    home: OrgId
    bundle: TrustedBundle
    is_stale: IsStale
    is_split: IsSplit
    contradicted: Contradicted = lambda _: None
    note_split: NoteSplit = nobody_keeps

    def hear(self, told: ToldAnswer) -> Believed:
        """Return what is believed of one answer when it arrives; an attestation counts, whatever was said beside it."""
        if told.answer.attestation is None:
            return Reported.of(told.status, told.code)
        return self._verified(told.answer)

    def judge(self, heard: Heard, handover: Handover, *, coordinator: OrgId, now: int) -> Judged:
        """Return what is believed of a coordinator's answer. Raises: leaves of `delivery`, OrganizationSuspended."""
        delivery = verify_delivery(
            handover.delivery,
            bundle=self.bundle,
            coordinator=coordinator,
            home=self.home,
            token_id=self.round.token_id,
            question_hash=self.round.question.hash(),
            organizations=tuple(self.round.parts),
            at=now,
        )
        findings = list(heard.findings)
        verified: dict[OrgId, VerifiedAnswer] = {}
        reported: dict[OrgId, Reported] = {}
        for delivered in delivery.answers:
            org = delivered.organization
            verdict = heard.settled(delivered)
            if isinstance(verdict, VerifiedAnswer):
                verified[org] = verdict
            else:
                reported[org] = verdict
            if heard.differs(delivered) and verdict != _MISMATCH:
                findings.append(Finding(org, DeliveryMismatch.code))
        handed = {org: told.answer for org, told in heard.told.items()}
        judged = self._judged(verified, handed, reported, handover.delivery, findings)
        return self._compared(judged, handover, {d.organization: d for d in delivery.answers})

    def judge_direct(self, answer: RelayedAnswer | Reported, others: Reported) -> Judged:
        """Return what is believed when only the own node was asked; `others` is said of everybody else."""
        verdict = answer if isinstance(answer, Reported) else self._verified(answer)
        reported = {org: others for org in self.bundle.organizations if org != self.home}
        if isinstance(verdict, Reported) or isinstance(answer, Reported):
            reported[self.home] = verdict if isinstance(verdict, Reported) else Reported.at_home("INVALID")
            return self._judged({}, {}, reported, None, [])
        return self._judged({self.home: verdict}, {self.home: answer}, reported, None, [])

    def _verified(self, answer: RelayedAnswer) -> VerifiedAnswer | Reported:
        org, question = answer.organization, self.round.question
        try:
            results = tuple(result_from_wire(result, question.projection) for result in answer.results)
            verified = verify_node_answer(
                NodeAnswer(org, answer.attestation or "", results, answer.receipt, answer.cursor, answer.sealed),
                org=org,
                question=question,
                part=self.round.parts[org],
                token_id=self.round.token_id_of(org),
                home=self.home,
                bundle=self.bundle,
                open_sealed=self.round.open_sealed,
                asked_at=self.round.minted_at,
            )
        except RefusedDocument as error:
            if isinstance(error, AttestationSplitView):
                self.note_split(org, answer.attestation or "", self.bundle)
            return Reported.at_home(_found(error), error.code)
        other = self.contradicted(verified.attestation)
        if other is not None:
            self.note_split(org, answer.attestation or "", other)
            return Reported.at_home("INVALID", AttestationSplitView.code)
        if self.is_stale(verified.attestation):
            return Reported.at_home("STALE", VIEW_TOO_OLD)
        if verified.receipt is None or self.is_split(verified.receipt.checkpoint):
            return Reported.at_home("INVALID", LogSplitView.code)
        return verified

    def _judged(
        self,
        verified: Mapping[OrgId, VerifiedAnswer],
        handed: Mapping[OrgId, RelayedAnswer],
        reported: Mapping[OrgId, Reported],
        delivery: str | None,
        findings: list[Finding],
    ) -> Judged:
        reported = {**reported, **reported_untrusted(self.bundle)}
        merged = merge_at_home(self.round.question, tuple(verified.values()), reported, self.bundle)
        found = [Finding(org, r.code or r.status.lower()) for org, r in sorted(reported.items()) if r.is_finding]
        raw = {org: handed[org] for org in verified}
        return Judged(merged, verified, raw, reported, delivery, (*findings, *found))

    def _compared(self, judged: Judged, handover: Handover, delivered: Mapping[OrgId, DeliveredAnswer]) -> Judged:
        bundle = self.bundle
        # What the coordinator could know: sealed answers unread, and no status that was found only here.
        said = {org: Reported.of(d.status, d.code) for org, d in delivered.items() if org not in judged.verified}
        readable = tuple(answer.as_relay_saw() for answer in judged.verified.values())
        expected = merge(self.round.question, readable, said, tuple(self.round.parts), bundle.statistics)
        try:
            require_same_result(parse_json(handover.merged.encode("utf-8"), bytes_max=MERGED_MAX), expected)
        except RefusedDocument:
            return replace(judged, findings=(*judged.findings, Finding(None, MergeMismatch.code)))
        return judged


def _found(error: RefusedDocument) -> FoundStatus:
    return "UNTRUSTED" if isinstance(error, _UNTRUSTED) else "INVALID"
