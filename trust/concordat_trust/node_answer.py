"""One node's answer, believed only as far as it can be recomputed.

Rules of this file:

* What the node signed says which records, in which order, with which keys and counts. Everything in it that can be
  computed from the disclosed records is computed again; a difference refuses the whole answer of that node.
* The checks run in the order of `verify_node_answer`; each has its own code, and each error names the organization.
* An answer is in the open or sealed as a whole. A relay checks of a sealed one what stands outside; only the home node
  puts both together (`sealed_part`) and checks everything, as if it had come in the open.

Steps 1 to 6 look at the signed statement and are here; 7 to 12 look at the results (`result_checks`), 13 at the
receipt (`receipt`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from concordat_trust.answer_errors import (
    AttestationSplitView,
    AttestationWrongAudience,
    AttestationWrongOrganization,
    AttestationWrongPart,
    AttestationWrongQuestion,
    AttestationWrongToken,
    CursorNotAttested,
    SealedPartMismatch,
    SealedPartMissing,
    SealedPartUnexpected,
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
from concordat_trust.question import CURSOR, PROJECTION_OF, Part, Projection, Question, candidate_count
from concordat_trust.receipt import VerifiedReceipt, verify_receipt
from concordat_trust.records import RecordMalformed
from concordat_trust.result_checks import (
    OpenResult,
    VerifiedRecord,
    check_commitments,
    check_facets,
    check_order,
    check_records,
    recomputed_records,
)
from concordat_trust.sealed_part import CURSOR_SEPARATOR, parse_sealed_part
from concordat_trust.sealing import SealContext
from concordat_trust.text import TermStatistics

__all__ = [
    "COUNT_MAX",
    "AnswerDirectory",
    "NodeAnswer",
    "OpenResult",
    "OpenSealed",
    "VerifiedAnswer",
    "VerifiedRecord",
    "issued_while_asked",
    "result_from_wire",
    "verify_node_answer",
]

OpenSealed = Callable[[str, SealContext], bytes]
COUNT_MAX = 10**9
"""No node has more records; a larger number could make the sums of a network leave the canonical integers."""


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What arrived as the answer of `org`; nothing of it is believed."""

    org: OrgId
    attestation: str
    results: tuple[OpenResult, ...]
    receipt: str | None = None
    cursor: str | None = None
    sealed: str | None = None
    """The sealed part as it travels."""
    opened: bytes | None = None
    """The sealed part's text, in a saved answer."""


@dataclass(frozen=True, slots=True)
class VerifiedAnswer:
    """An answer that passed every check; made by `verify_node_answer`.

    `records` are in order; `attestation` says everything that was opened here. `receipt` is None where receipts are
    passed on unread, at a relay. With `cursor` the next page can be asked for. Of an answer that came sealed, `outside`
    is what everybody could read and `sealed_text` what was inside; `is_closed` when it was not opened here.
    """

    org: OrgId
    attestation: Attestation
    records: tuple[VerifiedRecord, ...]
    receipt: VerifiedReceipt | None = None
    cursor: str | None = None
    outside: Attestation | None = None
    sealed_text: bytes | None = None
    is_closed: bool = False

    def as_relay_saw(self) -> VerifiedAnswer:
        """Return the answer without what a relay could not read, to compare its merge with."""
        if self.outside is None:
            return self
        return VerifiedAnswer(self.org, self.outside, (), self.receipt, outside=self.outside, is_closed=True)


class AnswerDirectory(KeyDirectory, Protocol):
    """A verified state of a network with its term statistics; `TrustedBundle` satisfies it."""

    @property
    def statistics(self) -> TermStatistics: ...


def result_from_wire(result: JsonObject, projection: Projection) -> OpenResult:
    """Return a result of the wire: salt and the record of the projection, the rest null or absent.

    Raises: RecordMalformed when it is anything else.
    """
    salt, record = result.get("salt"), result.get(projection)
    others = [result.get(name) for name in PROJECTION_OF.values() if name != projection]
    if others != [None] * len(others) or not isinstance(salt, str) or not isinstance(record, dict):
        raise RecordMalformed(field="results")
    return OpenResult(salt, record)


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
    issue time is `asked_at`, could be used · 4 no split view; then a sealed part is there when it is attested, nothing
    of it stands outside, and it is the attested one · 5 status, total, candidates, cursor · 6 statistics · 7 results
    are exactly what was attested, in that order · 8 each record: form, owner, asked for, once · 9 keys · 10 match ·
    11 order · 12 facets · 13 the receipt: the answer is in the node's disclosure log. A relay passes it on unread
    (`is_relay`): it protects people at home, who check it, and a relay has no part in it.
    With `open_sealed` None a sealed part stays closed, and 5 and 7 to 12 are not done. What the caller does: token,
    request, delivery, and whether the node's view of the network is too old.

    Raises: leaves of AnswerRefused, of `attestation` and of `checkpoint`, InclusionProofInvalid, RecordMalformed,
    SealBroken; all with `organization`.
    """
    binding = _Binding(org, home, token_id, question, part, asked_at)
    try:
        attestation = verify_attestation(answer.attestation, bundle=bundle)
        _check_binding(answer, attestation, binding)
        _check_time(attestation, asked_at)
        _check_view(attestation, bundle.view)
        told = _told(answer, attestation, open_sealed)
        records = _checked_records(told, question, part, bundle.statistics)
        receipt = None if is_relay else _receipt(answer, attestation, bundle, asked_at)
    except RefusedDocument as error:
        raise type(error)(**{**error.fields, "organization": org}) from error
    outside = None if attestation.sealed is None else attestation
    return VerifiedAnswer(
        org, told.attestation, records, receipt, told.cursor, outside, told.text, is_closed=told.is_closed
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """What the answer tells in all, after its sealed part was put together with the rest; or that it stays closed."""

    attestation: Attestation
    results: tuple[OpenResult, ...]
    cursor: str | None
    text: bytes | None = None
    is_closed: bool = False


def _told(answer: NodeAnswer, outside: Attestation, open_sealed: OpenSealed | None) -> _Told:
    is_there = answer.sealed is not None or answer.opened is not None
    if outside.sealed is None:
        if is_there:
            raise SealedPartUnexpected
        return _Told(outside, answer.results, answer.cursor)
    if not is_there:
        raise SealedPartMissing
    if not _says_nothing(outside) or answer.results or answer.cursor is not None:
        raise SealedPartUnexpected
    text = _opened(answer, outside, open_sealed)
    if text is None:
        return _Told(outside, (), None, is_closed=True)
    if sha256_b64u(text) != outside.sealed:
        raise SealedPartMismatch
    inside = parse_sealed_part(text)
    return _Told(inside.completed(outside), inside.results, inside.cursor, text)


def _says_nothing(outside: Attestation) -> bool:
    """Whether an attestation leaves to its sealed part everything that follows from records."""
    counts = outside.facets or outside.candidates or outside.agreements
    dated = (outside.total, outside.valid_until, outside.cursor)
    return outside.status == "OK" and not counts and dated == (None, None, None)


def _opened(answer: NodeAnswer, outside: Attestation, open_sealed: OpenSealed | None) -> bytes | None:
    if answer.sealed is None or open_sealed is None:
        return answer.opened
    return open_sealed(answer.sealed, SealContext(outside.organization, outside.token_id, outside.question_hash))


def _checked_records(
    told: _Told, question: Question, part: Part, statistics: TermStatistics
) -> tuple[VerifiedRecord, ...]:
    attestation, opened = told.attestation, told.results
    if not told.is_closed:
        _check_statement(attestation, question, part)
        _check_cursor(told)
    _check_statistics(attestation, question, statistics)
    if told.is_closed:
        return ()
    check_commitments(opened, attestation)
    check_records(opened, attestation.organization, question, part)
    records = recomputed_records(opened, attestation, question, part, statistics)
    check_order(opened, attestation, question)
    check_facets(attestation, question, records)
    return records


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


def _check_cursor(told: _Told) -> None:
    cursor, attestation = told.cursor, told.attestation
    if attestation.cursor != (None if cursor is None else sha256_b64u(cursor.encode())):
        raise CursorNotAttested
    if cursor is None:
        return
    if not attestation.candidates:
        raise StatusInconsistent(problem="a cursor without candidates stands nowhere")
    # Of any other form it could not be asked with, and with it nobody else either: one part of a question is refused.
    pieces = [cursor] if told.text is None else cursor.split(CURSOR_SEPARATOR)
    count = 1 if told.text is None else len(attestation.candidates)
    if len(pieces) != count or not all(map(CURSOR.fullmatch, pieces)):
        raise StatusInconsistent(problem="its cursor is not one, or not one for each candidate")


def _check_statistics(attestation: Attestation, question: Question, statistics: TermStatistics) -> None:
    # A node that lacks the named statistics says UNSUPPORTED, and may say with which ones it works.
    has_answered = attestation.status in ("OK", "SUPPRESSED")
    if has_answered and not attestation.stats_revision == question.stats_revision == statistics.revision:
        raise StatsRevisionMismatch
