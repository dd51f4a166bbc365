"""No asset of this node comes from itself: the check of a line against what is stored and what is about to be.

Rules of this file:

* Only relations between two things of one kind can close a circle, and only edges between assets of this node are
  followed: what others say of theirs is theirs to check (a walk across organizations ends at what it has seen).
* A line waits in its batch before it is stored. Until then it stands for its asset, whatever is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import Connection, select

from concordat_node.registry.engine import Database
from concordat_node.registry.errors import LineageCycle, LineageTooDeep
from concordat_node.registry.records import AssetRecord
from concordat_node.registry.store import in_chunks
from concordat_node.registry.tables import LINEAGE_EDGE
from concordat_trust.lineage import RELATIONS

ANCESTORS_MAX = 10_000
_CIRCULAR = tuple(relation for relation, terms in RELATIONS.items() if terms.source == terms.target)

SourcesOf = Callable[[Sequence[str]], Mapping[str, frozenset[str]]]
"""What the named assets came from, as it is stored: id → ids, for those that have any."""


class LineageCheck:
    """Refuses the line that closes a circle. One per import; `committed` after every batch."""

    def __init__(self, stored: SourcesOf, *, ancestors_max: int = ANCESTORS_MAX) -> None:
        self._stored = stored
        self._ancestors_max = ancestors_max
        self._waiting: dict[str, frozenset[str]] = {}

    def admit(self, record: AssetRecord) -> None:
        """Take a line into the batch. Raises: LineageCycle, LineageTooDeep; then it is not in the batch."""
        own = str(record.id)
        sources = _own_sources(record)
        seen: set[str] = set()
        frontier = set(sources)
        while frontier:
            if own in frontier:
                raise LineageCycle(field="lineage")
            seen |= frontier
            if len(seen) > self._ancestors_max:
                raise LineageTooDeep(field="lineage", ancestors_max=self._ancestors_max)
            frontier = self._sources_of(frontier) - seen
        self._waiting[own] = sources

    def committed(self) -> None:
        """Forget the batch: it is stored now."""
        self._waiting.clear()

    def _sources_of(self, ids: set[str]) -> set[str]:
        waiting = [self._waiting[item] for item in ids if item in self._waiting]
        asked = sorted(item for item in ids if item not in self._waiting)
        stored = self._stored(asked) if asked else {}
        return {source for sources in (*waiting, *stored.values()) for source in sources}


def stored_sources(database: Database) -> SourcesOf:
    """Return the reader of a registry's edges, each time in a transaction of its own."""

    def read(ids: Sequence[str]) -> Mapping[str, frozenset[str]]:
        with database.reading() as connection:
            return sources_in(connection)(ids)

    return read


def sources_in(connection: Connection) -> SourcesOf:
    """Return the reader of a registry's edges inside one transaction."""

    def read(ids: Sequence[str]) -> Mapping[str, frozenset[str]]:
        edge = LINEAGE_EDGE.c
        query = select(edge.asset_id, edge.end_id).where(edge.is_source, edge.relation.in_(_CIRCULAR))
        chunks = (connection.execute(query.where(edge.asset_id.in_(chunk))) for chunk in in_chunks(ids))
        return _grouped((str(row.asset_id), str(row.end_id)) for rows in chunks for row in rows)

    return read


def _grouped(rows: Iterable[tuple[str, str]]) -> Mapping[str, frozenset[str]]:
    grouped: dict[str, frozenset[str]] = {}
    for asset_id, end_id in rows:
        grouped[asset_id] = grouped.get(asset_id, frozenset()) | {end_id}
    return grouped


def _own_sources(record: AssetRecord) -> frozenset[str]:
    edges = (item.edge for item in record.lineage if item.edge.relation in _CIRCULAR and not item.edge.is_foreign)
    return frozenset(str(edge.target) for edge in edges if edge.source == record.id)
