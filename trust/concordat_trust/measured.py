"""Which measurement of a record a list shows first: the one by which the question chose or ordered it. Pure.

Rules of this file:

* Made from what was disclosed and from the question, after both were verified; a node sends evaluations in the order of
  their owner. So no order can tell of a version, or of a measurement, that is not shown.
* A condition under a `not`, and one that this version cannot read, chooses no measurement.
* What decided nothing keeps its owner's order, behind what did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation

from concordat_trust.canonical import Json, JsonObject
from concordat_trust.errors import ConcordatError
from concordat_trust.filters import And, Filter, MetricIs, Or, is_met_by, parse_filter
from concordat_trust.question import parse_sort
from concordat_trust.ranking import evaluation_key


def deciding_first(record: Mapping[str, Json], question: Mapping[str, Json]) -> JsonObject:
    """Return the card or asset with its evaluations in the order in which a list tells them of it."""
    held = record.get("evaluations")
    if not isinstance(held, list):
        return dict(record)
    conditions, metric = tuple(_conditions(_filter(question))), _sorted_by(question)
    best = evaluation_key(metric, (each for item in held if (each := _triple(item)) is not None))

    def decides(item: Json) -> bool:
        measured = _triple(item)
        if measured is None:
            return False
        is_best = best is not None and evaluation_key(metric, (measured,)) == best
        return is_best or any(_meets(condition, measured) for condition in conditions)

    return {**record, "evaluations": sorted(held, key=lambda item: not decides(item))}


def _filter(question: Mapping[str, Json]) -> Filter | None:
    try:
        return None if question.get("filter") is None else parse_filter(question["filter"])
    except ConcordatError:
        return None


def _sorted_by(question: Mapping[str, Json]) -> str | None:
    try:
        return parse_sort(question.get("sort")).metric
    except ConcordatError:
        return None


def _conditions(node: Filter | None) -> Iterator[MetricIs]:
    if isinstance(node, MetricIs):
        yield node
    elif isinstance(node, And | Or):
        for arg in node.args:
            yield from _conditions(arg)


def _triple(item: Json) -> tuple[str, str, str] | None:
    if not isinstance(item, dict):
        return None
    metric, value, split = item.get("metric"), item.get("value"), item.get("split")
    is_whole = isinstance(metric, str) and isinstance(value, str) and isinstance(split, str)
    return (str(metric), str(value), str(split)) if is_whole else None


def _meets(condition: MetricIs, measured: tuple[str, str, str]) -> bool:
    metric, value, split = measured
    try:
        return is_met_by(condition, metric, Decimal(value), split)
    except InvalidOperation:
        return False
