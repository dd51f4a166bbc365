"""What one question may cost a relay, checked before anything is sent.

Rules of this file:

* Pure. Every limit has a name and is inclusive: at the limit is allowed, one past it is `relay_ask_too_large`.
* The cost of a question is known before it is asked: organizations × candidates × bytes per candidate. A node that
  sends more than its share is cut off while it sends, so `answer_bytes_max` is a promise about memory, not a hope.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from concordat_coordinator.errors import AskTooLarge, DeadlineOutOfRange
from concordat_trust.attestation import ATTESTATION_BYTES_MAX
from concordat_trust.ids import OrgId
from concordat_trust.question import PAGE_SIZE_MAX, PART_BYTES_MAX, QUESTION_BYTES_MAX, Question, candidate_count


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one relay."""

    organizations_max: int = 200
    page_size_max: int = PAGE_SIZE_MAX
    question_bytes_max: int = QUESTION_BYTES_MAX
    part_bytes_max: int = PART_BYTES_MAX
    parts_bytes_max: int = 1_048_576
    request_bytes_max: int = 2_097_152
    attestation_bytes_max: int = ATTESTATION_BYTES_MAX
    record_bytes_max: int = 32_768
    deadline_ms_min: int = 50
    deadline_ms_max: int = 60_000
    nodes_parallel_max: int = 64
    asks_parallel_max: int = 32

    def answer_bytes_max(self, question: Question) -> int:
        """Return how many bytes one node may send for this question; padding and base64 of what is sealed count too."""
        return self.attestation_bytes_max + candidate_count(question) * self.record_bytes_max


def check_texts(question: bytes, parts: bytes, limits: Limits) -> None:
    """Refuse texts that are too long to be parsed at all. Raises: AskTooLarge."""
    _at_most("question", len(question), limits.question_bytes_max)
    _at_most("parts", len(parts), limits.parts_bytes_max)


def check_cost(question: Question, parts: Mapping[OrgId, bytes], audience_count: int, limits: Limits) -> None:
    """Refuse a question that costs more than a relay gives to one. Raises: AskTooLarge."""
    _at_most("audience", audience_count, limits.organizations_max)
    _at_most("parts", len(parts), limits.organizations_max)
    _at_most("page_size", question.page_size, limits.page_size_max)
    for part in parts.values():
        _at_most("part", len(part), limits.part_bytes_max)


def check_deadline(deadline_ms: int, limits: Limits) -> None:
    """Raises: DeadlineOutOfRange."""
    if not limits.deadline_ms_min <= deadline_ms <= limits.deadline_ms_max:
        raise DeadlineOutOfRange(
            deadline_ms=deadline_ms,
            deadline_ms_min=limits.deadline_ms_min,
            deadline_ms_max=limits.deadline_ms_max,
        )


def _at_most(what: str, size: int, size_max: int) -> None:
    if size > size_max:
        raise AskTooLarge(what=what, size=size, size_max=size_max)
