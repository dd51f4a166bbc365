"""The results of one answer against what its organization signed: steps 7 to 12 of `verify_node_answer`.

Rules of this file:

* Results come in the clear: a sealed part was opened before (`sealed_part`), or there is nothing to check here.
* First identity (is it exactly what was attested?), then content (may this organization say it?), then what follows
  from content: keys, match, order, counts. Nothing that was attested is shown without being computed again.
* Positions count from 0, in the order of the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from concordat_trust.answer_errors import (
    FacetsInconsistent,
    OrderMismatch,
    RecordDuplicate,
    RecordForeign,
    RecordMissing,
    RecordNotAsked,
    RecordNotAttested,
    RecordNotMatching,
    SortKeyMismatch,
    TieKeyMismatch,
)
from concordat_trust.attestation import Attestation, record_commitment
from concordat_trust.canonical import JsonObject
from concordat_trust.card_reader import CardReader
from concordat_trust.errors import RefusedDocument
from concordat_trust.filters import evaluate
from concordat_trust.ids import AssetId, OrgId, tie_key
from concordat_trust.lineage import read_edges
from concordat_trust.question import Part, Question
from concordat_trust.ranking import impacts_of_card, matches_text, named_key, order_key, query_terms, sort_key
from concordat_trust.records import RecordMalformed, validate_record
from concordat_trust.text import TermStatistics


@dataclass(frozen=True, slots=True)
class OpenResult:
    """A result in the clear: the salt of its commitment and the card or asset."""

    salt: str
    record: JsonObject


Opened = Sequence[OpenResult]


class VerifiedRecord(NamedTuple):
    """A record with its recomputed sort key and its tie key."""

    record: JsonObject
    sort_key: int | None
    tie: str


def check_commitments(opened: Opened, attestation: Attestation) -> None:
    """Refuse a result that was not attested, one that is missing, and one in another place.

    Raises: RecordNotAttested, RecordDuplicate, RecordMissing, OrderMismatch, RecordMalformed.
    """
    attested = [candidate.commitment for candidate in attestation.candidates]
    found = [_commitment(item, position) for position, item in enumerate(opened)]
    seen = set[str]()
    for position, commitment in enumerate(found):
        if commitment not in attested:
            raise RecordNotAttested(position=position)
        if commitment in seen:
            raise RecordDuplicate(position=position)
        seen.add(commitment)
    if len(found) > len(attested):
        raise RecordNotAttested(position=len(attested))
    if len(found) < len(attested):
        raise RecordMissing(attested=len(attested), found=len(found))
    for position, commitment in enumerate(found):
        if commitment != attested[position]:
            raise OrderMismatch(position=position)


def _commitment(item: OpenResult, position: int) -> str:
    try:
        return record_commitment(item.record, item.salt)
    except RefusedDocument as error:
        # A float (NaN among them), a wrong salt, a lone surrogate: nothing that could have been hashed.
        raise RecordMalformed(field="record", position=position) from error


def check_records(opened: Opened, org: OrgId, question: Question, part: Part) -> None:
    """Refuse a record that breaks its form, belongs to another organization, was not asked for, or comes twice.

    Raises: RecordMalformed, RecordForeign, RecordNotAsked, RecordDuplicate.
    """
    seen = set[AssetId]()
    for position, item in enumerate(opened):
        asset_id = _id_of(item.record, question, position)
        if asset_id.org != org:
            raise RecordForeign(position=position)
        if not _is_asked(item.record, asset_id, question, part):
            raise RecordNotAsked(position=position)
        if asset_id in seen:
            raise RecordDuplicate(position=position)
        seen.add(asset_id)


def _is_asked(record: JsonObject, asset_id: AssetId, question: Question, part: Part) -> bool:
    if question.operation == "search" or str(asset_id) in part.ids:
        return True
    # Down, an organization also shows which of its assets came from what was asked for, of whomever that is.
    edges = read_edges(record["edges"], asset_id) if question.direction == "down" else ()
    return any(item.edge.source == asset_id and str(item.edge.target) in part.ids for item in edges)


def _id_of(record: JsonObject, question: Question, position: int) -> AssetId:
    try:
        validate_record(record, question.projection)
        return AssetId.parse(str(record["id"]))
    except RefusedDocument as error:
        raise RecordMalformed(field=error.fields.get("field", "id"), position=position) from error


def recomputed_records(
    opened: Opened, attestation: Attestation, question: Question, part: Part, statistics: TermStatistics
) -> tuple[VerifiedRecord, ...]:
    """Return the records with the keys that they really have.

    Raises: SortKeyMismatch, TieKeyMismatch, RecordNotMatching.
    """
    terms = query_terms(question.text, statistics)
    records = []
    for position, (item, candidate) in enumerate(zip(opened, attestation.candidates, strict=True)):
        asset_id = str(item.record["id"])
        key, tie = sort_key(question, item.record, terms, statistics), tie_key(asset_id)
        if question.operation != "search":
            key = named_key(question, is_named=asset_id in part.ids)
        if candidate.sort_key != key:
            raise SortKeyMismatch(position=position)
        if candidate.tie != tie:
            raise TieKeyMismatch(position=position)
        if not _is_match(item.record, question, terms, key, statistics):
            raise RecordNotMatching(position=position)
        records.append(VerifiedRecord(item.record, key, tie))
    return tuple(records)


def _is_match(
    record: JsonObject, question: Question, terms: Sequence[str], key: int | None, statistics: TermStatistics
) -> bool:
    # Weights and impacts are at least 1, so a score says whether there was a match without analysing the texts again.
    is_scored = question.sort.by == "relevance"
    if terms and not (key if is_scored else matches_text(terms, impacts_of_card(record, statistics, only=terms))):
        return False
    # Only a certain *no* counts: what the card does not carry is unknown here and was decided by its owner.
    return question.filter is None or evaluate(question.filter, CardReader(record)) is not False


def check_order(opened: Opened, attestation: Attestation, question: Question) -> None:
    """Refuse candidates that are not in the order of their keys. Raises: OrderMismatch."""
    keys = [
        order_key(question.sort, candidate.sort_key, candidate.tie, str(item.record["id"]))
        for item, candidate in zip(opened, attestation.candidates, strict=True)
    ]
    for position in range(1, len(keys)):
        if keys[position - 1] > keys[position]:
            raise OrderMismatch(position=position)


def check_facets(attestation: Attestation, question: Question, records: Sequence[VerifiedRecord]) -> None:
    """Refuse counts below what the records show, above the total, or other than the records when these are all.

    An empty text is no value and is not counted. Raises: FacetsInconsistent.
    """
    if attestation.status != "OK" or attestation.total is None:
        return
    for field in question.facets:
        cells = {value: count for value, count in attestation.facets.get(field, {}).items() if value and count}
        seen = Counter(str(item.record[field]) for item in records if item.record[field])
        is_below = any(count > cells.get(value, 0) for value, count in seen.items())
        is_all = len(records) == attestation.total
        if is_below or sum(cells.values()) > attestation.total or (is_all and cells != seen):
            raise FacetsInconsistent(field=field)
