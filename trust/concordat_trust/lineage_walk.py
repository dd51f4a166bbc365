"""Walking a lineage across organizations: what to ask next, and what is known in the end. Pure.

Rules of this file:

* Frontier by frontier. Every question is made from what was verified before; nobody else chooses an id. Up, an id is
  asked at its own organization alone; down, at everybody, because anybody may have made something of it.
* A walk goes on only from a vertex that its own organization shows. What is behind one that is not shown is not reached
  over it, whoever speaks of it: hidden vertices are never bridged.
* An edge is the word of who asserts it. One that only one side asserts is in the picture, as that: nobody's silence and
  nobody's word about somebody else's asset is turned into a fact.
* It ends: every id is asked once, depth and number of vertices have limits, and where a limit, a missing answer or a
  cut list leaves something open the picture says so. The same rounds give the same picture, today and years later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from concordat_trust.canonical import Json, JsonObject
from concordat_trust.ids import AssetId, OrgId, tie_key
from concordat_trust.lineage import RELATIONS, AssertedEdge, LineageEdge, read_edges
from concordat_trust.merge import ANSWERED
from concordat_trust.node_answer import VerifiedAnswer
from concordat_trust.question import IDS_MAX, Direction

DEPTH_MAX = 16
DEPTH_DEFAULT = 8
VERTICES_MAX = 200

VertexState = Literal["shown", "not_shown", "no_answer", "not_a_member", "not_asked"]
StoppedBy = Literal["depth", "vertices", "time"]
_SHOWN_FIELDS = ("title", "level", "masked_fields", "obligations", "agreement_ids", "valid_until")


@dataclass(frozen=True, slots=True)
class Frontier:
    """One question of a walk: the ids that are asked about."""

    direction: Direction
    ids: tuple[AssetId, ...]

    def ids_for(self, organization: OrgId) -> tuple[str, ...]:
        """Return what this organization is asked about."""
        return tuple(str(item) for item in self.ids if self.direction == "down" or item.org == organization)


@dataclass(frozen=True, slots=True)
class Heard:
    """The verified answer of one organization: its vertices, and how many there are (more than came: a cut list)."""

    vertices: Mapping[AssetId, JsonObject]
    total: int

    @property
    def is_cut(self) -> bool:
        return self.total > len(self.vertices)


def heard_of(answers: Sequence[VerifiedAnswer]) -> dict[OrgId, Heard]:
    """Return what was heard in a round; a proved refusal is no answer to what was asked."""
    heard = {}
    for answer in answers:
        if answer.attestation.status in ANSWERED:
            vertices = {AssetId.parse(str(item.record["id"])): item.record for item in answer.records}
            total = answer.attestation.total
            heard[answer.org] = Heard(vertices, len(vertices) if total is None else total)
    return heard


@dataclass(frozen=True, slots=True)
class PictureVertex:
    """An asset that the walk met. `record` is its vertex as its owner shows it, None unless `state` is shown."""

    id: AssetId
    depth: int
    state: VertexState
    record: JsonObject | None

    def to_json(self) -> JsonObject:
        record = self.record or {}
        shown: JsonObject = {name: record.get(name) for name in _SHOWN_FIELDS}
        return {
            "depth": self.depth,
            "id": str(self.id),
            "kind": self.id.kind,
            "organization": self.id.org,
            "owner_says_complete": record.get("complete"),
            "state": self.state,
            **shown,
        }


@dataclass(frozen=True, slots=True)
class PictureEdge:
    """An edge that was walked, and whose word it is: organization → the day since when."""

    edge: LineageEdge
    asserted: Mapping[OrgId, str]

    @property
    def is_confirmed(self) -> bool:
        """Whether the owners of both ends assert it; inside one organization that is one and the same."""
        return {self.edge.source.org, self.edge.target.org} <= set(self.asserted)

    def to_json(self) -> JsonObject:
        edge = self.edge
        return {
            "asserted_by": [{"asserted_on": day, "organization": org} for org, day in sorted(self.asserted.items())],
            "confirmed": self.is_confirmed,
            "id": edge.id,
            "prov": RELATIONS[edge.relation].prov,
            "relation": edge.relation,
            "source": str(edge.source),
            "target": str(edge.target),
        }


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known. `missing` did not answer, `cut` answered with more than one answer carries."""

    start: AssetId
    direction: Direction
    depth_max: int
    vertices: tuple[PictureVertex, ...]
    edges: tuple[PictureEdge, ...]
    missing: tuple[OrgId, ...]
    cut: tuple[OrgId, ...]
    stopped_by: tuple[StoppedBy, ...]

    @property
    def is_whole(self) -> bool:
        """Whether everybody who had to answer did, and no limit ended the walk. It says nothing of what is hidden."""
        return not (self.missing or self.cut or self.stopped_by)

    def to_json(self) -> JsonObject:
        return {
            "cut": list[Json](self.cut),
            "depth_max": self.depth_max,
            "direction": self.direction,
            "edges": [edge.to_json() for edge in self.edges],
            "missing": list[Json](self.missing),
            "start": str(self.start),
            "stopped_by": list[Json](self.stopped_by),
            "vertices": [vertex.to_json() for vertex in self.vertices],
            "whole": self.is_whole,
        }


class Walk:
    """One walk under way: ask for the `frontier`, `take` what was heard of it, until there is none."""

    def __init__(
        self,
        start: AssetId,
        direction: Direction,
        *,
        depth_max: int = DEPTH_DEFAULT,
        vertices_max: int = VERTICES_MAX,
    ) -> None:
        self.start = start
        self.direction = direction
        self.depth_max = depth_max
        self._vertices_max = vertices_max
        self._depth = {start: 0}
        self._state: dict[AssetId, VertexState] = {}
        self._records: dict[AssetId, JsonObject] = {}
        self._asserted: dict[LineageEdge, dict[OrgId, str]] = {}
        self._walked: set[LineageEdge] = set()
        self._asking: list[tuple[AssetId, ...]] = [(start,)]
        self._next: list[AssetId] = []
        self._missing: set[OrgId] = set()
        self._cut: set[OrgId] = set()
        self._stopped_by: set[StoppedBy] = set()

    def frontier(self) -> Frontier | None:
        """Return the next question, None when nothing is left to ask."""
        if not self._asking:
            ids = sorted(self._next)
            self._next = []
            self._asking = [tuple(ids[place : place + IDS_MAX]) for place in range(0, len(ids), IDS_MAX)]
        return Frontier(self.direction, self._asking[0]) if self._asking else None

    def take(self, heard: Mapping[OrgId, Heard], roster: Collection[OrgId]) -> None:
        """Take in the verified answers to the `frontier`; a member that is not heard is missing."""
        ids = self._asking.pop(0)
        cut = {org for org, answer in heard.items() if answer.is_cut}
        if cut and len(ids) > 1:
            # Fewer ids have shorter lists. Nothing of the long ones is used.
            middle = len(ids) // 2
            self._asking[:0] = [ids[:middle], ids[middle:]]
            return
        self._cut |= cut
        concerned = set(roster) if self.direction == "down" else {item.org for item in ids} & set(roster)
        self._missing |= concerned - set(heard)
        for asset_id in ids:
            self._resolve(asset_id, heard, roster)
        shown = [asset_id for asset_id in ids if asset_id in self._records]
        for asset_id in shown:
            self._leave(asset_id)
        if self.direction == "down":
            self._arrive(frozenset(shown), heard)

    def stop(self) -> None:
        """End the walk here, for want of time or room; what was met and not asked stays open."""
        self._stopped_by.add("time")
        self._asking, self._next = [], []

    def picture(self) -> Picture:
        """Return what is known, in an order that the ids alone decide."""
        met = sorted(self._depth, key=lambda item: (self._depth[item], tie_key(str(item)), item))
        return Picture(
            start=self.start,
            direction=self.direction,
            depth_max=self.depth_max,
            vertices=tuple(self._vertex(item) for item in met),
            edges=tuple(PictureEdge(edge, dict(self._asserted[edge])) for edge in sorted(self._walked)),
            missing=tuple(sorted(self._missing)),
            cut=tuple(sorted(self._cut)),
            stopped_by=tuple(sorted(self._stopped_by)),
        )

    def _vertex(self, item: AssetId) -> PictureVertex:
        return PictureVertex(item, self._depth[item], self._state.get(item, "not_asked"), self._records.get(item))

    def _resolve(self, asset_id: AssetId, heard: Mapping[OrgId, Heard], roster: Collection[OrgId]) -> None:
        """Believe of an asset only what its own organization says in answer to this question."""
        self._records.pop(asset_id, None)
        answer = heard.get(asset_id.org)
        if asset_id.org not in roster:
            self._state[asset_id] = "not_a_member"
        elif answer is None:
            self._state[asset_id] = "no_answer"
        elif asset_id in answer.vertices:
            self._show(asset_id, answer.vertices[asset_id])
        else:
            self._state[asset_id] = "not_shown"

    def _show(self, asset_id: AssetId, record: JsonObject) -> None:
        self._state[asset_id] = "shown"
        self._records[asset_id] = record
        for item in _edges(asset_id, record):
            self._asserted.setdefault(item.edge, {})[asset_id.org] = item.asserted_on

    def _leave(self, asset_id: AssetId) -> None:
        """Follow what a shown asset's own vertex says, in the direction of the walk."""
        for item in _edges(asset_id, self._records[asset_id]):
            is_up = item.edge.source == asset_id
            if is_up == (self.direction == "up"):
                self._follow(item.edge, asset_id, item.edge.other_end(asset_id))

    def _arrive(self, shown: frozenset[AssetId], heard: Mapping[OrgId, Heard]) -> None:
        """Follow what anybody's visible assets say of where they came from, down from the shown ones."""
        for org in sorted(heard):
            for asset_id, record in sorted(heard[org].vertices.items()):
                for item in _edges(asset_id, record):
                    if item.edge.source == asset_id and item.edge.target in shown:
                        self._follow(item.edge, item.edge.target, asset_id, record)

    def _follow(self, edge: LineageEdge, here: AssetId, there: AssetId, record: JsonObject | None = None) -> None:
        """Walk one edge; `record` is the vertex at its other end, when its owner has just shown it."""
        if self._depth[here] == self.depth_max:
            self._stopped_by.add("depth")
            return
        is_new = there not in self._depth
        if is_new and len(self._depth) >= self._vertices_max:
            self._stopped_by.add("vertices")
            return
        self._walked.add(edge)
        if is_new:
            self._depth[there] = self._depth[here] + 1
            self._next.append(there)
        if record is not None and there not in self._state:
            self._show(there, record)


def _edges(asset_id: AssetId, record: JsonObject) -> tuple[AssertedEdge, ...]:
    return tuple(sorted(read_edges(record["edges"], asset_id)))
