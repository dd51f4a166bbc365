"""Lineage edges: one organization's word that one asset came from another, the same triple for everybody.

Rules of this file:

* An edge is (source, relation, target) and points from what was made to what it was made from; its id is the hash of
  exactly that, so that two organizations which say the same thing say it under one id. Who says it, and since when,
  stands beside it and is not hashed.
* An edge is asserted by the organization of its source or of its target, in the vertex of an asset of its own.
* Closed vocabulary. Relations are PROV-O's: `wasDerivedFrom` between two things of one kind, `used` (by the training or
  evaluation that made the figures) from a model to a data set. Each has an inverse word for the owner of its target.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.encoding import sha256_hex
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import AssetId, AssetKind

LineageRelation = Literal["fine_tuned_from", "derived_from", "trained_on", "evaluated_on"]
LINEAGE_RELATIONS: tuple[LineageRelation, ...] = get_args(LineageRelation)
EDGE_VERSION = 1
EDGES_MAX = 200
"""Edges that one asset asserts, every relation together."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class RelationTerms:
    """What a relation joins, its PROV-O term, and the word with which the owner of the target says the same."""

    source: AssetKind
    target: AssetKind
    prov: str
    inverse: str


RELATIONS: Final[Mapping[LineageRelation, RelationTerms]] = MappingProxyType(
    {
        "fine_tuned_from": RelationTerms("model", "model", "prov:wasDerivedFrom", "base_model_of"),
        "derived_from": RelationTerms("dataset", "dataset", "prov:wasDerivedFrom", "source_of"),
        "trained_on": RelationTerms("model", "dataset", "prov:used", "training_data_of"),
        "evaluated_on": RelationTerms("model", "dataset", "prov:used", "evaluation_data_of"),
    }
)


_FIELD_OF: Final[Mapping[LineageRelation, str]] = MappingProxyType(
    {"trained_on": "trained_on", "evaluated_on": "evaluations"}
)
EDGE_MASKS: Final = frozenset({"lineage", *_FIELD_OF.values()})
"""The maskable fields that edges go with."""


class EdgeMalformed(RefusedDocument):
    code = "lineage_edge_malformed"
    sentence = "A lineage edge is not valid: {problem}."
    hint = (
        "An edge joins two different assets, of the kinds that its relation joins, and one of them is its asserter's."
    )


@dataclass(frozen=True, slots=True, order=True)
class LineageEdge:
    """`source` came from `target` in this way."""

    relation: LineageRelation
    source: AssetId
    target: AssetId

    def __post_init__(self) -> None:
        terms = RELATIONS[self.relation]
        if self.source == self.target:
            raise EdgeMalformed(problem="an asset does not come from itself")
        if (self.source.kind, self.target.kind) != (terms.source, terms.target):
            raise EdgeMalformed(problem=f"{self.relation} goes from a {terms.source} to a {terms.target}")

    @property
    def id(self) -> str:
        """SHA-256 of the canonical triple, hex."""
        triple = {"relation": self.relation, "source": str(self.source), "target": str(self.target)}
        return sha256_hex(canonical_bytes({"edge_version": EDGE_VERSION, **triple}))

    @property
    def is_foreign(self) -> bool:
        """Whether the two ends belong to different organizations."""
        return self.source.org != self.target.org

    def is_hidden(self, hidden: Set[str]) -> bool:
        """Whether it is hidden where these fields are."""
        return bool(hiding_fields(self.relation, is_foreign=self.is_foreign) & hidden)

    def other_end(self, asset_id: AssetId) -> AssetId:
        """Return the end that is not `asset_id`."""
        return self.target if self.source == asset_id else self.source


@dataclass(frozen=True, slots=True, order=True)
class AssertedEdge:
    """An edge as an asset's vertex carries it; `asserted_on` is a day, as its owner states it."""

    edge: LineageEdge
    asserted_on: str

    def to_json(self) -> JsonObject:
        edge = self.edge
        return {
            "asserted_on": self.asserted_on,
            "relation": edge.relation,
            "source": str(edge.source),
            "target": str(edge.target),
        }


def hiding_fields(relation: LineageRelation, *, is_foreign: bool) -> frozenset[str]:
    """Return the maskable fields of which each, when it is hidden, hides such an edge.

    What a record says in a field of its own goes with that field; everything else, and every id of somebody else, goes
    with `lineage`.
    """
    field = _FIELD_OF.get(relation)
    if field is None:
        return frozenset({"lineage"})
    return frozenset({field, "lineage"}) if is_foreign else frozenset({field})


def relation_of(word: str) -> tuple[LineageRelation, bool] | None:
    """Return (relation, whether the word is its inverse), None for a word that is not known."""
    for relation, terms in RELATIONS.items():
        if word in (relation, terms.inverse):
            return relation, word != relation
    return None


def read_edges(value: Json, asset_id: AssetId) -> tuple[AssertedEdge, ...]:
    """Return the edges of the vertex `asset_id`. Raises: EdgeMalformed, AssetIdInvalid."""
    if not isinstance(value, list) or len(value) > EDGES_MAX:
        raise EdgeMalformed(problem=f"a vertex has a list of at most {EDGES_MAX} edges")
    edges = tuple(_read(item, asset_id) for item in value)
    if len({item.edge for item in edges}) != len(edges):
        raise EdgeMalformed(problem="a vertex has the same edge twice")
    return edges


def _read(value: Json, asset_id: AssetId) -> AssertedEdge:
    if not isinstance(value, dict):
        raise EdgeMalformed(problem="it is not an object")
    relation, asserted_on = value.get("relation"), value.get("asserted_on")
    if not isinstance(asserted_on, str) or not _DAY.fullmatch(asserted_on):
        raise EdgeMalformed(problem="it has no day on which it was asserted")
    source, target = AssetId.parse(str(value.get("source"))), AssetId.parse(str(value.get("target")))
    if asset_id not in (source, target):
        raise EdgeMalformed(problem="neither end is the asset whose vertex it stands in")
    if target == asset_id and source.org == asset_id.org:
        raise EdgeMalformed(problem="inside one organization an edge stands in the vertex of its source")
    for known in LINEAGE_RELATIONS:
        if relation == known:
            return AssertedEdge(LineageEdge(known, source, target), asserted_on)
    raise EdgeMalformed(problem="its relation is not known")
