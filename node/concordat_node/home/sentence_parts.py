"""Recognising one part of a sentence at one place: a metric, a training set, typed conditions, a kind of asset.

Each recogniser takes the tokens and a position, and returns the part that begins there, or None. They are deterministic
patterns: a phrase that fits none stays text, which the requester is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeVar

from concordat_node.home.filter_language import decimal_text, number_of, parse_conditions
from concordat_node.home.sentence_tokens import Token
from concordat_node.home.sentence_words import (
    AFTER_KIND,
    ALTERNATIVES,
    BEFORE_NO_HEAD,
    BETWEEN_METRIC_AND_COMPARATOR,
    CLAUSES,
    COMPARATORS,
    CONNECTORS,
    KINDS,
    LEADS,
    METRICS,
    NEGATORS,
    OTHER_NEGATIONS,
    PERCENT,
    PLURALS,
    TRAINED_ON,
)
from concordat_trust.filters import TEXT_MAX, Comparison, Equals, Filter, In, MetricIs, Not, Or, TrainedOn
from concordat_trust.vocabulary import RATIO_METRICS

PartKind = Literal["kind", "trained_on", "metric", "condition"]
Tokens = Sequence[Token]
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens `first` to `end` (exclusive) and what they mean."""

    kind: PartKind
    filter: Filter
    first: int
    end: int


def phrase_at(tokens: Tokens, at: int, phrases: Mapping[tuple[str, ...], V]) -> tuple[V, int] | None:
    """Return the value and the end of the longest phrase that begins at `at`."""
    for length in range(4, 0, -1):
        words = tuple(token.lower for token in tokens[at : at + length])
        if len(words) == length and words in phrases:
            return phrases[words], at + length
    return None


def metric_at(tokens: Tokens, at: int) -> Part | None:
    """Recognise "accuracy above 90%", "AUC of at least 0.8" and "at least 90% accuracy"."""
    named = phrase_at(tokens, at, METRICS)
    if named is not None:
        names, here = named
        here = _skip(tokens, here, BETWEEN_METRIC_AND_COMPARATOR)
        compared = phrase_at(tokens, here, COMPARATORS)
        if compared is None:
            return None
        number = _number_at(tokens, compared[1], names[0])
        return None if number is None else _metric_part(names, compared[0], number[0], at, number[1])
    compared = phrase_at(tokens, at, COMPARATORS)
    if compared is None:
        return None
    for end in (compared[1] + 1, compared[1] + 2):
        named = phrase_at(tokens, end, METRICS)
        number = None if named is None else _number_at(tokens, compared[1], named[0][0])
        if named is not None and number is not None and number[1] == end:
            return _metric_part(named[0], compared[0], number[0], at, named[1])
    return None


def _metric_part(names: tuple[str, ...], comparison: Comparison, value: str, first: int, end: int) -> Part:
    any_of = tuple(MetricIs(name, comparison, value) for name in names)
    return Part("metric", any_of[0] if len(any_of) == 1 else Or(any_of), first, end)


def _number_at(tokens: Tokens, at: int, metric: str) -> tuple[str, int] | None:
    if at >= len(tokens) or tokens[at].kind != "number":
        return None
    text, end = tokens[at].text.replace(" ", ""), at + 1
    if end < len(tokens) and tokens[end].lower in PERCENT and not text.endswith("%"):
        text, end = text + "%", end + 1
    value = number_of("0" + text if text.startswith(".") else text, metric)
    if value is not None and metric in RATIO_METRICS and Decimal(value) > 1:
        if text.endswith("%"):
            return None  # more than 100 % of a ratio is not understood, rather than divided once more
        # "accuracy above 90": a ratio cannot be 90, so a percentage is meant; the chip shows 0.9.
        value = decimal_text(Decimal(value) / 100)
        if Decimal(value) > 1:
            return None
    return None if value is None else (value, end)


def trained_on_at(tokens: Tokens, at: int, sentence: str) -> Part | None:
    """Recognise "trained on X", where X goes on until something else is recognised or a new clause begins."""
    phrase = phrase_at(tokens, at, TRAINED_ON)
    if phrase is None:
        return None
    affirms, first = phrase
    end = first
    while end < len(tokens) and not _is_boundary(tokens, end, sentence):
        end += 1
    texts = _alternatives(tokens[first:end], sentence)
    if not texts or any(len(text) > TEXT_MAX for text in texts):
        return None
    node: Filter = TrainedOn(texts[0]) if len(texts) == 1 else Or(tuple(TrainedOn(text) for text in texts))
    return Part("trained_on", node if affirms else Not(node), at, end)


def _alternatives(tokens: Tokens, sentence: str) -> list[str]:
    separators = {*ALTERNATIVES, ","} if any(token.lower in ALTERNATIVES for token in tokens) else set()
    groups: list[list[Token]] = [[]]
    for token in tokens:
        if token.lower in separators and token.kind != "quoted":
            groups.append([])
        else:
            groups[-1].append(token)
    texts = (sentence[group[0].start : group[-1].end] for group in groups if group)
    return [stripped for text in texts if (stripped := text.strip('" '))]


def _is_boundary(tokens: Tokens, at: int, sentence: str) -> bool:
    here = _skip(tokens, at, CONNECTORS)
    if here >= len(tokens):
        return True
    word = tokens[here]
    if here > at and word.lower in CLAUSES:
        return True
    if word.lower in NEGATORS | OTHER_NEGATIONS or word.lower == "but" or tokens[at].lower in ("but", ";"):
        return True
    if word.lower in ALTERNATIVES:
        return _begins_part(tokens, _skip(tokens, here + 1, CONNECTORS), sentence)
    if word.text in ".?!":
        return True
    return _begins_part(tokens, here, sentence)


def _begins_part(tokens: Tokens, at: int, sentence: str) -> bool:
    if at >= len(tokens):
        return False
    if tokens[at].kind == "condition" or conditions_at(tokens, at, sentence) is not None:
        return True
    return metric_at(tokens, at) is not None or phrase_at(tokens, at, TRAINED_ON) is not None


def conditions_at(tokens: Tokens, at: int, sentence: str) -> Part | None:
    """Recognise a run of typed conditions with their AND, OR, NOT and parentheses.

    Raises: FilterFieldUnknown, FilterValueInvalid, FilterMalformed.
    """
    if tokens[at].kind != "condition" and tokens[at].text != "(" and tokens[at].lower != "not":
        return None
    end = at
    while end < len(tokens) and (
        tokens[end].kind == "condition" or tokens[end].text in "()," or tokens[end].lower in ("and", "or", "not")
    ):
        end += 1
    while end > at and tokens[end - 1].kind != "condition" and tokens[end - 1].text != ")":
        end -= 1
    if not any(token.kind == "condition" for token in tokens[at:end]):
        return None
    if all(token.kind == "condition" or token.lower in ("and", ",") for token in tokens[at:end]):
        end = at + 1  # plain conditions become one chip each
    return Part("condition", parse_conditions(sentence[tokens[at].start : tokens[end - 1].end]), at, end)


def kind_at(tokens: Tokens, at: int) -> Part | None:
    """Recognise "models", "data sets", "models and data sets" where they are the head of what is asked for."""
    found = phrase_at(tokens, at, KINDS)
    if found is None:
        return None
    kinds, end = [found[0]], found[1]
    while end < len(tokens) and tokens[end].lower in ("and", "or", ",", "&", "and/or"):
        further = phrase_at(tokens, end + 1, KINDS)
        if further is None:
            break
        kinds, end = [*kinds, further[0]], further[1]
    if not _is_head(tokens, at, end):
        return None
    unique = tuple(sorted(set(kinds)))
    node: Filter = Equals("kind", unique[0]) if len(unique) == 1 else In("kind", unique)
    return Part("kind", node, at, end)


def _is_head(tokens: Tokens, at: int, end: int) -> bool:
    before = tokens[at - 1].lower if at > 0 else ""
    if before in NEGATORS | OTHER_NEGATIONS:
        return False
    if before in BEFORE_NO_HEAD and not all(token.lower in LEADS for token in tokens[:at]):
        return False
    if end == len(tokens) or tokens[end].kind != "word":
        return True
    if tokens[end].lower in CONNECTORS | AFTER_KIND | ALTERNATIVES or metric_at(tokens, end) is not None:
        return True
    return at == 0 and tokens[end - 1].lower in PLURALS


def _skip(tokens: Tokens, at: int, words: frozenset[str]) -> int:
    while at < len(tokens) and tokens[at].lower in words:
        at += 1
    return at
