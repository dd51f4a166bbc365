"""What a filter may read of one indexed record, after the mask of its class: everything else is unknown.

Rules of this file:

* `Needs` lists what a query reads, so that nothing else is fetched.
* A masked field answers None (unknown), whatever is stored. A field that is stated nowhere is also unknown when it is
  an ordered one: absent and masked cannot be told apart by asking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from concordat_node.search.index import IndexQuery
from concordat_trust.filters import And, Compare, Equals, Filter, In, MetricIs, Not, Or, TrainedOn
from concordat_trust.vocabulary import FACET_FIELDS

StoredEvaluations = tuple[tuple[str, str, str], ...]
"""(metric, decimal string, split) in the order of the record."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The columns, metrics, keywords and trained-on texts that a query reads."""

    columns: tuple[str, ...]
    metrics: tuple[str, ...]
    keywords: tuple[str, ...]
    trained_on: tuple[str, ...]


def needs_of(query: IndexQuery) -> Needs:
    """Return what must be fetched to answer `query`."""
    leaves = list(_leaves(query.filter)) if query.filter is not None else []
    columns = set(query.facets)
    metrics: set[str] = set()
    keywords: set[str] = set()
    trained_on: set[str] = set()
    for leaf in leaves:
        match leaf:
            case Equals("keyword", value):
                keywords.add(value)
            case In("keyword", values):
                keywords.update(values)
            case Equals(field, _) | In(field, _) | Compare(field, _, _):
                columns.add(field)
            case MetricIs(metric, _, _):
                metrics.add(metric)
            case TrainedOn(text):
                trained_on.add(text)
    if query.sort.by == "created":
        columns.add("created")
    if query.sort.by == "metric" and query.sort.metric is not None:
        metrics.add(query.sort.metric)
    return Needs(tuple(sorted(columns)), tuple(sorted(metrics)), tuple(sorted(keywords)), tuple(sorted(trained_on)))


def _leaves(node: Filter) -> Iterator[Equals | In | Compare | MetricIs | TrainedOn]:
    match node:
        case And(args) | Or(args):
            for arg in args:
                yield from _leaves(arg)
        case Not(arg):
            yield from _leaves(arg)
        case _:
            yield node


@dataclass(frozen=True, slots=True)
class IndexedRecord:
    """A `FieldReader` over what the index fetched of one record; lists hold only what the query asks about."""

    hidden: frozenset[str]
    values: Mapping[str, str | int | None]
    held_keywords: tuple[str, ...]
    held_evaluations: StoredEvaluations
    trained_on_texts: frozenset[str]
    """Those of the query's trained-on texts that describe a visible data set this record was trained on."""

    def exact(self, field: str) -> tuple[str, ...] | None:
        if field == "keyword":
            return None if "keywords" in self.hidden else self.held_keywords
        if field in self.hidden or field not in FACET_FIELDS:
            return None
        value = self.values[field]
        return (str(value),) if value else ()

    def ordered(self, field: str) -> str | Decimal | None:
        if field in self.hidden:
            return None
        value = self.values[field]
        return Decimal(value) if isinstance(value, int) else value

    def evaluations(self) -> tuple[tuple[str, Decimal, str], ...] | None:
        if "evaluations" in self.hidden:
            return None
        return tuple((metric, Decimal(value), split) for metric, value, split in self.held_evaluations)

    def trained_on(self, text: str) -> bool | None:
        return None if "trained_on" in self.hidden else text in self.trained_on_texts
