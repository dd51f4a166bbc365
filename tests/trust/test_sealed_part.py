"""The part that no relay may read: one spelling, every limit, and what it says in place of what stands outside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from concordat_trust.attestation_form import CANDIDATES_MAX
from concordat_trust.canonical import Json, canonical_bytes, parse_object
from concordat_trust.encoding import sha256_b64u
from concordat_trust.errors import ConcordatError
from concordat_trust.sealed_part import CURSORS_LENGTH_MAX, parse_sealed_part
from concordat_trust.sealing import TEXT_BYTES_MAX
from tests.factories.answers import sealed_part_of
from tests.factories.tokens import make_attestation
from tests.trust.answer_cases import GOOD

STATED = replace(make_attestation(), total=4)
OUTSIDE = replace(STATED, total=None, facets={}, candidates=(), agreements=(), valid_until=None)
PART_TEXT = sealed_part_of(STATED, GOOD.results).to_text()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"not json",
        PART_TEXT + b" ",
        PART_TEXT.replace(b'"total":4', b'"total": 4'),
        PART_TEXT.replace(b'"total":4', b'"total":"4"'),
        PART_TEXT.replace(b'"total":4', b'"more":1,"total":4'),
        PART_TEXT.replace(b'"cursor":null,', b""),
        PART_TEXT.replace(b'"fresh":"', b'"fresh":"="'),
    ],
)
def test_a_part_of_another_form_is_refused(text: bytes) -> None:
    with pytest.raises(ConcordatError) as caught:
        parse_sealed_part(text)
    assert caught.value.code == "sealed_part_malformed"


def malformed(text: bytes) -> None:
    with pytest.raises(ConcordatError) as caught:
        parse_sealed_part(text)
    assert caught.value.code == "sealed_part_malformed"


def test_a_part_is_read_back_as_it_was_written() -> None:
    for part in (sealed_part_of(STATED, GOOD.results, "cursor"), sealed_part_of(OUTSIDE, ())):
        assert parse_sealed_part(part.to_text()) == part


def test_what_is_written_has_these_members() -> None:
    part = sealed_part_of(STATED, GOOD.results[:1], "cursor")
    (agreement,), (candidate,), (result,) = part.agreements, part.candidates, part.results
    assert parse_object(part.to_text(), bytes_max=TEXT_BYTES_MAX) == {
        "agreements": [{"digest": agreement.digest, "id": agreement.id}],
        "candidates": [[candidate.commitment, candidate.sort_key, candidate.tie]],
        "cursor": "cursor",
        "facets": {"task": {"classification": 1}},
        "fresh": part.fresh,
        "results": [{"record": result.record, "salt": result.salt}],
        "total": 4,
        "valid_until": STATED.valid_until,
    }


def test_with_what_it_says_the_attestation_outside_is_whole() -> None:
    part = sealed_part_of(STATED, ())
    assert part.completed(OUTSIDE) == STATED
    assert replace(part, cursor="cursor").completed(OUTSIDE).cursor == sha256_b64u(b"cursor")


def changed(**members: Json) -> bytes:
    return canonical_bytes({**parse_object(PART_TEXT, bytes_max=TEXT_BYTES_MAX), **members})


RESULT: dict[str, Json] = {"record": {}, "salt": "s"}


@pytest.mark.parametrize(
    "members",
    [
        {"total": -1},
        {"valid_until": -1},
        {"cursor": 1},
        {"fresh": "short"},
        {"results": [{**RESULT, "more": 1}]},
        {"results": [{"record": {}}]},
        {"results": [{"salt": "s"}]},
        {"results": [{**RESULT, "record": "text"}]},
        {"results": {}},
    ],
)
def test_a_member_of_another_form_is_refused(members: dict[str, Any]) -> None:
    malformed(changed(**members))


@pytest.mark.parametrize(
    ("largest", "larger"),
    [
        ({"cursor": "c" * CURSORS_LENGTH_MAX}, {"cursor": "c" * (CURSORS_LENGTH_MAX + 1)}),
        ({"results": [{**RESULT, "salt": "s" * 100}]}, {"results": [{**RESULT, "salt": "s" * 101}]}),
        ({"results": [RESULT] * CANDIDATES_MAX}, {"results": [RESULT] * (CANDIDATES_MAX + 1)}),
        ({"total": 0}, {"total": -1}),
        ({"valid_until": 0}, {"valid_until": -1}),
    ],
)
def test_a_member_at_its_limit_is_read_and_one_past_it_is_not(largest: dict[str, Any], larger: dict[str, Any]) -> None:
    assert parse_sealed_part(changed(**largest)).to_text() == changed(**largest)
    malformed(changed(**larger))


def test_a_text_is_read_up_to_its_limit_only() -> None:
    room = TEXT_BYTES_MAX - len(changed(results=[{**RESULT, "record": {"text": ""}}]))
    largest = changed(results=[{**RESULT, "record": {"text": "x" * room}}])
    assert len(largest) == TEXT_BYTES_MAX
    assert parse_sealed_part(largest).to_text() == largest
    malformed(changed(results=[{**RESULT, "record": {"text": "x" * (room + 1)}}]))
