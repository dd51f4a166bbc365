"""A walked lineage as a page shows it: a list, step by step away from the record. Pure.

Every edge stands at its farther end, with whose word it is. What is not shown has its id and one phrase, never a title.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from concordat_node.portal.reading import Object, number, obj, objects, text
from concordat_trust.ids import AssetId
from concordat_trust.lineage_words import CAME_FROM, open_ends, state_words

HEADINGS = {"up": "What it came from", "down": "What came from it"}
_NOTHING = {
    "up": "Nobody tells you of anything that this record came from.",
    "down": "Nobody tells you of anything that came from this record.",
}


@dataclass(frozen=True, slots=True)
class Said:
    """One edge in words: "TITLE was trained on it", and who says so, since when."""

    words: str
    who: tuple[tuple[str, str], ...]
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class Met:
    """A record that the walk met. `title` None: it is masked; `state` "" : it is shown."""

    id: str
    title: str | None
    kind: str
    owner: str
    state: str
    is_summary: bool
    is_whole: bool
    is_closed: bool
    edges: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class LineageView:
    """A finished walk. `open_ends` are sentences about what is not known; none: everybody who was asked answered."""

    steps: tuple[tuple[str, tuple[Met, ...]], ...]
    nothing: str
    open_ends: tuple[str, ...]
    findings: tuple[tuple[str, str], ...]


def lineage_view(result: Object, names: Mapping[str, str]) -> LineageView:
    """Return the list of a walked lineage; `names` are the legal names of organizations."""
    picture = obj(result.get("picture"))
    vertices = {text(vertex.get("id")): vertex for vertex in objects(picture.get("vertices"))}
    away = [vertex for vertex in vertices.values() if _depth(vertex) > 0]
    edges = tuple(objects(picture.get("edges")))
    steps = tuple(
        (_away(depth), tuple(_met(vertex, vertices, edges, names) for vertex in same))
        for depth, same in groupby(sorted(away, key=_depth), key=_depth)
    )
    nothing = "" if steps else _NOTHING.get(text(picture.get("direction")), "")
    return LineageView(steps, nothing, tuple(open_ends(picture, names)), tuple(_findings(result, names)))


def _depth(vertex: Object) -> int:
    return number(vertex.get("depth")) or 0


def _away(depth: int) -> str:
    return "One step away" if depth == 1 else f"{depth} steps away"


def _met(vertex: Object, vertices: Mapping[str, Object], edges: tuple[Object, ...], names: Mapping[str, str]) -> Met:
    own, state = text(vertex.get("id")), text(vertex.get("state"))
    is_shown = state == "shown"
    organization = text(vertex.get("organization"))
    title = vertex.get("title")
    return Met(
        id=own,
        title=text(title) if is_shown and title is not None else None,
        kind={"model": "Model", "dataset": "Data set"}.get(text(vertex.get("kind")), ""),
        owner=names.get(organization, organization),
        state="" if is_shown else state_words(state),
        is_summary=vertex.get("level") == "SUMMARY",
        is_whole=vertex.get("owner_says_complete") is True,
        is_closed=vertex.get("ends_here") == "closed",
        edges=tuple(_said(edge, own, vertices, names) for edge in edges if _farther(edge, vertices) == own),
    )


def _farther(edge: Object, vertices: Mapping[str, Object]) -> str:
    """Return the end at which an edge is told: the one that more steps lead to."""
    ends = (text(edge.get("source")), text(edge.get("target")))
    return max(ends, key=lambda end: (_depth(vertices.get(end, {})), end))


def _said(edge: Object, here: str, vertices: Mapping[str, Object], names: Mapping[str, str]) -> Said:
    source, target = (_called(text(edge.get(end)), here, vertices) for end in ("source", "target"))
    relation = text(edge.get("relation"))
    words = f"{source} {CAME_FROM.get(relation, relation)} {target}"
    who = tuple(
        (names.get(text(item.get("organization")), text(item.get("organization"))), text(item.get("asserted_on")))
        for item in objects(edge.get("asserted_by"))
    )
    return Said(words[:1].upper() + words[1:], who, edge.get("confirmed") is True)


def _called(asset_id: str, here: str, vertices: Mapping[str, Object]) -> str:
    if asset_id == here:
        return "it"
    vertex = vertices.get(asset_id, {})
    if _depth(vertex) == 0:
        return "this record"
    return f"“{text(vertex.get('title'))}”" if text(vertex.get("title")) else asset_id


def _findings(result: Object, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for each in objects(result.get("rounds")):
        for finding in objects(each.get("findings")):
            organization = text(finding.get("organization"))
            yield names.get(organization, organization) or "the coordinator", text(finding.get("code"))


def shown_in(result: Object) -> set[str]:
    """Return the ids of the records that a walk shows."""
    vertices = objects(obj(result.get("picture")).get("vertices"))
    return {str(AssetId.parse(text(vertex.get("id")))) for vertex in vertices if vertex.get("state") == "shown"}
