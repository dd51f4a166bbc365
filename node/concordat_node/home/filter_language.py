"""The typed conditions of a sentence: `license:MIT AND (task:triage OR NOT metric:accuracy>=90%)`.

A small grammar (lark, LALR), typed against the fields of the network: an unknown field is an error with a suggestion,
and never becomes text. Juxtaposition is AND; NOT binds tighter than AND, AND tighter than OR.
"""

from __future__ import annotations

import difflib
import re
from decimal import Decimal

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput, VisitError

from concordat_node.home.sentence_tokens import CONDITION
from concordat_node.home.sentence_words import METRICS, SYMBOLS
from concordat_trust.errors import RequesterError
from concordat_trust.filters import And, Compare, Comparison, Equals, Filter, In, MetricIs, Not, Or, TrainedOn
from concordat_trust.vocabulary import EXACT_FIELDS, ORDERED_FIELDS, RATIO_METRICS

_KINDS = {"model": "model", "models": "model", "dataset": "dataset", "datasets": "dataset", "data-set": "dataset"}
_ALIASES = {"licence": "license", "keywords": "keyword"}
FIELDS = (*EXACT_FIELDS, *ORDERED_FIELDS, "metric", "trained_on")
_COMPARED = re.compile(
    r"(?P<field>[A-Za-z][\w-]*)(?P<colon>:?)(?P<name>\w*)\s*(?P<cmp>>=|<=|=|>|<|≥|≤)\s*(?P<value>.+)"
)
_NUMBER = re.compile(r"(\d{1,12}(?:\.\d{1,10})?)(%?)")
_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_METRIC = re.compile(r"[a-z][a-z0-9_]{0,39}")


class FilterFieldUnknown(RequesterError):
    code = "filter_field_unknown"
    sentence = "There is no field {field!r} to filter by{suggestion}."
    hint = "Fields: " + ", ".join(FIELDS) + ". Put words that are not a condition in quotation marks."


class FilterValueInvalid(RequesterError):
    code = "filter_value_invalid"
    sentence = "The condition {condition!r} {problem}."
    hint = 'Write license:MIT, metric:accuracy>=90%, created>=2026-01-31 or trained_on:"clinical trial".'


class FilterMalformed(RequesterError):
    code = "filter_malformed"
    sentence = "The conditions {text!r} are not well formed."
    hint = "Balance the parentheses and join conditions with AND, OR and NOT."


_GRAMMAR = r"""
    ?start: alternatives
    ?alternatives: conjunction (_OR conjunction)*
    ?conjunction: factor ((_AND | _COMMA)? factor)*
    ?factor: _NOT factor -> negation
           | "(" alternatives ")"
           | CONDITION -> condition
    CONDITION.2: /THE_CONDITION/x
    _AND: /and\b/i
    _OR: /or\b/i
    _NOT: /not\b/i
    _COMMA: ","
    %ignore /\s+/
""".replace("THE_CONDITION", CONDITION.pattern.replace("/", r"\/"))


class _Build(Transformer[Token, Filter]):
    def alternatives(self, items: list[Filter]) -> Filter:
        return Or(tuple(items))

    def conjunction(self, items: list[Filter]) -> Filter:
        return And(tuple(items))

    def negation(self, items: list[Filter]) -> Filter:
        return Not(items[0])

    def condition(self, items: list[Token]) -> Filter:
        return condition_filter(str(items[0]))


_PARSER = Lark(_GRAMMAR, parser="lalr", lexer="basic")


def parse_conditions(text: str) -> Filter:
    """Return the filter of typed conditions. Raises: FilterFieldUnknown, FilterValueInvalid, FilterMalformed."""
    try:
        return _Build().transform(_PARSER.parse(text))
    except UnexpectedInput as error:
        raise FilterMalformed(text=text[:200]) from error
    except VisitError as error:
        if isinstance(error.orig_exc, RequesterError):
            raise error.orig_exc from error
        raise


def condition_filter(text: str) -> Filter:
    """Return the filter of one condition. Raises: FilterFieldUnknown, FilterValueInvalid."""
    compared = None if '"' in text else _COMPARED.fullmatch(text)
    if compared is None:
        name, _, value = text.partition(":")
        field = _field(name)
        if field is None:
            raise _unknown(name)
        return _exact(text, field, value)
    name, comparison = compared["field"], SYMBOLS[compared["cmp"]]
    if not compared["colon"] and _metric_names(name):
        return _metric(text, name.lower(), comparison, compared["value"])
    field = _field(name)
    if field is None:
        raise _unknown(name)
    if field == "metric" and compared["name"]:
        return _metric(text, compared["name"].lower(), comparison, compared["value"])
    if field in ORDERED_FIELDS and not compared["name"]:
        return _ordered(text, field, comparison, compared["value"])
    raise FilterValueInvalid(condition=text[:100], problem="compares something that has no order")


def number_of(text: str, metric: str) -> str | None:
    """Return the decimal string of `0.9` or `90%` for a metric, or None when the unit does not fit."""
    match = _NUMBER.fullmatch(text.replace(" ", ""))
    if match is None:
        return None
    value = Decimal(match[1])
    if match[2]:
        if metric not in RATIO_METRICS:
            return None
        value /= 100
    return decimal_text(value)


def decimal_text(value: Decimal) -> str:
    """Return the shortest plain form: 0.90 is "0.9", 1E+2 is "100"."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _field(name: str) -> str | None:
    plain = name.lower().replace("-", "_")
    plain = _ALIASES.get(plain, plain)
    return plain if plain in FIELDS else None


def _metric_names(name: str) -> bool:
    return (name.lower(),) in METRICS or name.lower() in RATIO_METRICS


def _unknown(name: str) -> FilterFieldUnknown:
    close = difflib.get_close_matches(name.lower(), FIELDS, n=1, cutoff=0.5)
    return FilterFieldUnknown(field=name[:60], suggestion=f"; did you mean {close[0]}?" if close else "")


def _metric(text: str, metric: str, comparison: Comparison, value: str) -> Filter:
    number = number_of(value, metric)
    if number is None or not _METRIC.fullmatch(metric):
        raise FilterValueInvalid(condition=text[:100], problem="does not compare a metric with a number")
    return MetricIs(metric, comparison, number)


def _ordered(text: str, field: str, comparison: Comparison, value: str) -> Filter:
    fits = _DAY.fullmatch(value) if field == "created" else _NUMBER.fullmatch(value) and not value.endswith("%")
    if not fits or comparison == "eq":
        raise FilterValueInvalid(condition=text[:100], problem="does not compare with a day or a number by < <= > >=")
    return Compare(field, comparison, value if field == "created" else decimal_text(Decimal(value)))


def _exact(text: str, field: str, value: str) -> Filter:
    values = (value[1:-1],) if value.startswith('"') else tuple(value.split(","))
    if not all(item.strip() for item in values):
        raise FilterValueInvalid(condition=text[:100], problem="has no value")
    if field == "trained_on" and len(values) == 1:
        return TrainedOn(values[0])
    if field not in EXACT_FIELDS:
        raise FilterValueInvalid(condition=text[:100], problem="needs a comparison such as > or >=")
    if field == "kind":
        values = tuple(_kind(text, item) for item in values)
    return Equals(field, values[0]) if len(values) == 1 else In(field, values)


def _kind(text: str, value: str) -> str:
    kind = _KINDS.get(value.lower())
    if kind is None:
        raise FilterValueInvalid(condition=text[:100], problem="is neither model nor dataset")
    return kind
