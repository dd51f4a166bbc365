"""Scores and order, computed alike by the node that answers and by everybody who checks it.

Rules of this file:

* Impact is BM25's term-frequency part as one byte, computed in exact integers; score is Σ weight · impact. Sums are
  exact in any order, and no two machines can round differently (the recipe was measured: title counts twice).
* A record's sort key is computed from what is disclosed of it and from nothing else.
* Order is the sort key (None last either way), then the tie key, which is the hash of the id, then the id.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from concordat_trust.canonical import INTEGER_MAX, Json, JsonObject
from concordat_trust.question import Question, Sort
from concordat_trust.text import (
    SCORED_FIELDS,
    RecordTexts,
    TermStatistics,
    TextField,
    TextLevel,
    query_terms,
    terms_of,
    text_level_of_card,
    texts_of_card,
)

__all__ = [
    "RecordTexts",
    "TermStatistics",
    "evaluation_key",
    "impacts",
    "impacts_of_card",
    "matches_text",
    "order_key",
    "query_terms",
    "score",
    "sort_key",
]

IMPACT_MAX = 255
DECIMALS = 12
KEY_DECIMALS = 6
TRAIN = "train"

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DECIMAL = re.compile(r"(-?)([0-9]{1,18})(?:\.([0-9]{1,12}))?")


def impacts(
    texts: RecordTexts, level: TextLevel, statistics: TermStatistics, *, only: Iterable[str] | None = None
) -> dict[str, int]:
    """Return term → impact (1 to 255) for every term of a record that may be read at `level`, or for `only` these.

    With tf = Σ weight·n / (1 − b + b·length/average) over the fields, impact = max(1, round(255 · tf / (k1 + tf))).
    """
    counts = {name: Counter(terms) for name, terms in terms_of(texts, level, statistics).items()}
    lengths = {name: _length(counts[name].total(), name, statistics) for name in SCORED_FIELDS}
    if only is None:
        terms = list(dict.fromkeys(term for name in SCORED_FIELDS for term in counts[name]))
    else:
        terms = [term for term in only if any(term in counts[name] for name in SCORED_FIELDS)]
    return {term: _impact(term, counts, lengths, statistics) for term in terms}


def _length(count: int, name: TextField, statistics: TermStatistics) -> int:
    """Return (1 − b + b·length/average) · average, in millionths of a word."""
    field = statistics.fields[name]
    return (1_000 - field.b_thousandths) * field.average_length_thousandths + field.b_thousandths * count * 1_000


def _impact(
    term: str, counts: Mapping[TextField, Counter[str]], lengths: Mapping[TextField, int], statistics: TermStatistics
) -> int:
    # tf is kept as the fraction numerator / denominator: title and text have different lengths below the line.
    numerator, denominator = 0, 1
    for name in SCORED_FIELDS:
        field = statistics.fields[name]
        part = field.weight * counts[name][term] * 1_000 * field.average_length_thousandths
        numerator = numerator * lengths[name] + part * denominator
        denominator *= lengths[name]
    above = 1_000 * numerator
    below = statistics.k1_thousandths * denominator + above
    return max(1, (2 * IMPACT_MAX * above + below) // (2 * below))


def impacts_of_card(
    card: JsonObject, statistics: TermStatistics, *, only: Iterable[str] | None = None
) -> dict[str, int]:
    """Return the impacts that a card or asset has as disclosed; the owner's index has the same integers."""
    return impacts(texts_of_card(card), text_level_of_card(card), statistics, only=only)


def score(terms: Iterable[str], held: Mapping[str, int], statistics: TermStatistics) -> int:
    """Return Σ weight · impact over the query terms that the record holds; 0 without any."""
    return sum(statistics.weight(term) * held[term] for term in terms if term in held)


def matches_text(terms: Sequence[str], held: Mapping[str, int]) -> bool:
    """Say whether a record is a match for these query terms: one is enough, and no term at all matches everything."""
    return not terms or any(term in held for term in terms)


def sort_key(question: Question, card: JsonObject, terms: Sequence[str], statistics: TermStatistics) -> int | None:
    """Return the integer that a disclosed record is ordered by, or None when what it takes is not disclosed.

    Relevance is the score (0 without text), `created` the day as yyyymmdd, a metric its `evaluation_key`. `card` has
    passed `validate_record`; `terms` are the `query_terms` of the question.
    """
    sort = question.sort
    if sort.by == "relevance":
        return score(terms, impacts_of_card(card, statistics, only=terms), statistics) if terms else 0
    if sort.by == "created":
        return _day_key(card["created"])
    return evaluation_key(sort.metric, _evaluations(card["evaluations"]))


def named_key(question: Question, *, is_named: bool) -> int:
    """Return the key of a record of an answer by ids; `is_named` when the part has its id.

    Of a lineage, what is asked for comes before what came from it, so that a long list never cuts it off.
    """
    return int(is_named and question.operation == "lineage")


def evaluation_key(metric: str | None, evaluations: Iterable[tuple[str, str, str]]) -> int | None:
    """Return the largest value·10^6, rounded down, of a metric on a split other than `train`; None without any.

    `evaluations` are (metric, decimal string, split). A value beyond the canonical integers has no key.
    """
    keys = [_scaled(value) for name, value, split in evaluations if name == metric and split != TRAIN]
    return max((key for key in keys if key is not None), default=None)


def _scaled(value: str) -> int | None:
    parts = _DECIMAL.fullmatch(value)
    if parts is None:
        return None
    sign, whole, fraction = parts.groups(default="")
    key = int(sign + whole + fraction.ljust(DECIMALS, "0")) // 10 ** (DECIMALS - KEY_DECIMALS)
    return key if abs(key) <= INTEGER_MAX else None


def _evaluations(value: Json) -> list[tuple[str, str, str]]:
    entries = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    triples = [(item.get("metric"), item.get("value"), item.get("split")) for item in entries]
    return [(m, v, s) for m, v, s in triples if isinstance(m, str) and isinstance(v, str) and isinstance(s, str)]


def _day_key(value: Json) -> int | None:
    is_day = isinstance(value, str) and _DAY.fullmatch(value)
    return int(str(value).replace("-", "")) if is_day else None


def order_key(sort: Sort, key: int | None, tie: str, asset_id: str) -> tuple[bool, int, str, str]:
    """Return what sorts ascending into the order of an answer; `tie` is `ids.tie_key` of the id."""
    if key is None:
        return (True, 0, tie, asset_id)
    return (False, key if sort.order == "asc" else -key, tie, asset_id)
