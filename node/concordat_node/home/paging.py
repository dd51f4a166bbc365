"""The next page of a search: where each organization's answer goes on.

Rules of this file:

* A next page is a new question: the same canonical question with other parts and a new token, asked of everybody again.
* An organization goes on after as many of its candidates as were shown. Of one that showed nothing, or did not answer,
  the same part is asked again, so that nothing of it is passed over: what was missing on one page can come on the next.
* Pure: everything is taken from an answer that was verified at home, or from its saved form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from concordat_node.home.errors import NextPageMissing
from concordat_trust.attestation import ATTESTATION_BYTES_MAX, Attestation
from concordat_trust.attestation_form import parse_claims
from concordat_trust.canonical import Json
from concordat_trust.ids import OrgId
from concordat_trust.jose import unverified_claims
from concordat_trust.merge import MergedResult
from concordat_trust.node_answer import VerifiedAnswer
from concordat_trust.question import Part, PartCursor, Question, candidate_count
from concordat_trust.saved_answer import SavedAnswer, SavedNodeAnswer
from concordat_trust.sealed_part import CURSOR_SEPARATOR, parse_sealed_part


@dataclass(frozen=True, slots=True)
class _Given:
    """One organization's answer on this page."""

    part: Part
    attestation: Attestation
    cursor: str | None
    shown: int
    is_sealed: bool = False

    def goes_on(self, question: Question) -> bool:
        candidates = len(self.attestation.candidates)
        if self.cursor is None or self.shown < candidates:
            return self.cursor is not None
        # How many stood before a cursor is not told, so a full answer after one may be the last.
        is_first = self.part.cursor is None
        return (self.attestation.total or 0) > self.shown if is_first else candidates == candidate_count(question)

    def next(self) -> PartCursor | None:
        if self.cursor is None or not self.shown:
            return self.part.cursor
        if self.is_sealed:
            return PartCursor(self.cursor.split(CURSOR_SEPARATOR)[self.shown - 1], 1)
        return PartCursor(self.cursor, self.shown)


def has_next(
    question: Question,
    parts: Mapping[OrgId, Part],
    verified: Mapping[OrgId, VerifiedAnswer],
    merged: MergedResult,
) -> bool:
    """Whether some organization has more than this page shows."""
    shown = Counter(hit.organization for hit in merged.hits)
    given = [_Given(parts[org], answer.attestation, answer.cursor, shown[org]) for org, answer in verified.items()]
    return any(item.goes_on(question) for item in given)


def next_cursors(saved: SavedAnswer) -> Mapping[OrgId, PartCursor]:
    """Return where each organization's next page begins; who is not named is asked from its beginning.

    Raises: NextPageMissing when nothing follows.
    """
    shown = Counter(_organizations(saved.result.get("hits")))
    given = {org: _given(saved.parts[org], answer, shown[org]) for org, answer in saved.answers.items()}
    if not any(item.goes_on(saved.question) for item in given.values()):
        raise NextPageMissing
    unanswered = {org: part.cursor for org, part in saved.parts.items() if org not in given}
    following = {org: item.next() for org, item in given.items()}
    return {org: cursor for org, cursor in {**unanswered, **following}.items() if cursor is not None}


def _organizations(hits: Json) -> Iterable[str]:
    return [str(hit["organization"]) for hit in hits if isinstance(hit, dict)] if isinstance(hits, list) else []


def _given(part: Part, answer: SavedNodeAnswer, shown: int) -> _Given:
    attestation = _attestation(answer.attestation)
    if answer.sealed is None:
        return _Given(part, attestation, answer.cursor, shown)
    inside = parse_sealed_part(answer.sealed)
    return _Given(part, inside.completed(attestation), inside.cursor, shown, is_sealed=True)


def _attestation(jws: str) -> Attestation:
    # Verified before it was stored, by this node.
    return parse_claims(unverified_claims(jws, bytes_max=ATTESTATION_BYTES_MAX))
