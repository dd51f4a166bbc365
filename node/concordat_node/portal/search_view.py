"""A stored search as a page shows it: while answers come, when all have come, and when it failed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from concordat_node.portal.organizations import (
    Chip,
    Completeness,
    chips_of,
    completeness_of,
    running_summary,
    summary_of,
)
from concordat_node.portal.reading import Object, number, obj, objects, text, texts
from concordat_node.portal.records import Record, obligations_of, record_of
from concordat_trust.measured import deciding_first

_FACETS = {"kind": "Kind", "task": "Task", "modality": "Modality", "framework": "Framework", "license": "Licence"}
FACETS = tuple(_FACETS)
_WARNINGS = {
    "exclusion_not_understood": "Words of exclusion were not understood; they were searched for as text.",
    "alternative_not_understood": "An “or” was not understood; it was searched for as text.",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a facet; `condition` narrows the sentence to it, and is empty when no sentence can say it."""

    value: str
    count: int
    condition: str


@dataclass(frozen=True, slots=True)
class Facet:
    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Understood:
    """How a sentence was read: (what it means, its words) of each chip, and the rest as text."""

    chips: tuple[tuple[str, str], ...]
    text: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SearchView:
    """Everything of a search page below its form. While it is running `completeness` is None."""

    summary: str
    chips: tuple[Chip, ...]
    records: tuple[Record, ...]
    facets: tuple[Facet, ...]
    obligations: tuple[str, ...]
    understood: Understood | None
    completeness: Completeness | None
    is_exact: bool
    has_next: bool = False


def running_view(
    events: Sequence[Object], names: Mapping[str, str], understood: Object, question: Object
) -> SearchView:
    """Return the page of what has come so far, in the order of arrival."""
    entries = [obj(event.get("entry")) for event in events]
    shown = [record for event in events for record in objects(event.get("records"))]
    records = tuple(record_of(deciding_first(record, question), names) for record in shown)
    summary = running_summary(entries, len(names))
    return SearchView(summary, chips_of(entries, names), records, (), (), _understood(understood), None, False)


def finished_view(result: Object, names: Mapping[str, str]) -> SearchView:
    """Return the page of a whole result."""
    entries = objects(obj(result.get("completeness")).get("entries"))
    question, shown = obj(result.get("question")), [obj(hit.get("record")) for hit in objects(result.get("hits"))]
    records = tuple(record_of(deciding_first(record, question), names) for record in shown)
    return SearchView(
        summary=summary_of(result),
        chips=chips_of(entries, names),
        records=records,
        facets=_facets(obj(result.get("facets"))),
        obligations=obligations_of(records),
        understood=_understood(obj(result.get("understood"))),
        completeness=completeness_of(result, names),
        is_exact=result.get("exact") is True,
        has_next=result.get("has_next") is True,
    )


def names_in(result: Object) -> dict[str, str]:
    """Return the legal names of the organizations that a result accounts for."""
    organizations = obj(result.get("organizations"))
    return {org: text(obj(about).get("legal_name")) or org for org, about in organizations.items()}


def _understood(understood: Object) -> Understood | None:
    if not understood:
        return None
    return Understood(
        chips=tuple((text(chip.get("meaning")), text(chip.get("text"))) for chip in objects(understood.get("chips"))),
        text=text(understood.get("text")),
        warnings=tuple(_WARNINGS.get(code, code) for code in texts(understood.get("warnings"))),
    )


def _facets(facets: Object) -> tuple[Facet, ...]:
    shown = []
    for field, name in _FACETS.items():
        counts = {value: number(count) or 0 for value, count in obj(facets.get(field)).items() if value}
        cells = tuple(
            Cell(value, count, _condition(field, value))
            for value, count in sorted(counts.items(), key=lambda cell: (-cell[1], cell[0]))
        )
        if len(cells) > 1:
            shown.append(Facet(name, cells))
    return tuple(shown)


def _condition(field: str, value: str) -> str:
    return "" if '"' in value else f'{field}:"{value}"'
