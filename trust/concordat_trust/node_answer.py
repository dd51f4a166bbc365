"""One node's answer, believed only as far as it can be recomputed.

Rules of this file:

* What the node signed says which records, in which order, with which keys and counts. Everything in it that can be
  computed from the disclosed records is computed again; a difference refuses the whole answer of that node.
* The checks run in the order of `verify_node_answer`; each has its own code, and each error names the organization.
* A relay that cannot open sealed records checks all the rest; only the home node checks everything.

Steps 1 to 6 look at the signed statement and are here; 7 to 12 look at the results (`result_checks`), 13 at the
receipt (`receipt`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from concordat_trust.answer_errors import (
    AttestationSplitView,
    AttestationWrongAudience,
    AttestationWrongOrganization,
    AttestationWrongPart,
    AttestationWrongQuestion,
    AttestationWrongToken,
    CursorNotAttested,
    StatsRevisionMismatch,
    StatusInconsistent,
)
from concordat_trust.attestation import AGE_MAX_S, Attestation, AttestationTime, verify_attestation
from concordat_trust.canonical import JsonObject
from concordat_trust.directory import DirectoryView, KeyDirectory
from concordat_trust.encoding import sha256_b64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.jose import LEEWAY_S
from concordat_trust.question import PROJECTION_OF, Part, Projection, Question, candidate_count
from concordat_trust.receipt import VerifiedReceipt, verify_receipt
from concordat_trust.records import RecordMalformed
from concordat_trust.result_checks import (
    OpenResult,
    OpenSealed,
    Result,
    SealedResult,
    VerifiedRecord,
    check_commitments,
    check_facets,
    check_order,
    check_records,
    opened_results,
    recomputed_records,
)
from concordat_trust.text import TermStatistics

__all__ = [
    "COUNT_MAX",
    "AnswerDirectory",
    "NodeAnswer",
    "OpenResult",
    "OpenSealed",
    "Result",
    "SealedResult",
    "VerifiedAnswer",
    "VerifiedRecord",
    "issued_while_asked",
    "result_from_wire",
    "verify_node_answer",
]

COUNT_MAX = 10**9
"""No node has more records; a larger number could make the sums of a network leave the canonical integers."""


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What arrived as the answer of `org`; nothing of it is believed."""

    org: OrgId
    attestation: str
    results: tuple[Result, ...]
    receipt: str | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class VerifiedAnswer:
    """An answer that passed every check; made by `verify_node_answer`.

    `records` are in order. `sealed_ids` arrived sealed and were opened here; `unread` is how many stayed closed.
    `receipt` is None where receipts are passed on unread, at a relay. With `cursor` the next page can be asked for.
    """

    org: OrgId
    attestation: Attestation
    records: tuple[VerifiedRecord, ...]
    sealed_ids: frozenset[str] = frozenset()
    unread: int = 0
    receipt: VerifiedReceipt | None = None
    cursor: str | None = None

    def as_relay_saw(self) -> VerifiedAnswer:
        """Return the answer without the records that a relay could not read, to compare its merge with."""
        readable = tuple(item for item in self.records if item.record["id"] not in self.sealed_ids)
        unread = self.unread + len(self.records) - len(readable)
        return replace(self, records=readable, sealed_ids=frozenset(), unread=unread)


class AnswerDirectory(KeyDirectory, Protocol):
    """A verified state of a network with its term statistics; `TrustedBundle` satisfies it."""

    @property
    def statistics(self) -> TermStatistics: ...


def result_from_wire(result: JsonObject, projection: Projection) -> Result:
    """Return a result of the wire: (salt and the record of the projection) or sealed, the rest null or absent.

    Raises: RecordMalformed when it is neither or both.
    """
    salt, sealed, record = result.get("salt"), result.get("sealed"), result.get(projection)
    others = [result.get(name) for name in PROJECTION_OF.values() if name != projection]
    if others != [None] * len(others):
        raise RecordMalformed(field="results")
    if sealed is None and isinstance(salt, str) and isinstance(record, dict):
        return OpenResult(salt, record)
    if isinstance(sealed, str) and salt is None and record is None:
        return SealedResult(sealed)
    raise RecordMalformed(field="results")


def verify_node_answer(
    answer: NodeAnswer,
    *,
    org: OrgId,
    question: Question,
    part: Part,
    token_id: str,
    home: OrgId,
    bundle: AnswerDirectory,
    open_sealed: OpenSealed | None,
    asked_at: int | None = None,
    is_relay: bool = False,
) -> VerifiedAnswer:
    """Return the answer if `org` gave it to exactly this question and everything in it follows from its records.

    1 signature, by the key in `bundle` · 2 organization, home, token, question, part · 3 issued while the token, whose
    issue time is `asked_at`, could be used · 4 no split view · 5 status, total, candidates, cursor · 6 statistics ·
    7 results are exactly what was attested, in that order · 8 each record: form, owner, asked for, once · 9 keys ·
    10 match · 11 order · 12 facets · 13 the receipt: the answer is in the node's disclosure log. A relay passes it on
    unread (`is_relay`): it protects people at home, who check it, and a relay has no part in it.
    With `open_sealed` None sealed results are counted and left closed. What the caller does: token, request, delivery,
    and whether the node's view of the network is too old.

    Raises: leaves of AnswerRefused, of `attestation` and of `checkpoint`, InclusionProofInvalid, RecordMalformed,
    SealBroken; all with `organization`.
    """
    binding = _Binding(org, home, token_id, question, part, asked_at)
    try:
        attestation = verify_attestation(answer.attestation, bundle=bundle)
        _check_binding(answer, attestation, binding)
        _check_time(attestation, asked_at)
        _check_view(attestation, bundle.view)
        _check_statement(attestation, question, part)
        _check_cursor(answer.cursor, attestation)
        _check_statistics(attestation, question, bundle.statistics)
        opened = opened_results(answer.results, attestation, open_sealed)
        check_commitments(opened, attestation)
        check_records(opened, org, question, part)
        records = recomputed_records(opened, attestation, question, part, bundle.statistics)
        check_order(opened, attestation, question)
        check_facets(attestation, question, records)
        receipt = None if is_relay else _receipt(answer, attestation, bundle, asked_at)
    except RefusedDocument as error:
        raise type(error)(**{**error.fields, "organization": org}) from error
    unread = len(opened) - len(records)
    return VerifiedAnswer(org, attestation, records, _sealed_ids(answer, opened), unread, receipt, answer.cursor)


@dataclass(frozen=True, slots=True)
class _Binding:
    """What the answer must be an answer to."""

    org: OrgId
    home: OrgId
    token_id: str
    question: Question
    part: Part
    asked_at: int | None


def _check_binding(answer: NodeAnswer, attestation: Attestation, binding: _Binding) -> None:
    if answer.org != binding.org or attestation.organization != binding.org:
        raise AttestationWrongOrganization
    if attestation.home != binding.home:
        raise AttestationWrongAudience
    if attestation.token_id != binding.token_id:
        raise AttestationWrongToken
    if attestation.question_hash != binding.question.hash():
        raise AttestationWrongQuestion
    if attestation.part_hash != binding.part.hash():
        raise AttestationWrongPart


def issued_while_asked(issued_at: int, asked_at: int) -> bool:
    """Say whether something can be an answer to a token of `asked_at`: not older, and given while it was waited for."""
    return asked_at - LEEWAY_S <= issued_at <= asked_at + AGE_MAX_S


def _check_time(attestation: Attestation, asked_at: int | None) -> None:
    # A key that was stolen and withdrawn later must not date an answer back to a time when it was still good.
    if asked_at is not None and not issued_while_asked(attestation.issued_at, asked_at):
        raise AttestationTime(issued_at=attestation.issued_at, at=asked_at)


def _check_view(attestation: Attestation, ours: DirectoryView) -> None:
    theirs = attestation.bundle
    if theirs.snapshot == ours.snapshot and theirs.snapshot_sha256 != ours.snapshot_sha256:
        raise AttestationSplitView


def _receipt(
    answer: NodeAnswer, attestation: Attestation, bundle: KeyDirectory, asked_at: int | None
) -> VerifiedReceipt:
    return verify_receipt(answer.receipt, attestation=attestation, bundle=bundle, asked_at=asked_at)


def _check_statement(attestation: Attestation, question: Question, part: Part) -> None:
    total, count = attestation.total, len(attestation.candidates)
    is_by_id = question.operation == "assets" or question.direction == "up"
    count_max = len(part.ids) if is_by_id else candidate_count(question)
    if not set(attestation.facets) <= set(question.facets):
        raise StatusInconsistent(problem="it counts facets that were not asked for")
    match attestation.status:
        case "OK":
            if total is None or total > COUNT_MAX or attestation.code is not None:
                raise StatusInconsistent(problem="OK comes with a total and without a code")
            # After a cursor fewer may follow than the total counts; how many were before it is not said.
            if count > min(total, count_max) or (part.cursor is None and count != min(total, count_max)):
                raise StatusInconsistent(problem="the number of candidates does not fit the total")
        case "SUPPRESSED":
            if total is not None or count > count_max:
                raise StatusInconsistent(problem="a suppressed total is null")
        case "DENIED" | "UNSUPPORTED":
            if total is not None or count or attestation.facets or attestation.code is None:
                raise StatusInconsistent(problem="a refusal has a code, and neither records nor counts")


def _check_cursor(cursor: str | None, attestation: Attestation) -> None:
    if attestation.cursor != (None if cursor is None else sha256_b64u(cursor.encode())):
        raise CursorNotAttested
    if cursor is not None and not attestation.candidates:
        raise StatusInconsistent(problem="a cursor without candidates stands nowhere")


def _check_statistics(attestation: Attestation, question: Question, statistics: TermStatistics) -> None:
    # A node that lacks the named statistics says UNSUPPORTED, and may say with which ones it works.
    has_answered = attestation.status in ("OK", "SUPPRESSED")
    if has_answered and not attestation.stats_revision == question.stats_revision == statistics.revision:
        raise StatsRevisionMismatch


def _sealed_ids(answer: NodeAnswer, opened: Sequence[OpenResult | None]) -> frozenset[str]:
    pairs = zip(answer.results, opened, strict=True)
    return frozenset(str(item.record["id"]) for result, item in pairs if item and isinstance(result, SealedResult))
