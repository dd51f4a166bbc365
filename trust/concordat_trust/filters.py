"""The filter of a question: a small typed tree, its JSON form, and its three-valued meaning.

Rules of this file:

* Evaluation is Kleene's: a predicate over a field the requester may not read is *unknown*, also under NOT; only *true*
  matches. So no filter can be used to guess a hidden value.
* "METRIC above N" holds when some visible evaluation on a split other than `train` has it.
* A field, operator or comparison that is not known here is `field_unsupported`: a node says so, and never drops it.
* Numbers are decimal strings; dates are ISO 8601 days.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Protocol, get_args

from concordat_trust.canonical import Json, JsonObject
from concordat_trust.errors import RequesterError
from concordat_trust.shape import Shape
from concordat_trust.vocabulary import EXACT_FIELDS, ORDERED_FIELDS

Comparison = Literal["gt", "ge", "lt", "le", "eq"]
COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)
NODES_MAX = 32
DEPTH_MAX = 6
TEXT_MAX = 200
VALUES_MAX = 50

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,12})?")
_DAY = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
_METRIC = re.compile(r"[a-z][a-z0-9_]{0,39}")


class FieldUnsupported(RequesterError):
    code = "field_unsupported"
    sentence = "This node does not know {field!r} in a question."
    hint = "Remove this condition, or ask the organizations that support it."


class FilterTooLarge(RequesterError):
    code = "filter_too_large"
    sentence = "The filter has more than {nodes_max} conditions or is nested deeper than {depth_max} levels."
    hint = "Ask a simpler question."


@dataclass(frozen=True, slots=True)
class And:
    args: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    args: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    arg: Filter


@dataclass(frozen=True, slots=True)
class Equals:
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class In:
    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    field: str
    cmp: Comparison
    value: str


@dataclass(frozen=True, slots=True)
class MetricIs:
    metric: str
    cmp: Comparison
    value: str


@dataclass(frozen=True, slots=True)
class TrainedOn:
    text: str


Filter = And | Or | Not | Equals | In | Compare | MetricIs | TrainedOn


class FieldReader(Protocol):
    """What one requester may read of one record; None everywhere means *unknown*."""

    def exact(self, field: str) -> tuple[str, ...] | None: ...

    def ordered(self, field: str) -> str | Decimal | None: ...

    def evaluations(self) -> tuple[tuple[str, Decimal, str], ...] | None:
        """Return (metric, value, split) of every evaluation that may be read."""
        ...

    def trained_on(self, text: str) -> bool | None: ...


def evaluate(node: Filter, record: FieldReader) -> bool | None:
    """Return true, false or None for unknown (Kleene's strong three-valued logic)."""
    match node:
        case And(args):
            return _all([evaluate(arg, record) for arg in args])
        case Or(args):
            inverse = _all([_negate(evaluate(arg, record)) for arg in args])
            return _negate(inverse)
        case Not(arg):
            return _negate(evaluate(arg, record))
        case Equals(field, value):
            return _contains(record.exact(field), (value,))
        case In(field, values):
            return _contains(record.exact(field), values)
        case Compare(field, cmp, value):
            return _ordered(record.ordered(field), cmp, value)
        case MetricIs():
            held = record.evaluations()
            return None if held is None else any(is_met_by(node, *measured) for measured in held)
        case TrainedOn(text):
            return record.trained_on(text)


def _negate(value: bool | None) -> bool | None:
    return None if value is None else not value


def _all(values: list[bool | None]) -> bool | None:
    if False in values:
        return False
    return None if None in values else True


def _contains(held: tuple[str, ...] | None, wanted: tuple[str, ...]) -> bool | None:
    return None if held is None else any(value in wanted for value in held)


def _ordered(held: str | Decimal | None, cmp: Comparison, value: str) -> bool | None:
    if held is None:
        return None
    if isinstance(held, Decimal):
        return _COMPARE[cmp](held, Decimal(value))
    return _COMPARE_TEXT[cmp](held, value)


def is_met_by(condition: MetricIs, metric: str, value: Decimal, split: str) -> bool:
    """Whether one measurement meets the condition; nothing that was measured in training does."""
    return metric == condition.metric and split != "train" and _COMPARE[condition.cmp](value, Decimal(condition.value))


_COMPARE: dict[Comparison, Callable[[Decimal, Decimal], bool]] = {
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
}
_COMPARE_TEXT: dict[Comparison, Callable[[str, str], bool]] = {
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
}


def to_json(node: Filter) -> JsonObject:
    """Return the JSON form that travels in a question."""
    match node:
        case And(args):
            return {"op": "and", "args": [to_json(arg) for arg in args]}
        case Or(args):
            return {"op": "or", "args": [to_json(arg) for arg in args]}
        case Not(arg):
            return {"op": "not", "arg": to_json(arg)}
        case Equals(field, value):
            return {"op": "eq", "field": field, "value": value}
        case In(field, values):
            return {"op": "in", "field": field, "values": list(values)}
        case Compare(field, cmp, value):
            return {"op": cmp, "field": field, "value": value}
        case MetricIs(metric, cmp, value):
            return {"op": "metric", "metric": metric, "cmp": cmp, "value": value}
        case TrainedOn(text):
            return {"op": "trained_on", "text": text}


def parse_filter(value: Json) -> Filter:
    """Return the tree of a filter's JSON form.

    Raises: FieldUnsupported for an operator or field that is not known; FilterTooLarge; DocumentMalformed.
    """
    budget = [NODES_MAX]
    return _parse(value, budget, depth=1)


def _parse(value: Json, budget: list[int], depth: int) -> Filter:
    budget[0] -= 1
    if budget[0] < 0 or depth > DEPTH_MAX:
        raise FilterTooLarge(nodes_max=NODES_MAX, depth_max=DEPTH_MAX)
    shape = Shape(value, "filter")
    op = shape.text("op", length_max=40)
    if op in ("and", "or"):
        node = _parse_group(shape, op, budget, depth)
    elif op == "not":
        node = Not(_parse(shape.value("arg"), budget, depth + 1))
    else:
        node = _parse_leaf(shape, op)
    shape.finish()
    return node


def _parse_group(shape: Shape, op: str, budget: list[int], depth: int) -> Filter:
    items = shape.value("args")
    if not isinstance(items, list) or not items:
        # An empty AND would be true for everything, an empty OR for nothing: neither can be meant.
        raise shape.refuse("args", "is not a list with at least one condition")
    args = tuple(_parse(item, budget, depth + 1) for item in items)
    return And(args) if op == "and" else Or(args)


def _parse_leaf(shape: Shape, op: str) -> Filter:
    match op:
        case "eq":
            return Equals(_known(shape, EXACT_FIELDS), _text(shape, "value"))
        case "in":
            field = _known(shape, EXACT_FIELDS)
            values = shape.texts("values", count_max=VALUES_MAX, length_max=TEXT_MAX)
            if not values:
                raise shape.refuse("values", "is empty")
            return In(field, values)
        case "gt" | "ge" | "lt" | "le":
            field = _known(shape, ORDERED_FIELDS)
            return Compare(field, op, _day(shape) if field == "created" else _decimal(shape))
        case "metric":
            metric = shape.text("metric", length_max=40)
            if not _METRIC.fullmatch(metric):
                raise shape.refuse("metric", "is not a lower-case metric name")
            return MetricIs(metric, _comparison(shape), _decimal(shape))
        case "trained_on":
            return TrainedOn(_text(shape, "text"))
        case _:
            raise FieldUnsupported(field=op)


def _known(shape: Shape, known: tuple[str, ...]) -> str:
    field = shape.text("field", length_max=40)
    if field not in known:
        raise FieldUnsupported(field=field)
    return field


def _comparison(shape: Shape) -> Comparison:
    value = shape.text("cmp", length_max=10)
    for known in COMPARISONS:
        if value == known:
            return known
    raise FieldUnsupported(field=value)


def _text(shape: Shape, name: str) -> str:
    return shape.text(name, length_min=1, length_max=TEXT_MAX)


def _decimal(shape: Shape) -> str:
    value = shape.text("value", length_max=40)
    if not _DECIMAL.fullmatch(value):
        raise shape.refuse("value", "is not a decimal number")
    return value


def _day(shape: Shape) -> str:
    value = shape.text("value", length_max=10)
    if not _DAY.fullmatch(value):
        raise shape.refuse("value", "is not a day such as 2026-01-31")
    return value
