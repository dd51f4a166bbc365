"""The path of one admitted question: scope → release → log entry → attestation and receipt.

Rules of this file:

* From here on every exit is attested: OK, DENIED with a code, UNSUPPORTED with a code. Unsigned are only what makes an
  attestation impossible (the log cannot be written, the token was answered before) and a document that does not fit
  the question, which the presenter chose and not the requester.
* The log entry, and with it the single use of the token, is committed before the attestation exists. A failure after
  that leaves an entry without an answer, never an answer without an entry. The receipt's checkpoint is the state of the
  log right after this entry, also when other answers are logged at the same time.
* Right before the entry, requester's home, presenter and the own organization are looked up in the bundle in force: who
  was suspended since admission is refused unsigned, with neither entry nor answer, and the token stays unused.
* DENIED comes from scope or from the policy's absence, never from what a class or record says. What the attestation
  says of totals, facets, agreements and `valid_until` is what the gate released.
* Time and randomness are given, so that two runs can be compared byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from concordat_node.access.cursor import Anchor, CursorBinding, CursorSeal, Place
from concordat_node.access.decisions import ClassDecisions, RunBlocking
from concordat_node.access.gate import Asked, Gate, Release
from concordat_node.access.masks import disclosed_fields
from concordat_node.access.request_check import Admitted, check_still_admitted, sensitivity_max
from concordat_node.access.subject import requester_of
from concordat_node.access.visas import visa_facts
from concordat_node.answering.given import GivenAnswer
from concordat_node.answering.told import Told, told_openly, told_to_home
from concordat_node.ledger.entry import SALT_BYTES, LogEntry, ReleasedItem
from concordat_node.ledger.ledger import Ledger
from concordat_node.ledger.signing import make_receipt
from concordat_node.policy.engine import DecisionRequest, NodePolicy, Notice, PolicyEngine
from concordat_trust.attestation import (
    FACET_VALUES_MAX,
    Attestation,
    AttestedNotice,
    AttestedView,
    PolicyRevisions,
    sign_attestation,
)
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.encoding import b64u, sha256_b64u
from concordat_trust.errors import OperatorError, RefusedDocument, RequesterError
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.jose import Signer
from concordat_trust.node_sealing import node_sealing_key
from concordat_trust.question import Part, Question, parse_part, parse_question
from concordat_trust.sealing import SealContext
from concordat_trust.visas import VisaFact
from concordat_trust.vocabulary import ProvedStatus

ID_BYTES = 16
NO_NOTICE: Final = Notice()
NOTHING: Final = Release()


class DocumentMismatch(RefusedDocument):
    code = "document_mismatch"
    sentence = "The document answers {document}, the question asks for {operation}."
    hint = "Send the document of the question's operation."


class QuestionNetworkUnknown(RequesterError):
    code = "question_network_unknown"
    sentence = "The question is for another network than this node's."
    hint = "Ask with the id of the network that both belong to."


class StatisticsUnknown(RequesterError):
    code = "statistics_unknown"
    sentence = "The question names other term statistics than this node's bundle."
    hint = "One of the two bundles is older; ask again in a minute."


class FacetTooLarge(RequesterError):
    code = "facet_too_large"
    sentence = "The facet {facet} has more than {values_max} values."
    hint = "Ask without this facet, or narrow the question."


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What will be logged and attested; `question` is None when it could not be read."""

    status: ProvedStatus
    code: str | None = None
    question: Question | None = None
    notice: Notice = NO_NOTICE
    release: Release = NOTHING

    @property
    def total(self) -> int | None:
        return self.release.total if self.status == "OK" else None


@dataclass(frozen=True, slots=True)
class _EntryFacts:
    """What the entry and the attestation have in common."""

    organization: OrgId
    policy: PolicyRevisions
    decision_id: str
    now: int


class Answering:
    """Answers admitted questions of one organization."""

    def __init__(
        self,
        *,
        organization: OrgId,
        node_policy: NodePolicy,
        engine: PolicyEngine,
        decisions: ClassDecisions,
        gate: Gate,
        ledger: Ledger,
        cursors: CursorSeal,
        key: Signer,
        bundle: Callable[[], TrustedBundle | None],
        run_blocking: RunBlocking,
        clock: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._organization = organization
        self._node_policy = node_policy
        self._engine = engine
        self._decisions = decisions
        self._gate = gate
        self._ledger = ledger
        self._cursors = cursors
        self._key = key
        self._bundle = bundle
        self._run_blocking = run_blocking
        self._clock = clock
        self._entropy = entropy

    async def answer(self, admitted: Admitted) -> GivenAnswer:
        """Return the logged and attested answer.

        Raises: TokenReplayed, LogUnavailable, DocumentMismatch, the refusals of `check_still_admitted`; then nothing
        may be sent but an unsigned refusal.
        """
        outcome = await self._decide(admitted)
        return await self._give(admitted, outcome)

    async def _decide(self, admitted: Admitted) -> _Outcome:
        try:
            question, part = _parsed(admitted)
        except (RefusedDocument, RequesterError) as error:
            return _Outcome("UNSUPPORTED", error.code)
        if question.operation != admitted.operation:
            raise DocumentMismatch(document=admitted.operation, operation=question.operation)
        notice = NO_NOTICE
        try:
            _refuse_foreign(question, admitted)
            request = self._request(admitted, question, part)
            scope = await self._decisions.scope(request)
            notice = scope.notice
            if not scope.admitted:
                return _Outcome("DENIED", scope.code, question, notice)
            page = self._page(admitted, part)
            release = await self._gate.release(_asked(admitted, question, part, request, page))
            _refuse_large_facets(release)
        except RequesterError as error:
            return _Outcome("UNSUPPORTED", error.code, question, notice)
        except (OperatorError, RefusedDocument) as error:
            return _Outcome("DENIED", error.code, question, notice)
        return _Outcome("OK", None, question, notice, release)

    def _page(self, admitted: Admitted, part: Part) -> tuple[Place, Anchor] | None:
        return None if part.cursor is None else self._cursors.open(part.cursor, self._binding(admitted))

    def _binding(self, admitted: Admitted) -> CursorBinding:
        token = admitted.token
        return CursorBinding(self._organization, token.issuer, token.subject, token.question_hash)

    def _request(self, admitted: Admitted, question: Question, part: Part) -> DecisionRequest:
        now = self._clock()
        visas: tuple[VisaFact, ...] = ()
        if part.visas is not None:
            key = node_sealing_key(self._key)  # of the key in use: it may have been exchanged a moment ago
            visas = visa_facts(admitted, part, organization=self._organization, key=key, now=now)
        return DecisionRequest(
            requester=requester_of(admitted.token, admitted.bundle, visas),
            purpose=question.purpose,
            now=now,
            organization=self._organization,
            node_policy=self._node_policy,
            agreements={},
            approvals={},
        )

    async def _give(self, admitted: Admitted, outcome: _Outcome) -> GivenAnswer:
        decision_id = b64u(self._entropy(ID_BYTES))
        now = self._clock()
        policy = PolicyRevisions(baseline=self._engine.revision, overlay=None)
        facts = _EntryFacts(self._organization, policy, decision_id, now)
        entry = _entry(admitted, outcome, facts)
        check_still_admitted(admitted, me=self._organization, bundle=self._bundle(), now=now)
        told = self._told(admitted, outcome)
        logged = await self._run_blocking(partial(self._ledger.append, entry, salt=self._entropy(SALT_BYTES)))
        attestation = Attestation(
            organization=self._organization,
            home=admitted.token.issuer,
            issued_at=now,
            attestation_id=b64u(self._entropy(ID_BYTES)),
            token_id=admitted.token.token_id,
            question_hash=admitted.token.question_hash,
            part_hash=sha256_b64u(admitted.part),
            status=outcome.status,
            code=outcome.code,
            decision_id=decision_id,
            policy=policy,
            bundle=AttestedView.of(admitted.bundle.view),
            agreements=told.agreements,
            stats_revision=admitted.bundle.statistics.revision,
            total=told.total,
            facets=told.facets,
            candidates=told.candidates,
            notice=AttestedNotice(outcome.notice.mode, outcome.notice.code, outcome.notice.contact),
            unknown_fields=(),  # both projections are fixed and known whole; a wider one will name what is left out
            valid_until=told.valid_until,
            log_leaf=b64u(logged.leaf),
            cursor=None if told.cursor is None else sha256_b64u(told.cursor.encode()),
            sealed=told.sealed_sha256,
        )
        receipt = make_receipt(
            logged, organization=self._organization, network=admitted.bundle.network.id, at=now, key=self._key
        )
        signed = sign_attestation(attestation, key=self._key)
        return GivenAnswer(signed, told.items, receipt.to_text(), told.cursor, told.sealed)

    def _told(self, admitted: Admitted, outcome: _Outcome) -> Told:
        """Return what follows from records: to be read by everybody, or sealed for home alone. Raises: SealTooLarge."""
        release, binding = outcome.release, self._binding(admitted)
        if not release.is_sealed:
            cursor = None if release.place is None else self._cursors.seal(release.place, binding)
            return told_openly(release, outcome.total, cursor)
        token = admitted.token
        cursors = None if release.place is None else self._cursors.seal_each(release.place, binding)
        return told_to_home(
            release,
            outcome.total,
            cursors,
            fresh=b64u(self._entropy(ID_BYTES)),
            to=token.enc,
            place=SealContext(self._organization, token.token_id, token.question_hash),
        )


def _parsed(admitted: Admitted) -> tuple[Question, Part]:
    return parse_question(admitted.question), parse_part(admitted.part)


def _refuse_foreign(question: Question, admitted: Admitted) -> None:
    if question.network != admitted.bundle.network.id:
        raise QuestionNetworkUnknown
    if question.stats_revision != admitted.bundle.statistics.revision:
        raise StatisticsUnknown


def _refuse_large_facets(release: Release) -> None:
    for facet, cells in release.facets.items():
        if len(cells) > FACET_VALUES_MAX:
            raise FacetTooLarge(facet=facet, values_max=FACET_VALUES_MAX)


def _asked(
    admitted: Admitted,
    question: Question,
    part: Part,
    request: DecisionRequest,
    page: tuple[Place, Anchor] | None,
) -> Asked:
    return Asked(
        question=question,
        ids=tuple(AssetId.parse(item) for item in part.ids),
        request=request,
        statistics=admitted.bundle.statistics,
        sensitivity_max=sensitivity_max(admitted.bundle, request.now),
        page=page,
    )


def _entry(admitted: Admitted, outcome: _Outcome, facts: _EntryFacts) -> LogEntry:
    token, question, release = admitted.token, outcome.question, outcome.release
    view = admitted.bundle.view
    return LogEntry(
        at=facts.now,
        organization=facts.organization,
        issuer=token.issuer,
        token_id=token.token_id,
        token_sha256=admitted.token_sha256,
        pseudonym=token.subject,
        presenter=admitted.presenter,
        operation=None if question is None else question.operation,
        purpose=None if question is None else question.purpose.to_json(),
        question_hash=token.question_hash,
        part_hash=sha256_b64u(admitted.part),
        status=outcome.status,
        code=outcome.code,
        decision_id=facts.decision_id,
        policy={"baseline": facts.policy.baseline, "overlay": facts.policy.overlay},
        bundle={"root": view.root, "snapshot": view.snapshot, "targets": view.targets, "timestamp": view.timestamp},
        agreements=tuple({"digest": digest, "id": item} for item, digest in release.agreements),
        total=outcome.total,
        released=tuple(
            ReleasedItem(
                asset_id=str(item.record.fields["id"]),
                level=str(item.record.fields["level"]),
                fields=disclosed_fields(item.record.fields),
                sealed=release.is_sealed,
                commitment=item.commitment,
            )
            for item in release.items
        ),
    )
