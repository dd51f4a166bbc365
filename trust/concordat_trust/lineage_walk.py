"""Walking a lineage across organizations: what to ask next, and what is known in the end. Pure.

Rules of this file:

* Frontier by frontier. Every question is made from what was verified before; nobody else chooses an id. An id is asked
  at its own organization first. Down, it is asked of everybody else as well, because anybody may have made something of
  it, but only once its owner has shown a vertex that lets its lineage be told: of any other, sealed ones among them,
  nobody but its owner is asked, and the walk `ends_here`.
* A walk goes on only from a vertex that its own organization shows. What is behind one that is not shown is not reached
  over it, whoever speaks of it: hidden vertices are never bridged.
* An edge is the word of who asserts it. One that only one side asserts is in the picture, as that: nobody's silence and
  nobody's word about somebody else's asset is turned into a fact.
* It ends: nobody is asked about an id twice, unless a list was cut, and for that a member and a walk have limits. Depth
  and number of vertices have limits, too. Where a limit, a missing answer or a cut list leaves something open the
  picture says so. The same rounds give the same picture, today and years later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from concordat_trust.canonical import Json, JsonObject
from concordat_trust.ids import AssetId, OrgId, tie_key
from concordat_trust.lineage import RELATIONS, AssertedEdge, LineageEdge, read_edges
from concordat_trust.merge import ANSWERED
from concordat_trust.node_answer import VerifiedAnswer
from concordat_trust.question import IDS_MAX, Direction

DEPTH_MAX = 16
DEPTH_DEFAULT = 8
VERTICES_MAX = 200
HALVINGS_PER_MEMBER_MAX = 6
"""How often a walk asks in two halves because one member's list was cut: enough to find one hub among 50 ids."""
HALVINGS_MAX = 24
"""The same, whoever's lists they were; each costs two rounds. After it a cut list is taken, and said to be cut."""

VertexState = Literal["shown", "not_shown", "no_answer", "not_a_member", "not_asked"]
Ended = Literal["time", "size", "rounds"]
"""What ends a walk from outside: its time, the size of what would be saved, the number of its rounds."""
ENDED: tuple[Ended, ...] = get_args(Ended)
StoppedBy = Literal["depth", "vertices", "time", "size", "rounds"]
EndsHere = Literal["closed"]
_SHOWN_FIELDS = ("title", "level", "masked_fields", "obligations", "agreement_ids", "valid_until")


@dataclass(frozen=True, slots=True)
class Frontier:
    """One question of a walk: the ids of which their owner is asked, and those of which everybody else is."""

    direction: Direction
    at_owner: tuple[AssetId, ...]
    at_others: tuple[AssetId, ...] = ()

    @property
    def ids(self) -> tuple[AssetId, ...]:
        return tuple(sorted({*self.at_owner, *self.at_others}))

    def ids_for(self, organization: OrgId) -> tuple[str, ...]:
        """Return what this organization is asked about."""
        own = [item for item in self.at_owner if item.org == organization]
        return tuple(map(str, sorted([*own, *(item for item in self.at_others if item.org != organization)])))

    def part(self, ids: Collection[AssetId]) -> Frontier:
        """Return the question about these ids alone."""
        at_owner, at_others = (tuple(i for i in each if i in ids) for each in (self.at_owner, self.at_others))
        return Frontier(self.direction, at_owner, at_others)


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
    """An asset that the walk met. `record` is its vertex as its owner shows it, None unless `state` is shown.

    `ends_here` says why nobody but its owner was asked what came from it.
    """

    id: AssetId
    depth: int
    state: VertexState
    record: JsonObject | None
    ends_here: EndsHere | None = None

    def to_json(self) -> JsonObject:
        record = self.record or {}
        shown: JsonObject = {name: record.get(name) for name in _SHOWN_FIELDS}
        return {
            "depth": self.depth,
            "ends_here": self.ends_here,
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
        self._asking: list[Frontier] = [Frontier(direction, (start,))]
        self._next: list[AssetId] = []
        self._to_others: list[AssetId] = []
        self._halvings: Counter[OrgId] = Counter()
        self._halved = 0
        self._missing: set[OrgId] = set()
        self._cut: set[OrgId] = set()
        self._stopped_by: set[StoppedBy] = set()

    def frontier(self) -> Frontier | None:
        """Return the next question, None when nothing is left to ask."""
        if not self._asking:
            whole = self._following()
            ids = whole.ids
            self._asking = [whole.part(ids[place : place + IDS_MAX]) for place in range(0, len(ids), IDS_MAX)]
            self._next, self._to_others = [], []
        return self._asking[0] if self._asking else None

    def _following(self) -> Frontier:
        """Return everything there is to ask. A vertex that came with an earlier answer is known to be open or not."""
        open_ = [item for item in self._next if self._is_open(item)] if self.direction == "down" else []
        return Frontier(self.direction, tuple(self._next), (*self._to_others, *open_))

    def _is_open(self, item: AssetId) -> bool:
        """Whether its owner has shown it and lets its lineage be told: then its id may be named to others."""
        masked = self._records[item]["masked_fields"] if item in self._records else None
        return isinstance(masked, list) and "lineage" not in masked

    def take(self, heard: Mapping[OrgId, Heard], roster: Collection[OrgId]) -> None:
        """Take in the verified answers to the `frontier`; a member that is not heard is missing."""
        asked = self._asking.pop(0)
        cut = {org for org, answer in heard.items() if answer.is_cut}
        if self._may_halve(cut) and len(asked.ids) > 1:
            # Fewer ids have shorter lists. Nothing of the long ones is used.
            middle = len(asked.ids) // 2
            self._halvings.update(cut)
            self._halved += 1
            self._asking[:0] = [asked.part(asked.ids[:middle]), asked.part(asked.ids[middle:])]
            return
        self._cut |= cut
        self._missing |= {org for org in roster if asked.ids_for(org)} - set(heard)
        for asset_id in asked.at_owner:
            self._resolve(asset_id, heard, roster)
        for asset_id in asked.at_owner:
            if asset_id in self._records:
                self._leave(asset_id)
        if self.direction == "down":
            self._arrive(frozenset(item for item in asked.ids if item in self._records), heard)
            first = set(asked.at_owner) - set(asked.at_others)
            self._to_others += sorted(item for item in first if self._is_open(item))

    def _may_halve(self, cut: Collection[OrgId]) -> bool:
        """Whether some long list may be asked for in halves: a member that only claims long lists is not worth it."""
        left = [org for org in cut if self._halvings[org] < HALVINGS_PER_MEMBER_MAX]
        return bool(left) and self._halved < HALVINGS_MAX

    def stop(self, ended: Ended) -> None:
        """End the walk here, for want of time or room; what was met and not asked stays open."""
        self._stopped_by.add(ended)
        self._asking, self._next, self._to_others = [], [], []

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
        state = self._state.get(item, "not_asked")
        is_closed = self.direction == "down" and state == "shown" and not self._is_open(item)
        return PictureVertex(item, self._depth[item], state, self._records.get(item), "closed" if is_closed else None)

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
