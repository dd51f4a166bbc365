"""The `lineage` list of an import line: what an asset came from, or what others made of it. Pure.

Rules of this file:

* An entry is {"relation", "id" | "local_name", "asserted_on"?}; the day is the asset's `created` when it is left out.
* There is one place for each thing: what a model was trained on stands in `trained_on`, what it was measured on in its
  evaluations, and inside one organization an edge stands with the asset that came from the other. The inverse words
  (`base_model_of` …) are therefore only for assets of others: with them the owner of a base model confirms, or claims.
* The other end need not exist here or anywhere; it need only be an id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from concordat_node.registry.errors import LineageEdgesMax, LineageInverted, LineageSelf
from concordat_node.registry.policy_rules import read_day
from concordat_trust.ids import AssetId, AssetIdInvalid, AssetKind
from concordat_trust.lineage import EDGES_MAX, RELATIONS, AssertedEdge, LineageEdge, relation_of
from concordat_trust.shape import Shape

LINEAGE_WORDS = tuple(
    word
    for relation, terms in RELATIONS.items()
    for word in (relation, terms.inverse)
    if word not in ("trained_on", "evaluated_on")
)
"""The words of an entry."""
NameToId = Callable[[AssetKind, str, Shape], AssetId]
"""The id of a local name of this organization."""
_ELSEWHERE: Final = {"trained_on": "trained_on", "evaluated_on": "evaluations"}


def read_lineage(shape: Shape, asset_id: AssetId, created: str, named: NameToId) -> tuple[AssertedEdge, ...]:
    """Return the edges of an asset's `lineage` list. Raises: DocumentMalformed, AssetIdInvalid, leaves of lineage."""
    items = shape.objects("lineage", count_max=EDGES_MAX) if shape.has("lineage") else ()
    edges = tuple(_entry(item, asset_id, created, named) for item in items)
    if len({item.edge for item in edges}) != len(edges):
        raise shape.refuse("lineage", "says the same thing twice")
    return edges


def refuse_many(edges: tuple[AssertedEdge, ...]) -> None:
    """Refuse an asset that asserts more than it may, all fields together. Raises: LineageEdgesMax."""
    if len(edges) > EDGES_MAX:
        raise LineageEdgesMax(field="lineage", edges_max=EDGES_MAX)


def _entry(shape: Shape, asset_id: AssetId, created: str, named: NameToId) -> AssertedEdge:
    word = shape.text("relation", length_max=40)
    known = relation_of(word)
    if known is None:
        raise shape.refuse("relation", "is not a known relation")
    relation, is_inverse = known
    if word in _ELSEWHERE:
        raise shape.refuse("relation", f"stands in {_ELSEWHERE[word]}, not here")
    terms = RELATIONS[relation]
    own_kind, end_kind = (terms.target, terms.source) if is_inverse else (terms.source, terms.target)
    if asset_id.kind != own_kind:
        raise shape.refuse("relation", f"belongs to a {own_kind}")
    end = _end(shape, end_kind, named)
    if end == asset_id:
        raise LineageSelf(field="lineage")
    if is_inverse and end.org == asset_id.org:
        raise LineageInverted(field="lineage", relation=relation)
    day = read_day(shape, "asserted_on") if shape.has("asserted_on") else created
    shape.finish()
    source, target = (end, asset_id) if is_inverse else (asset_id, end)
    return AssertedEdge(LineageEdge(relation, source, target), day)


def _end(shape: Shape, kind: AssetKind, named: NameToId) -> AssetId:
    if shape.has("id") == shape.has("local_name"):
        raise shape.refuse("id", "or local_name must be there, and not both")
    if shape.has("local_name"):
        return named(kind, shape.text("local_name"), shape)
    try:
        end = AssetId.parse(shape.text("id", length_max=120))
    except AssetIdInvalid as error:
        raise AssetIdInvalid(field="lineage.id") from error
    if end.kind != kind:
        raise shape.refuse("id", f"is not the id of a {kind}")
    return end
