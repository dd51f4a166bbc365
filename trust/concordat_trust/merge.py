"""Many answers as one: order, sums and completeness, the same for the relay, the home node and a later verifier.

Rules of this file:

* Nothing is taken from whoever merged before: sort keys come from the records, the roster from the trust bundle.
* Every organization of the roster appears exactly once, with who says so: a status without a proof is never shown as
  proved, and what a coordinator reports is never shown as found at home.
* A failed node is never an empty one, a suppressed number never a zero: as soon as one organization's numbers are not
  known, the total is null and the sums are lower bounds (`is_exact` false).
* The result depends on the set of answers alone: not on their order, nor on which node holds which record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self, get_args

from concordat_trust.answer_errors import AnswerDuplicate, AnswerNotInRoster, MergeMismatch, StatsRevisionMismatch
from concordat_trust.attestation import AttestedNotice
from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.ids import OrgId, tie_key
from concordat_trust.node_answer import VerifiedAnswer
from concordat_trust.patterns import CODE
from concordat_trust.question import Question
from concordat_trust.ranking import order_key, query_terms, sort_key
from concordat_trust.text import TermStatistics
from concordat_trust.vocabulary import (
    FOUND_AT_HOME,
    REPORTED,
    FoundStatus,
    ProvedStatus,
    ReportedStatus,
    Speaker,
)

UnprovedStatus = ReportedStatus | FoundStatus
Status = ProvedStatus | ReportedStatus | FoundStatus
ANSWERED: tuple[Literal["OK", "SUPPRESSED"], ...] = get_args(Literal["OK", "SUPPRESSED"])
"""The statuses with which an organization searched and said what the requester may see; all others are missing."""
Reporter = Literal["coordinator", "home"]
REPORTERS: Final[tuple[Reporter, ...]] = get_args(Reporter)
NOT_REPORTED = "not_reported"
STATUS_NOT_PROVED = "status_not_proved"
CODE_MALFORMED = "code_malformed"


@dataclass(frozen=True, slots=True)
class Reported:
    """What somebody says, without proof, about an organization that did not give a valid answer."""

    status: UnprovedStatus
    code: str | None = None
    said_by: Reporter = "coordinator"

    @classmethod
    def of(cls, status: str, code: str | None, said_by: Reporter = "coordinator") -> Self:
        """Return the report of a party that is not trusted: a status that it cannot know of is INVALID."""
        for known in (*REPORTED, *FOUND_AT_HOME) if said_by == "home" else REPORTED:
            if status == known:
                return cls(known, code if code is None or CODE.fullmatch(code) else CODE_MALFORMED, said_by)
        return cls("INVALID", STATUS_NOT_PROVED, said_by)

    @classmethod
    def at_home(cls, status: UnprovedStatus, code: str | None = None) -> Self:
        """Return what the home node saw for itself."""
        return cls(status, code, "home")

    @property
    def is_finding(self) -> bool:
        """Whether home looked at an answer and refused it; a coordinator's word that it did so is none."""
        return self.said_by == "home" and self.status in FOUND_AT_HOME

    def to_json(self) -> JsonObject:
        return {"code": self.code, "said_by": self.said_by, "status": self.status}


@dataclass(frozen=True, slots=True)
class Hit:
    """One record of the merged result and who answers for it."""

    record: JsonObject
    organization: OrgId
    sort_key: int | None

    def to_json(self) -> JsonObject:
        return {"organization": self.organization, "record": self.record, "sort_key": self.sort_key}


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one organization and who says so; `total` is None when it is not known, which is not zero."""

    organization: OrgId
    status: Status
    code: str | None
    said_by: Speaker
    notice: AttestedNotice | None
    total: int | None

    @property
    def proved(self) -> bool:
        return self.said_by == "organization"

    def to_json(self) -> JsonObject:
        notice = self.notice
        return {
            "code": self.code,
            "notice": None if notice is None else {"code": notice.code, "contact": notice.contact, "mode": notice.mode},
            "organization": self.organization,
            "proved": self.proved,
            "said_by": self.said_by,
            "status": self.status,
            "total": self.total,
        }


@dataclass(frozen=True, slots=True)
class Completeness:
    """One entry for each organization of the roster, ordered by id."""

    entries: tuple[Entry, ...]

    @property
    def asked(self) -> int:
        return len(self.entries)

    @property
    def answered(self) -> int:
        """How many searched and answered (`ANSWERED`); a proved refusal is not an answer."""
        return self.asked - len(self.missing)

    @property
    def missing(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.status not in ANSWERED)

    @property
    def complete(self) -> bool:
        """Whether every organization of the roster answered; nobody at all is not everybody."""
        return bool(self.entries) and not self.missing

    def to_json(self) -> JsonObject:
        return {
            "answered": self.answered,
            "asked": self.asked,
            "complete": self.complete,
            "entries": [entry.to_json() for entry in self.entries],
        }


@dataclass(frozen=True, slots=True)
class MergedResult:
    """The answer of the network. `hits` are the first page of a search in order; of ids, every record.

    `total` is None unless `is_exact`; `total_at_least` and `facets` then count only what is known. `is_partial` says
    that somebody's answer could not be read here: a relay's merge of what is sealed for home.
    """

    hits: tuple[Hit, ...]
    total: int | None
    total_at_least: int
    facets: Mapping[str, Mapping[str, int]]
    completeness: Completeness
    is_partial: bool

    @property
    def is_exact(self) -> bool:
        return self.total is not None

    def to_json(self) -> JsonObject:
        """Return the form that is streamed, saved and compared."""
        return {
            "completeness": self.completeness.to_json(),
            "exact": self.is_exact,
            "facets": {field: dict(cells) for field, cells in self.facets.items()},
            "hits": [hit.to_json() for hit in self.hits],
            "partial": self.is_partial,
            "total": self.total,
            "total_at_least": self.total_at_least,
        }

    def canonical(self) -> bytes:
        return canonical_bytes(self.to_json())


def merge(
    question: Question,
    answers: Sequence[VerifiedAnswer],
    reported: Mapping[OrgId, Reported],
    roster: Sequence[OrgId],
    statistics: TermStatistics,
) -> MergedResult:
    """Return the one result of these answers for this roster.

    An organization that is in neither mapping is SKIPPED with the code `not_reported`. An answer outweighs a report,
    and reports about organizations outside the roster are not looked at.
    Raises: AnswerDuplicate, AnswerNotInRoster, StatsRevisionMismatch.
    """
    given = _by_organization(answers, roster)
    entries = tuple(_entry(org, given.get(org), reported) for org in sorted(set(roster)))
    totals = [entry.total for entry in entries]
    known = [total for total in totals if total is not None]
    return MergedResult(
        hits=_hits(question, [given[org] for org in sorted(given)], statistics),
        total=sum(known) if known and len(known) == len(totals) else None,
        total_at_least=sum(known),
        facets=_facets(question, list(given.values())),
        completeness=Completeness(entries),
        is_partial=any(answer.is_closed for answer in answers),
    )


def _by_organization(answers: Sequence[VerifiedAnswer], roster: Sequence[OrgId]) -> dict[OrgId, VerifiedAnswer]:
    given: dict[OrgId, VerifiedAnswer] = {}
    members = frozenset(roster)
    for answer in answers:
        if answer.org not in members:
            raise AnswerNotInRoster(organization=answer.org)
        if answer.org in given:
            raise AnswerDuplicate(organization=answer.org)
        given[answer.org] = answer
    return given


def _entry(org: OrgId, answer: VerifiedAnswer | None, reported: Mapping[OrgId, Reported]) -> Entry:
    if answer is not None:
        stated = answer.attestation
        return Entry(org, stated.status, stated.code, "organization", stated.notice, stated.total)
    # Home chooses whom a question is for; a relay answers for all of those.
    report = reported.get(org, Reported.at_home("SKIPPED", NOT_REPORTED))
    return Entry(org, report.status, report.code, report.said_by, None, None)


def entry_of(org: OrgId, believed: VerifiedAnswer | Reported) -> Entry:
    """Return what one organization comes to, as `merge` would say it."""
    return _entry(org, believed, {}) if isinstance(believed, VerifiedAnswer) else _entry(org, None, {org: believed})


def _hits(question: Question, answers: Sequence[VerifiedAnswer], statistics: TermStatistics) -> tuple[Hit, ...]:
    pairs = [(answer.org, item.record) for answer in answers for item in answer.records]
    if pairs and statistics.revision != question.stats_revision:
        raise StatsRevisionMismatch(organization=pairs[0][0])
    terms = query_terms(question.text, statistics)
    hits = [Hit(record, org, sort_key(question, record, terms, statistics)) for org, record in pairs]
    hits.sort(key=lambda hit: _order(question, hit))
    # Each node disclosed at least its first page, so the first page of all is exact; what follows it would not be.
    return tuple(hits[: question.page_size] if question.operation == "search" else hits)


def _order(question: Question, hit: Hit) -> tuple[bool, int, str, str]:
    asset_id = str(hit.record["id"])
    return order_key(question.sort, hit.sort_key, tie_key(asset_id), asset_id)


def _facets(question: Question, answers: Sequence[VerifiedAnswer]) -> dict[str, dict[str, int]]:
    sums: dict[str, Counter[str]] = {field: Counter() for field in question.facets}
    for answer in answers:
        for field, cells in answer.attestation.facets.items():
            sums[field].update(cells)
    return {field: dict(sorted(cells.items())) for field, cells in sums.items()}


def require_same_result(theirs: Json, ours: MergedResult) -> None:
    """Refuse a merged result of somebody else (its JSON) that is not `ours`. Raises: MergeMismatch."""
    where = first_difference(theirs, ours.to_json())
    if where is not None:
        raise MergeMismatch(where=where)


def first_difference(left: Json, right: Json, where: str = "result") -> str | None:
    """Return the path of the first place where two JSON values differ, None when they are equal."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted({*left, *right}):
            if name not in left or name not in right:
                return f"{where}.{name}"
            deeper = first_difference(left[name], right[name], f"{where}.{name}")
            if deeper is not None:
                return deeper
        return None
    if isinstance(left, list) and isinstance(right, list):
        for position, (one, other) in enumerate(zip(left, right, strict=False)):
            deeper = first_difference(one, other, f"{where}[{position}]")
            if deeper is not None:
                return deeper
        return None if len(left) == len(right) else f"{where}[{min(len(left), len(right))}]"
    # True == 1 in Python; in JSON they are two values.
    is_same = isinstance(left, bool) == isinstance(right, bool) and left == right
    return None if is_same else where
