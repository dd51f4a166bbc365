"""The part of an answer that no relay may read: everything in it that follows from the requester's visible records.

Rules of this file:

* Pure. An answer is in the open, or sealed as a whole: records, candidates with their keys, total, facets, agreements,
  `valid_until` and cursor. What stays outside (status, revisions, times) follows from requester, purpose and policy.
  Sealing some records and counting all of them in the open would tell a relay what it may not read.
* The attestation outside names the SHA-256 of this text, which begins with fresh bytes: nobody can try out what it may
  be, not even that it is empty. Home puts both together (`completed`) and checks the whole as one in the open.
* The text is canonical JSON, so that a saved answer keeps exactly what was attested.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from concordat_trust.answer_errors import SealedPartMalformed
from concordat_trust.attestation_form import (
    CANDIDATES_MAX,
    Attestation,
    Candidate,
    CitedAgreement,
    agreements_of,
    candidates_of,
    facets_of,
)
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.encoding import sha256_b64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.patterns import FRESH_ID, matching
from concordat_trust.result_checks import OpenResult
from concordat_trust.sealing import TEXT_BYTES_MAX
from concordat_trust.shape import Shape

CURSOR_SEPARATOR = "."
"""Between the cursors of a sealed part, one for each candidate, all of one length: a next page shows no number."""
CURSORS_LENGTH_MAX = 131_072


@dataclass(frozen=True, slots=True)
class SealedPart:
    """What the requester is told and a relay is not; `fresh` is at least 16 random bytes as base64url."""

    fresh: str
    total: int | None
    facets: Mapping[str, Mapping[str, int]]
    candidates: tuple[Candidate, ...]
    agreements: tuple[CitedAgreement, ...]
    valid_until: int | None
    cursor: str | None
    results: tuple[OpenResult, ...]

    def to_json(self) -> JsonObject:
        results: list[Json] = [{"record": result.record, "salt": result.salt} for result in self.results]
        return {
            "agreements": [{"digest": a.digest, "id": a.id} for a in self.agreements],
            "candidates": [[c.commitment, c.sort_key, c.tie] for c in self.candidates],
            "cursor": self.cursor,
            "facets": {name: dict(cells) for name, cells in self.facets.items()},
            "fresh": self.fresh,
            "results": results,
            "total": self.total,
            "valid_until": self.valid_until,
        }

    def to_text(self) -> bytes:
        """Return the text that is hashed and sealed."""
        return canonical_bytes(self.to_json())

    def completed(self, outside: Attestation) -> Attestation:
        """Return what the organization states in all: the attestation outside with what this part says."""
        return replace(
            outside,
            total=self.total,
            facets=self.facets,
            candidates=self.candidates,
            agreements=self.agreements,
            valid_until=self.valid_until,
            cursor=None if self.cursor is None else sha256_b64u(self.cursor.encode()),
        )


def parse_sealed_part(text: bytes) -> SealedPart:
    """Return the part that is written so. Raises: SealedPartMalformed."""
    try:
        part = _read(Shape(parse_object(text, bytes_max=TEXT_BYTES_MAX), "sealed"))
        is_canonical = part.to_text() == text
    except RefusedDocument as error:
        raise SealedPartMalformed(problem=error.message) from error
    if not is_canonical:
        raise SealedPartMalformed(problem="it is not in canonical form")
    return part


def _read(shape: Shape) -> SealedPart:
    part = SealedPart(
        fresh=matching(shape, "fresh", FRESH_ID),
        total=shape.optional_integer("total", minimum=0),
        facets=facets_of(shape),
        candidates=candidates_of(shape),
        agreements=agreements_of(shape),
        valid_until=shape.optional_integer("valid_until", minimum=0),
        cursor=shape.optional_text("cursor", length_max=CURSORS_LENGTH_MAX),
        results=tuple(map(open_result, shape.objects("results", count_max=CANDIDATES_MAX))),
    )
    shape.finish()
    return part


def open_result(shape: Shape) -> OpenResult:
    """Return a result as saved answers and sealed parts hold it. Raises: DocumentMalformed."""
    result = OpenResult(salt=shape.text("salt", length_max=100), record=shape.raw_object("record"))
    shape.finish()
    return result
