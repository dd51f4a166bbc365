"""Making the public term statistics out of public texts; the only place where a logarithm is taken.

Rules of this file:

* The texts are public metadata. A private word in the table would be a disclosure to the whole network.
* A term's weight is max(1, round(32 · ln(1 + (N − df + ½) / (df + ½)))), a term nobody has seen counts as df = 1.
* Averages are rounded down to whole words: too long an average costs more quality than too short a one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from concordat_trust.canonical import Json, canonical_bytes
from concordat_trust.text import ANALYSER, STATISTICS_VERSION, RecordTexts, TermStatistics, terms_of

_STOP_WORDS = """
a about above after all also an and any are as at be been before between both but by can could do does each for from had
has have how if in into is it its may more most no not of on or other our over such than that the their them then there
these they this those to under up was we were what when where which while who will with would
"""
STOP_WORDS = tuple(_STOP_WORDS.split())
K1_THOUSANDTHS = 1_200
TITLE_WEIGHT, TITLE_B_THOUSANDTHS = 2, 500
TEXT_WEIGHT, TEXT_B_THOUSANDTHS = 1, 750
WEIGHT_SCALE = 32


def build_statistics(documents: Iterable[RecordTexts], *, stop_words: Iterable[str] = STOP_WORDS) -> bytes:
    """Return the canonical file of the term statistics of these public documents, as `TermStatistics.parse` reads it.

    Raises: StatisticsMalformed when there is no document.
    """
    stopped = sorted(set(stop_words))
    empty = TermStatistics.parse(_file(1, stopped, {"title": 1, "text": 1}, Counter()))
    count, frequency, lengths = 0, Counter[str](), Counter[str]()
    for document in documents:
        held = terms_of(document, "full", empty)
        count += 1
        frequency.update({*held["title"], *held["text"]})
        lengths.update({name: len(terms) for name, terms in held.items()})
    averages = {name: max(1, lengths[name] // max(1, count)) for name in ("title", "text")}
    data = _file(count, stopped, averages, frequency)
    TermStatistics.parse(data)
    return data


def weight_of(document_frequency: int, documents: int) -> int:
    """Return the integer weight of a term that stands in so many of the documents."""
    odds = (documents - document_frequency + 0.5) / (document_frequency + 0.5)
    return max(1, round(WEIGHT_SCALE * math.log(1 + odds)))


def _file(documents: int, stop_words: list[str], averages: dict[str, int], frequency: Counter[str]) -> bytes:
    terms: dict[str, Json] = {term: weight_of(df, documents) for term, df in frequency.items()}
    return canonical_bytes(
        {
            "analyser": ANALYSER,
            "documents": documents,
            "fields": {
                "title": _field(TITLE_WEIGHT, TITLE_B_THOUSANDTHS, averages["title"]),
                "text": _field(TEXT_WEIGHT, TEXT_B_THOUSANDTHS, averages["text"]),
            },
            "k1_thousandths": K1_THOUSANDTHS,
            "statistics_version": STATISTICS_VERSION,
            "stop_words": list(stop_words),
            "terms": terms,
            "unseen_weight": weight_of(1, documents),
        }
    )


def _field(weight: int, b_thousandths: int, average: int) -> dict[str, Json]:
    return {
        "weight": weight,
        "b_thousandths": b_thousandths,
        "average_length_thousandths": average * 1_000,
    }
