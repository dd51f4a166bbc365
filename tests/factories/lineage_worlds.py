"""Small networks of assertions for walks: who says what of whose asset, and what of it a requester may see.

`World.heard` answers a frontier as honest nodes do; `World.reachable` says by plain graph search what a walk must find.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from hypothesis import strategies as st

from concordat_trust.canonical import JsonObject
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.lineage import AssertedEdge, LineageEdge
from concordat_trust.lineage_walk import Frontier, Heard, Picture, Walk
from concordat_trust.question import IDS_MAX, Direction

ORGANIZATIONS = tuple(OrgId.parse(name) for name in ("alma-university", "north-hospital", "vitalis"))
DAY = "2026-05-01"


def a_model(number: int) -> AssetId:
    """Return the model of this number; the organizations own them in turn."""
    digest = hashlib.sha256(str(number).encode()).digest()[:16]
    return AssetId.new(ORGANIZATIONS[number % len(ORGANIZATIONS)], "model", digest)


def came_from(source: int, target: int) -> LineageEdge:
    return LineageEdge("fine_tuned_from", a_model(source), a_model(target))


def a_vertex(asset_id: AssetId, edges: Collection[LineageEdge], **changes: object) -> JsonObject:
    """Return a vertex as its owner shows it."""
    values: dict[str, object] = {
        "id": str(asset_id),
        "kind": asset_id.kind,
        "organization": str(asset_id.org),
        "level": "FULL",
        "title": f"Model {asset_id.local[:4]}",
        "edges": [AssertedEdge(edge, DAY).to_json() for edge in sorted(edges)],
        "complete": None,
        "masked_fields": ["complete"],
        "obligations": [],
        "agreement_ids": [],
        "valid_until": None,
    }
    return {**values, **changes}  # type: ignore[dict-item]  # a test changes what it means to


@dataclass(frozen=True)
class World:
    """`asserted` are (edge, who says so); `hidden` assets are not for this requester; `silent` nodes do not answer.

    Of `closed` assets the owners do not let the lineage be told.
    """

    size: int
    asserted: frozenset[tuple[LineageEdge, OrgId]]
    hidden: frozenset[AssetId]
    silent: frozenset[OrgId] = frozenset()
    closed: frozenset[AssetId] = frozenset()

    @property
    def visible(self) -> frozenset[AssetId]:
        return frozenset(a_model(number) for number in range(self.size)) - self.hidden

    def told(self, asset_id: AssetId) -> frozenset[LineageEdge]:
        """Return what this asset's vertex says: never an own asset that is hidden."""
        if asset_id in self.closed:
            return frozenset()
        own = (edge for edge, org in self.asserted if org == asset_id.org and asset_id in (edge.source, edge.target))
        placed = (edge for edge in own if edge.is_foreign or edge.source == asset_id)
        return frozenset(edge for edge in placed if edge.is_foreign or edge.target in self.visible)

    def heard(self, frontier: Frontier, answer_max: int = IDS_MAX) -> dict[OrgId, Heard]:
        return {org: self._heard(org, frontier, answer_max) for org in ORGANIZATIONS if org not in self.silent}

    def _heard(self, org: OrgId, frontier: Frontier, answer_max: int) -> Heard:
        asked = frontier.ids_for(org)
        own = sorted(item for item in self.visible if item.org == org)
        named = [item for item in own if str(item) in asked]
        came = [item for item in own if frontier.direction == "down" and self._came_from(item, asked)]
        found = list(dict.fromkeys([*named, *came]))
        return Heard({item: self._vertex(item) for item in found[:answer_max]}, len(found))

    def _vertex(self, asset_id: AssetId) -> JsonObject:
        masked = ["complete", *(["lineage"] if asset_id in self.closed else [])]
        return a_vertex(asset_id, self.told(asset_id), masked_fields=masked)

    def _came_from(self, asset_id: AssetId, asked: Collection[str]) -> bool:
        return any(edge.source == asset_id and str(edge.target) in asked for edge in self.told(asset_id))

    def steps(self, asset_id: AssetId, direction: Direction) -> Iterator[AssetId]:
        """Yield the visible neighbours over one edge that somebody visible asserts; of the closed, only its owner's."""
        for other in self.visible - {asset_id}:
            if direction == "down" and asset_id in self.closed and other.org != asset_id.org:
                continue
            up = {edge for edge in self.told(asset_id) if edge.source == asset_id and edge.target == other}
            down = {edge for edge in self.told(other) if edge.source == other and edge.target == asset_id}
            claimed = {edge for edge in self.told(asset_id) if edge.source == other and edge.target == asset_id}
            if up if direction == "up" else down | claimed:
                yield other

    def reachable(self, start: AssetId, direction: Direction) -> set[AssetId]:
        found, open_ = set[AssetId](), [start] if start in self.visible else []
        while open_:
            item = open_.pop()
            found.add(item)
            open_ += [other for other in self.steps(item, direction) if other not in found]
        return found


def walked(
    start: AssetId,
    direction: Direction,
    heard: Callable[[Frontier], Mapping[OrgId, Heard]],
    roster: Collection[OrgId] = ORGANIZATIONS,
    **limits: int,
) -> tuple[Picture, list[Frontier]]:
    """Return the picture of a walk and the questions it asked."""
    walk, asked = Walk(start, direction, **limits), list[Frontier]()
    while (frontier := walk.frontier()) is not None:
        asked.append(frontier)
        walk.take(heard(frontier), roster)
    return walk.picture(), asked


def shown(picture: Picture) -> set[AssetId]:
    return {vertex.id for vertex in picture.vertices if vertex.state == "shown"}


@st.composite
def worlds(draw: st.DrawFn, size_max: int = 9) -> World:
    """Draw a world: circles across organizations, claims by either side, hidden assets."""
    size = draw(st.integers(2, size_max))
    number = st.integers(0, size - 1)
    pairs = draw(st.lists(st.tuples(number, number, st.booleans()), max_size=3 * size))
    edges = [(came_from(one, other), by_source) for one, other, by_source in pairs if one != other]
    # Inside one organization an edge stands with its source.
    asserted = {(e, e.source.org if by_source or not e.is_foreign else e.target.org) for e, by_source in edges}
    hidden, closed = (frozenset(map(a_model, draw(st.sets(number, max_size=size // 2)))) for _ in range(2))
    return World(size, frozenset(asserted), hidden, closed=closed)
