"""The port behind which a text index stands, and the values that pass through it.

Rules of this port:

* An index sees a requester only as a *view*: the policy classes that may be listed, each with its disclosure level and
  the names of its hidden fields. Hits, order, keys, totals, facets *and the work done* depend on records of these
  classes alone; adding, changing or deleting any other record changes nothing (DESIGN section 1, promise 3).
* A hidden field is unknown to filters, absent from text, sorts and facets.
* Order is the sort key (None last), then the tie key of the id, then the id: never a row number or an index layout.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from concordat_trust.filters import Filter
from concordat_trust.ids import AssetId
from concordat_trust.question import CANDIDATES_MIN, Sort
from concordat_trust.ranking import TermStatistics
from concordat_trust.vocabulary import Level

RELEVANCE = Sort()


@dataclass(frozen=True, slots=True)
class ClassView:
    """What one requester may see of the assets of one class; `hidden` holds names of `MASKABLE_FIELDS`."""

    class_id: str
    level: Level
    hidden: frozenset[str] = frozenset()

    @property
    def is_listed(self) -> bool:
        """Below SUMMARY an asset is never listed, matched or counted here (DESIGN section 5, disclosure ladder)."""
        return self.level >= Level.SUMMARY


View = Mapping[str, ClassView]
"""Class id → what may be seen of it. A class that is not in the view does not exist for the index."""


@dataclass(frozen=True, slots=True)
class IndexQuery:
    """A question as an index reads it: analysed query terms, not text; `limit` is the number of candidates.

    Without terms (no text, or nothing but stop words) every record that passes the filter matches. With `after` (sort
    key, id) the hits are those that follow this place; total and facets are of all matches still.
    """

    terms: tuple[str, ...] = ()
    filter: Filter | None = None
    sort: Sort = RELEVANCE
    facets: tuple[str, ...] = ()
    limit: int = CANDIDATES_MIN
    after: tuple[int | None, AssetId] | None = None


@dataclass(frozen=True, slots=True)
class IndexHit:
    id: AssetId
    sort_key: int | None


@dataclass(frozen=True, slots=True)
class IndexResult:
    """The first `limit` visible matches in order, the exact number of all of them, and exact facet counts of all.

    `matched` are the class ids of all visible matches.
    `work` counts the postings and rows that were touched. It is for tests and metrics and must never leave the node.
    """

    hits: tuple[IndexHit, ...]
    total: int
    facets: Mapping[str, Mapping[str, int]]
    matched: frozenset[str] = frozenset()
    work: int = field(default=0, compare=False)


class SearchIndex(Protocol):
    def search(self, query: IndexQuery, view: View, statistics: TermStatistics) -> IndexResult:
        """Raises: IndexStale when the index was built with other statistics."""
        ...

    def visible_assets(self, ids: Sequence[AssetId], view: View) -> tuple[AssetId, ...]:
        """Return those of `ids` that exist and may be listed, in the order given."""
        ...

    def holds_any(self, class_ids: Collection[str]) -> bool:
        """Return whether there is an asset of one of these classes, which are visible ones."""
        ...

    def came_from(self, ends: Sequence[AssetId], view: View, *, is_foreign: bool) -> tuple[AssetId, ...]:
        """Return the assets that may be listed and that show an edge to one of `ends`, ordered by id.

        `is_foreign` says whose the ends are; own ends must be visible themselves, which the caller has made sure of.
        """
        ...
