"""The visible classes of a view as the SQL index knows them, and what a query needs to know about their records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set

from sqlalchemy import Connection, Select, func, select

from concordat_node.registry.store import in_chunks
from concordat_node.registry.tables import POLICY_CLASS
from concordat_node.search.index import View
from concordat_node.search.reader import Needs, StoredEvaluations
from concordat_node.search.tables import (
    LEVELS,
    SEARCH_EDGE,
    SEARCH_KEYWORD,
    SEARCH_METRIC,
    SEARCH_POSTING,
    SEARCH_ROW,
)
from concordat_trust.text import TermStatistics, text_level, trained_on_terms


class VisibleClasses:
    """The classes of a view that may be listed and have assets, by their internal number."""

    def __init__(self, connection: Connection, view: View) -> None:
        self.hidden: dict[int, frozenset[str]] = {}
        self.ids: dict[int, str] = {}
        self._kinds: dict[int, str] = {}
        listed = sorted(class_id for class_id, item in view.items() if item.is_listed)
        columns = select(POLICY_CLASS.c.number, POLICY_CLASS.c.class_id, POLICY_CLASS.c.kind)
        for chunk in in_chunks(listed):
            for row in connection.execute(columns.where(POLICY_CLASS.c.class_id.in_(chunk))):
                self.hidden[row.number] = view[row.class_id].hidden
                self.ids[row.number] = row.class_id
                self._kinds[row.number] = row.kind
        self.work = len(self.hidden)

    def numbers(self, *, showing: str | None = None) -> list[int]:
        """Return the class numbers, or those of the classes that do not hide `showing`."""
        return sorted(number for number, hidden in self.hidden.items() if showing not in hidden)

    def numbers_without(self, fields: Set[str]) -> list[int]:
        """Return the class numbers of the classes that hide none of `fields`."""
        return sorted(number for number, hidden in self.hidden.items() if not hidden & fields)

    def by_text_level(self, *, kind: str | None = None) -> Mapping[int, list[int]]:
        """Return position in LEVELS → class numbers; classes whose text is hidden altogether are in none."""
        numbers: defaultdict[int, list[int]] = defaultdict(list)
        for number, hidden in sorted(self.hidden.items()):
            level = text_level(hidden)
            if level != "none" and kind in (None, self._kinds[number]):
                numbers[LEVELS.index(level)].append(number)
        return numbers


class Facts:
    """What the query asks about, by row: only of classes that show it, and only what the query names."""

    def __init__(
        self, connection: Connection, classes: VisibleClasses, needs: Needs, statistics: TermStatistics
    ) -> None:
        self._connection = connection
        self._classes = classes
        self.work = 0
        self.evaluations = self._evaluations(needs.metrics)
        self.keywords = self._keywords(needs.keywords)
        self.trained_on = self._trained_on(needs.trained_on, statistics)

    def _evaluations(self, metrics: Sequence[str]) -> Mapping[int, StoredEvaluations]:
        table = SEARCH_METRIC.c
        query = select(table.row, table.metric, table.value, table.split)
        held: defaultdict[int, StoredEvaluations] = defaultdict(tuple)
        if metrics:
            for numbers in in_chunks(self._classes.numbers(showing="evaluations")):
                is_wanted = table.class_number.in_(numbers) & table.metric.in_(metrics)
                for row in self._connection.execute(query.where(is_wanted).order_by(table.row, table.position)):
                    held[row.row] += ((row.metric, row.value, row.split),)
                    self.work += 1
        return held

    def _keywords(self, keywords: Sequence[str]) -> Mapping[int, tuple[str, ...]]:
        table = SEARCH_KEYWORD.c
        held: defaultdict[int, tuple[str, ...]] = defaultdict(tuple)
        for numbers in in_chunks(self._classes.numbers(showing="keywords")):
            for chunk in in_chunks(keywords):
                is_wanted = table.class_number.in_(numbers) & table.keyword.in_(chunk)
                for row in self._connection.execute(select(table.row, table.keyword).where(is_wanted)):
                    held[row.row] += (row.keyword,)
                    self.work += 1
        return held

    def _trained_on(self, texts: Sequence[str], statistics: TermStatistics) -> Mapping[int, frozenset[str]]:
        """Return row → the texts that describe a visible data set which the record says it was trained on."""
        held: defaultdict[int, frozenset[str]] = defaultdict(frozenset)
        for text in texts:
            datasets = self._datasets(trained_on_terms(text, statistics))
            for numbers in in_chunks(self._classes.numbers(showing="trained_on")):
                for chunk in in_chunks(datasets):
                    edge = SEARCH_EDGE.c
                    is_edge = edge.class_number.in_(numbers) & edge.end_id.in_(chunk) & (edge.relation == "trained_on")
                    for row in self._connection.execute(select(edge.row).where(is_edge)):
                        held[row.row] |= {text}
                        self.work += 1
        return held

    def _datasets(self, terms: Sequence[str]) -> list[str]:
        """Return the ids of visible data sets at whose text level every term occurs; none without terms."""
        found: list[str] = []
        if terms:
            for level, numbers in self._classes.by_text_level(kind="dataset").items():
                for chunk in in_chunks(numbers):
                    for row in self._connection.execute(_holding_all(terms, level, chunk)):
                        self.work += 1 + row.touched
                        if row.touched == len(terms):
                            found.append(row.asset_id)
        return sorted(found)


def _holding_all(terms: Sequence[str], level: int, numbers: Sequence[int]) -> Select[tuple[str, int]]:
    """Return (id, how many of the terms occur) of the rows that hold any; a term occurs once in the whole set."""
    posting = SEARCH_POSTING.c
    touched = (
        select(posting.class_number, posting.row, func.count().label("touched"))
        .where(posting.first_level.in_(range(level + 1)), posting.term.in_(terms), posting.class_number.in_(numbers))
        .group_by(posting.class_number, posting.row)
        .subquery("touched_rows")
    )
    is_same = (SEARCH_ROW.c.class_number == touched.c.class_number) & (SEARCH_ROW.c.row == touched.c.row)
    query = select(SEARCH_ROW.c.asset_id, touched.c.touched).join_from(SEARCH_ROW, touched, is_same)
    return query.where(SEARCH_ROW.c.class_number.in_(numbers))
