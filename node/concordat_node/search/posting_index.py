"""The SQL posting index: the engine of a small node, and the oracle of any faster one.

Rules of this file:

* Every statement is bounded by the numbers of the visible classes, and the tables are stored class first: what is
  fetched, counted and returned depends on visible records alone. The `work` of a result counts it.
* Scores are Σ weight · impact with the public integer weights (concordat_trust.ranking); the engine only adds them up.
* Masks are applied before filters, sorts and facets; a class's text level picks the impacts it is matched with.
* Nothing here is SQLite's own: PostgreSQL gives the same integers.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Subquery, case, func, literal, select

from concordat_node.registry.engine import Database
from concordat_node.registry.errors import IndexStale
from concordat_node.registry.store import in_chunks
from concordat_node.registry.tables import POLICY_CLASS
from concordat_node.search.index import IndexHit, IndexQuery, IndexResult, View
from concordat_node.search.index_writer import index_revision
from concordat_node.search.reader import IndexedRecord, needs_of
from concordat_node.search.tables import LEVELS, SEARCH_EDGE, SEARCH_ID, SEARCH_POSTING, SEARCH_ROW
from concordat_node.search.visible import Facts, VisibleClasses
from concordat_trust.filters import evaluate
from concordat_trust.ids import AssetId, tie_key
from concordat_trust.lineage import LINEAGE_RELATIONS, hiding_fields
from concordat_trust.question import Sort
from concordat_trust.ranking import evaluation_key, order_key
from concordat_trust.text import TermStatistics

_ROW = SEARCH_ROW.c
_POSTING = SEARCH_POSTING.c


class SqlPostingIndex:
    """A `SearchIndex` over the posting tables of a registry database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def search(self, query: IndexQuery, view: View, statistics: TermStatistics) -> IndexResult:
        """Return the first visible matches, their number and facet counts.

        Raises: IndexStale when the index does not stand on `statistics`; StorageBusy, StorageFailed.
        """
        with self._database.reading() as connection:
            if index_revision(connection) != statistics.revision:
                raise IndexStale
            return _Search(connection, view, query, statistics).run()

    def visible_assets(self, ids: Sequence[AssetId], view: View) -> tuple[AssetId, ...]:
        """Return those of `ids` that exist and may be listed, in the order given.

        Raises: StorageBusy, StorageFailed.
        """
        column = SEARCH_ID.c.asset_id
        with self._database.reading() as connection:
            found = {
                asset_id
                for numbers in in_chunks(VisibleClasses(connection, view).numbers())
                for chunk in in_chunks([str(asset_id) for asset_id in ids])
                for asset_id in connection.execute(
                    select(column).where(SEARCH_ID.c.class_number.in_(numbers), column.in_(chunk))
                ).scalars()
            }
        return tuple(asset_id for asset_id in ids if str(asset_id) in found)

    def holds_any(self, class_ids: Collection[str]) -> bool:
        """Return whether there is an asset of one of these classes, which are visible ones.

        Raises: StorageBusy, StorageFailed.
        """
        is_of = SEARCH_ROW.c.class_number == POLICY_CLASS.c.number
        query = select(POLICY_CLASS.c.number).join_from(POLICY_CLASS, SEARCH_ROW, is_of).limit(1)
        with self._database.reading() as connection:
            return any(
                connection.execute(query.where(POLICY_CLASS.c.class_id.in_(chunk))).first() is not None
                for chunk in in_chunks(sorted(class_ids))
            )

    def came_from(self, ends: Sequence[AssetId], view: View, *, is_foreign: bool) -> tuple[AssetId, ...]:
        """Return the assets that may be listed and that show an edge to one of `ends`, ordered by id.

        Raises: StorageBusy, StorageFailed.
        """
        edge = SEARCH_EDGE.c
        is_row = (SEARCH_ROW.c.class_number == edge.class_number) & (SEARCH_ROW.c.row == edge.row)
        query = select(SEARCH_ROW.c.asset_id).join_from(SEARCH_EDGE, SEARCH_ROW, is_row)
        found: set[str] = set()
        with self._database.reading() as connection:
            classes = VisibleClasses(connection, view)
            for relation in LINEAGE_RELATIONS:
                hiding = hiding_fields(relation, is_foreign=is_foreign)
                for numbers in in_chunks(classes.numbers_without(hiding)):
                    for chunk in in_chunks([str(end) for end in ends]):
                        is_edge = edge.class_number.in_(numbers) & edge.end_id.in_(chunk) & (edge.relation == relation)
                        found |= set(connection.execute(query.where(is_edge)).scalars())
        return tuple(AssetId.parse(asset_id) for asset_id in sorted(found))


def _place_of(sort: Sort, key: int | None, asset_id: AssetId) -> tuple[bool, int, str, str]:
    return order_key(sort, key, tie_key(str(asset_id)), str(asset_id))


class _Row(NamedTuple):
    """A visible record as fetched; `values` follow the columns of the query's needs."""

    class_number: int
    row: int
    asset_id: str
    tie: str
    score: int
    values: tuple[str | int | None, ...]


class _Search:
    """One query inside one view, on one snapshot."""

    def __init__(self, connection: Connection, view: View, query: IndexQuery, statistics: TermStatistics) -> None:
        self._connection = connection
        self._query = query
        self._statistics = statistics
        self._needs = needs_of(query)
        self._classes = VisibleClasses(connection, view)
        self._facts = Facts(connection, self._classes, self._needs, statistics)
        self._touched = 0

    def run(self) -> IndexResult:
        query = self._query
        matches = [row for row in self._rows() if self._passes(row)]
        keyed = [(self._sort_key(row), row) for row in matches]
        placed = [(order_key(query.sort, key, row.tie, row.asset_id), key, row) for key, row in keyed]
        start = None if query.after is None else _place_of(query.sort, *query.after)
        follow = placed if start is None else [item for item in placed if item[0] > start]
        best = heapq.nsmallest(query.limit, follow, key=lambda item: item[0])
        return IndexResult(
            hits=tuple(IndexHit(AssetId.parse(row.asset_id), key) for _, key, row in best),
            total=len(matches),
            facets={field: self._facet(field, matches) for field in query.facets},
            matched=frozenset(self._classes.ids[row.class_number] for row in matches),
            work=self._classes.work + self._facts.work + self._touched,
        )

    def _rows(self) -> Iterator[_Row]:
        """Yield the visible rows that hold a query term at their text level; all visible rows without terms."""
        key = (_ROW.class_number, _ROW.row, _ROW.asset_id, _ROW.tie)
        columns = [_ROW[name] for name in self._needs.columns]
        if not self._query.terms:
            everything = select(*key, literal(0), literal(0), *columns)
            for chunk in in_chunks(self._classes.numbers()):
                yield from self._fetched(everything.where(_ROW.class_number.in_(chunk)))
            return
        for level, numbers in self._classes.by_text_level().items():
            for chunk in in_chunks(numbers):
                scored = self._scored(level, chunk)
                is_same = (_ROW.class_number == scored.c.class_number) & (_ROW.row == scored.c.row)
                matching = select(*key, scored.c.score, scored.c.touched, *columns).join_from(
                    SEARCH_ROW, scored, is_same
                )
                yield from self._fetched(matching.where(_ROW.class_number.in_(chunk)))

    def _scored(self, level: int, numbers: Sequence[int]) -> Subquery:
        """Return (class, row, score, postings touched) of the rows of these classes that hold a query term."""
        terms = self._query.terms
        weight = case({term: self._statistics.weight(term) for term in terms}, value=_POSTING.term, else_=0)
        score = func.sum(weight * _POSTING[f"impact_{LEVELS[level]}"]).label("score")
        return (
            select(_POSTING.class_number, _POSTING.row, score, func.count().label("touched"))
            .where(_POSTING.first_level.in_(range(level + 1)), _POSTING.term.in_(terms))
            .where(_POSTING.class_number.in_(numbers))
            .group_by(_POSTING.class_number, _POSTING.row)
            .subquery("scored")
        )

    def _fetched(self, query: Select[Any]) -> Iterator[_Row]:
        for number, row, asset_id, tie, score, touched, *values in self._connection.execute(query):
            self._touched += 1 + touched
            yield _Row(number, row, asset_id, tie, int(score), tuple(values))

    def _passes(self, row: _Row) -> bool:
        if self._query.filter is None:
            return True
        record = IndexedRecord(
            hidden=self._classes.hidden[row.class_number],
            values=dict(zip(self._needs.columns, row.values, strict=True)),
            held_keywords=self._facts.keywords.get(row.row, ()),
            held_evaluations=self._facts.evaluations.get(row.row, ()),
            trained_on_texts=self._facts.trained_on.get(row.row, frozenset()),
        )
        return evaluate(self._query.filter, record) is True

    def _sort_key(self, row: _Row) -> int | None:
        sort = self._query.sort
        if sort.by == "relevance":
            return row.score
        hidden = self._classes.hidden[row.class_number]
        if sort.by == "created":
            created = str(row.values[self._needs.columns.index("created")])
            return None if "created" in hidden else int(created.replace("-", ""))
        if "evaluations" in hidden:
            return None
        return evaluation_key(sort.metric, self._facts.evaluations.get(row.row, ()))

    def _facet(self, field: str, matches: Sequence[_Row]) -> Mapping[str, int]:
        """Count the values of a field; a masked one and an absent one are counted nowhere."""
        position = self._needs.columns.index(field)
        showing = set(self._classes.numbers(showing=field))
        counts = Counter(str(row.values[position]) for row in matches if row.class_number in showing)
        return {value: counts[value] for value in sorted(counts) if value}
