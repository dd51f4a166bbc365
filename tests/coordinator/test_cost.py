"""The limits of a relay, each at the limit and one past it."""

from __future__ import annotations

import pytest

from concordat_coordinator.cost import Limits, check_cost, check_deadline, check_texts
from concordat_coordinator.errors import AskTooLarge, DeadlineOutOfRange
from concordat_trust.ids import OrgId
from tests.coordinator.wire_records import make_question

LIMITS = Limits(
    organizations_max=3, page_size_max=10, question_bytes_max=100, part_bytes_max=50, parts_bytes_max=200,
    deadline_ms_min=100, deadline_ms_max=1_000,
)  # fmt: skip


def _parts(count: int, size: int = 1) -> dict[OrgId, bytes]:
    return {OrgId.parse(f"org-{n}"): b"x" * size for n in range(count)}


def test_at_every_limit_a_question_passes() -> None:
    check_texts(b"x" * 100, b"x" * 200, LIMITS)
    check_cost(make_question(page_size=10), _parts(3, 50), 3, LIMITS)
    check_deadline(100, LIMITS)
    check_deadline(1_000, LIMITS)


@pytest.mark.parametrize(
    ("page_size", "parts", "audience", "what"),
    [
        (11, _parts(3), 3, "page_size"),
        (10, _parts(4), 3, "parts"),
        (10, _parts(3), 4, "audience"),
        (10, _parts(3, 51), 3, "part"),
    ],
)
def test_one_past_a_limit_is_too_large(page_size: int, parts: dict[OrgId, bytes], audience: int, what: str) -> None:
    with pytest.raises(AskTooLarge) as caught:
        check_cost(make_question(page_size=page_size), parts, audience, LIMITS)
    assert caught.value.fields["what"] == what


@pytest.mark.parametrize(("question", "parts"), [(101, 0), (0, 201)])
def test_a_text_past_its_limit_is_never_parsed(question: int, parts: int) -> None:
    with pytest.raises(AskTooLarge):
        check_texts(b"x" * question, b"x" * parts, LIMITS)


@pytest.mark.parametrize("deadline_ms", [99, 1_001, 0, -1])
def test_a_deadline_outside_the_range_is_refused(deadline_ms: int) -> None:
    with pytest.raises(DeadlineOutOfRange):
        check_deadline(deadline_ms, LIMITS)


def test_the_answers_of_a_whole_network_fit_into_a_bounded_memory() -> None:
    limits = Limits()
    assert limits.nodes_parallel_max * limits.answer_bytes_max(make_question()) <= 64 * 2**20
