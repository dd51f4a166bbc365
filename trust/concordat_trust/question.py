"""The question: what is asked, for which purpose, in the one form that every party hashes.

Rules of this file:

* A question is schema-independent canonical JSON. The home node signs its hash into a query token; nobody after that
  may rewrite it, so a node accepts only bytes that are already canonical.
* What differs from node to node (a cursor, ids) stands in that node's *part*, hashed separately into the same token.
  The next page is the same question with other parts, and a new token.
* Unknown fields are refused. An unknown filter, sort or facet field is `field_unsupported`; a predicate is never
  dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.encoding import sha256_b64u
from concordat_trust.errors import RequesterError
from concordat_trust.filters import FieldUnsupported, Filter, parse_filter
from concordat_trust.filters import to_json as filter_to_json
from concordat_trust.ids import AssetId
from concordat_trust.shape import Shape
from concordat_trust.vocabulary import FACET_FIELDS, PURPOSES

QUESTION_VERSION = 1
PART_VERSION = 1
QUESTION_BYTES_MAX = 16_384
PART_BYTES_MAX = 49_152
VISAS_CHARS_MAX = 32_768
_VISAS = re.compile(rf"[A-Za-z0-9_-]{{1,{VISAS_CHARS_MAX}}}")
CURSOR_LENGTH_MAX = 8_192
PAGE_SIZE_MAX = 50
CANDIDATES_MIN = 20
IDS_MAX = 50
TEXT_MAX = 500

Operation = Literal["search", "assets", "lineage"]
Projection = Literal["card", "asset", "lineageVertex"]
Direction = Literal["up", "down"]
SortBy = Literal["relevance", "metric", "created"]
SortOrder = Literal["asc", "desc"]

PROJECTION_OF: Final[Mapping[Operation, Projection]] = MappingProxyType(
    {"search": "card", "assets": "asset", "lineage": "lineageVertex"}
)
"""What each operation is answered with."""

CURSOR = re.compile(rf"[A-Za-z0-9_-]{{16,{CURSOR_LENGTH_MAX}}}")
"""A cursor as its node sealed it; nobody else reads it."""
_NETWORK = re.compile(r"[a-z][a-z0-9-]{2,63}")
_METRIC = re.compile(r"[a-z][a-z0-9_]{0,39}")
_REVISION = re.compile(r"[0-9a-f]{64}")


class QuestionNotCanonical(RequesterError):
    code = "question_not_canonical"
    sentence = "The bytes of the question or part are not its canonical form."
    hint = "Send the canonical JSON (RFC 8785) exactly as it was signed."


class QuestionMalformed(RequesterError):
    code = "question_malformed"
    sentence = "The question is not valid: {field} {problem}."
    hint = "Correct the question; the documentation lists its fields."


@dataclass(frozen=True, slots=True)
class Purpose:
    """What the answer is for. `code` is closed; `disease` is a term id such as MONDO:0007254."""

    code: str
    disease: str | None = None
    commercial: bool = False
    method: str | None = None
    project: str | None = None

    def to_json(self) -> JsonObject:
        return {
            "code": self.code,
            "commercial": self.commercial,
            "disease": self.disease,
            "method": self.method,
            "project": self.project,
        }


@dataclass(frozen=True, slots=True)
class Sort:
    """`relevance` has neither metric nor order; `metric` names one; None keys come last either way."""

    by: SortBy = "relevance"
    metric: str | None = None
    order: SortOrder = "desc"

    def to_json(self) -> JsonObject:
        if self.by == "relevance":
            return {"by": "relevance"}
        named: JsonObject = {"metric": self.metric} if self.by == "metric" else {}
        return {"by": self.by, **named, "order": self.order}


@dataclass(frozen=True, slots=True)
class Question:
    """One question to a network. Made by the home node, parsed again by everybody else."""

    network: str
    operation: Operation
    purpose: Purpose
    stats_revision: str
    text: str = ""
    filter: Filter | None = None
    sort: Sort = Sort()
    facets: tuple[str, ...] = ()
    projection: Projection = "card"
    page_size: int = 20
    direction: Direction | None = None
    """Of `lineage` alone: up to what the ids of the part came from, or down to what came from them."""

    def to_json(self) -> JsonObject:
        walked: JsonObject = {} if self.direction is None else {"direction": self.direction}
        return {
            **walked,
            "facets": list(self.facets),
            "filter": None if self.filter is None else filter_to_json(self.filter),
            "network": self.network,
            "operation": self.operation,
            "page_size": self.page_size,
            "projection": self.projection,
            "purpose": self.purpose.to_json(),
            "question_version": QUESTION_VERSION,
            "sort": self.sort.to_json(),
            "stats_revision": self.stats_revision,
            "text": self.text,
        }

    def canonical(self) -> bytes:
        return canonical_bytes(self.to_json())

    def hash(self) -> str:
        """Return base64url(SHA-256(canonical form)), the `qh` of tokens and attestations."""
        return sha256_b64u(self.canonical())


def candidate_count(question: Question) -> int:
    """Return how many records one node discloses at most: its first visible matches (DESIGN section 1), or of ids."""
    if question.operation != "search":
        return IDS_MAX
    return max(CANDIDATES_MIN, question.page_size)


@dataclass(frozen=True, slots=True)
class PartCursor:
    """Where one node's next page begins: after the first `after` candidates of the answer whose cursor `sealed` is."""

    sealed: str
    after: int

    def to_json(self) -> JsonObject:
        return {"after": self.after, "sealed": self.sealed}


@dataclass(frozen=True, slots=True)
class Part:
    """What one node gets beside the question: the ids asked for, or the cursor of a next page.

    `visas` are the person's visas for this node, sealed to it (`sealed_visas`); a part without any does not name them.
    """

    ids: tuple[str, ...] = ()
    cursor: PartCursor | None = None
    visas: str | None = None

    def to_json(self) -> JsonObject:
        cursor = None if self.cursor is None else self.cursor.to_json()
        part: JsonObject = {"cursor": cursor, "ids": list(self.ids), "part_version": PART_VERSION}
        return part if self.visas is None else {**part, "visas": self.visas}

    def canonical(self) -> bytes:
        return canonical_bytes(self.to_json())

    def hash(self) -> str:
        return sha256_b64u(self.canonical())


def parse_question(data: bytes) -> Question:
    """Return the question that these bytes are the canonical form of.

    Raises: QuestionNotCanonical, QuestionMalformed, FieldUnsupported, FilterTooLarge, and the JSON refusals.
    """
    question = question_from_json(parse_object(data, bytes_max=QUESTION_BYTES_MAX))
    if question.canonical() != data:
        raise QuestionNotCanonical
    return question


def question_from_json(obj: JsonObject) -> Question:
    """Return the question of a parsed object, canonical or not. Raises: as `parse_question` without the byte check."""
    shape = Shape(obj, "question")
    if shape.integer("question_version") != QUESTION_VERSION:
        raise FieldUnsupported(field="question_version")
    operation = _operation(shape)
    question = Question(
        network=_matching(shape, "network", _NETWORK),
        operation=operation,
        purpose=parse_purpose(shape.value("purpose")),
        stats_revision=_matching(shape, "stats_revision", _REVISION),
        text=shape.text("text", length_max=TEXT_MAX),
        filter=_filter(shape.value("filter")),
        sort=parse_sort(shape.value("sort")),
        facets=_facets(shape),
        projection=_projection(shape),
        page_size=shape.integer("page_size", minimum=1, maximum=PAGE_SIZE_MAX),
        direction=_direction(shape) if operation == "lineage" else None,
    )
    shape.finish()
    _refuse_contradictions(question)
    return question


def parse_part(data: bytes) -> Part:
    """Return the part of these canonical bytes. Raises: QuestionNotCanonical, AssetIdInvalid, DocumentMalformed."""
    shape = Shape(parse_object(data, bytes_max=PART_BYTES_MAX), "part")
    if shape.integer("part_version") != PART_VERSION:
        raise FieldUnsupported(field="part_version")
    ids = shape.texts("ids", count_max=IDS_MAX, length_max=120)
    visas = _matching(shape, "visas", _VISAS) if shape.has("visas") else None
    part = Part(tuple(str(AssetId.parse(item)) for item in ids), _part_cursor(shape), visas)
    shape.finish()
    if part.cursor is not None and part.ids:
        raise QuestionMalformed(field="cursor", problem="goes with a search, not with ids")
    if len(set(part.ids)) != len(part.ids):
        raise QuestionMalformed(field="ids", problem="names an asset twice")
    if part.canonical() != data:
        raise QuestionNotCanonical
    return part


def _part_cursor(shape: Shape) -> PartCursor | None:
    if shape.value("cursor") is None:
        return None
    cursor = shape.object("cursor")
    found = PartCursor(
        sealed=_matching(cursor, "sealed", CURSOR),
        after=cursor.integer("after", minimum=1, maximum=PAGE_SIZE_MAX),
    )
    cursor.finish()
    return found


def parse_purpose(value: Json) -> Purpose:
    """Return a purpose. Raises: DocumentMalformed; QuestionMalformed for DS without its disease."""
    shape = Shape(value, "purpose")
    purpose = Purpose(
        code=shape.one_of("code", PURPOSES),
        disease=shape.optional_text("disease", length_max=60),
        commercial=shape.boolean("commercial"),
        method=shape.optional_text("method", length_max=60),
        project=shape.optional_text("project", length_max=120),
    )
    shape.finish()
    if purpose.code == "DS" and not purpose.disease:
        raise QuestionMalformed(field="purpose.disease", problem="is missing: disease research names its disease")
    return purpose


def _operation(shape: Shape) -> Operation:
    value = shape.text("operation", length_max=40)
    for operation in PROJECTION_OF:
        if value == operation:
            return operation
    raise FieldUnsupported(field=value)


def _projection(shape: Shape) -> Projection:
    value = shape.text("projection", length_max=40)
    for projection in PROJECTION_OF.values():
        if value == projection:
            return projection
    raise FieldUnsupported(field=value)


def _direction(shape: Shape) -> Direction:
    return "up" if shape.one_of("direction", ("up", "down")) == "up" else "down"


def _filter(value: Json) -> Filter | None:
    return None if value is None else parse_filter(value)


def parse_sort(value: Json) -> Sort:
    """Return the order asked for. Raises: FieldUnsupported, DocumentMalformed."""
    shape = Shape(value, "sort")
    by = shape.text("by", length_max=40)
    if by == "relevance":
        shape.finish()
        return Sort()
    if by not in ("metric", "created"):
        raise FieldUnsupported(field=by)
    metric = _matching(shape, "metric", _METRIC) if by == "metric" else None
    order: SortOrder = "asc" if shape.one_of("order", ("asc", "desc")) == "asc" else "desc"
    shape.finish()
    return Sort("metric" if by == "metric" else "created", metric, order)


def _facets(shape: Shape) -> tuple[str, ...]:
    facets = shape.texts("facets", count_max=len(FACET_FIELDS), length_max=40)
    for facet in facets:
        if facet not in FACET_FIELDS:
            raise FieldUnsupported(field=facet)
    if len(set(facets)) != len(facets):
        raise QuestionMalformed(field="facets", problem="names a facet twice")
    return facets


_LENGTHS = {CURSOR: CURSOR_LENGTH_MAX, _VISAS: VISAS_CHARS_MAX}


def _matching(shape: Shape, name: str, pattern: re.Pattern[str]) -> str:
    value = shape.text(name, length_max=_LENGTHS.get(pattern, 120))
    if not pattern.fullmatch(value):
        raise shape.refuse(name, "does not have the required form")
    return value


def _refuse_contradictions(question: Question) -> None:
    wanted = PROJECTION_OF[question.operation]
    if question.projection != wanted:
        raise QuestionMalformed(field="projection", problem=f"of {question.operation} must be {wanted}")
    searching = question.text or question.filter is not None or question.facets or question.sort != Sort()
    if question.operation != "search" and searching:
        raise QuestionMalformed(field="operation", problem=f"{question.operation} takes ids and nothing to search for")
