"""From decisions to the visible view: which classes the index may touch, and with which fields hidden.

Rules of this file:

* Pure. Only SUMMARY and FULL are in the view; NONE and EXISTS are absent from it, so that nothing later can depend on
  how many of them there are.
* Every mask hides its field: `hide` by meaning, any other operation because an operation that is not carried out must
  not disclose (DESIGN section 5, "an unknown one hides").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from concordat_node.policy.engine import Decision
from concordat_node.search.index import ClassView
from concordat_trust.vocabulary import Level


def is_visible(decision: Decision) -> bool:
    """Whether a record of this decision is listed at all."""
    return decision.level >= Level.SUMMARY


def visible_view(decisions: Mapping[str, Decision], removed: frozenset[str]) -> dict[str, ClassView]:
    """Return the classes the index may use, ordered by class id; `removed` were taken away by a page decision."""
    return {
        class_id: ClassView(class_id=class_id, level=decision.level, hidden=decision.hidden)
        for class_id, decision in sorted(decisions.items())
        if is_visible(decision) and class_id not in removed
    }


def narrows(page: Decision, decided: Decision) -> bool:
    """Whether the page's decision lets less out than the class decision on which the index worked."""
    return (
        page.level < decided.level
        or not page.hidden <= decided.hidden
        or (decided.relay_may_read and not page.relay_may_read)
    )


def earliest(times: Iterable[int | None]) -> int | None:
    """Return the first of the given ends, None when none of them ends."""
    known = [time for time in times if time is not None]
    return min(known) if known else None
