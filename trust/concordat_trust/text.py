"""Words, and how much of a record's text a requester may be matched on.

Rules of this file:

* One analyser for index, question and home: NFKC, case folding, runs of letters and digits, stop words, Snowball
  English. Characters outside Unicode 3.2 separate words (one letter excepted), because normalisation and folding of the
  older ones never change: two Python versions cut every text alike.
* Text has levels. What a mask hides takes part in no match and no score, so a card alone is enough to score it again.
* Weights come from frozen public statistics, never from the records of a node; their revision is the hash of the file.
* Integers only. Floating point logarithms differ between machines, so they stay where the file is built.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, Self, get_args

from snowballstemmer.english_stemmer import EnglishStemmer

from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.encoding import sha256_hex
from concordat_trust.errors import RefusedDocument
from concordat_trust.shape import Shape

TextLevel = Literal["none", "title", "summary", "full"]
TEXT_LEVELS: tuple[TextLevel, ...] = get_args(TextLevel)
TextField = Literal["title", "text"]
SCORED_FIELDS: tuple[TextField, ...] = get_args(TextField)

ANALYSER = "concordat-1:unicode-3.2,nfkc,casefold,letters-digits,snowball-english-3"
STATISTICS_VERSION = 1
STATISTICS_BYTES_MAX = 8_000_000
TERMS_MAX = 200_000
STOP_WORDS_MAX = 1_000
QUERY_TERMS_MAX = 32
WORD_CHARS_MAX = 64
WEIGHT_MAX = 1_000  # 32 · ln(1 + N) stays below it for any collection that fits on this planet
MEMO_WORDS_MAX = 65_536

GENERIC_WORDS = frozenset({"data", "dataset", "datasets", "set", "sets"})
"""What says "data set" in "models trained on X data sets" and so says nothing about X."""

_WORD = re.compile(r"[^\W_]+")
_CAPITAL_SHARP_S = "\u1e9e"  # younger than Unicode 3.2, folds to "ss", and stands in German names


class StatisticsMalformed(RefusedDocument):
    code = "statistics_malformed"
    sentence = "The term statistics are not valid: {problem}."
    hint = "Publish the file exactly as the build tool wrote it; every party hashes these bytes."


class StatisticsAnalyserUnknown(RefusedDocument):
    code = "statistics_analyser_unknown"
    sentence = "The term statistics are for another analyser than the one built in here."
    hint = "Install the release that the network has agreed on; scores of two analysers cannot be compared."


@dataclass(frozen=True, slots=True)
class RecordTexts:
    """The scored texts of one record; a field that may not be read is empty here."""

    title: str = ""
    summary: str = ""
    keywords: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class FieldStatistics:
    """How one field counts: its weight, BM25's b and the average length, both in thousandths."""

    weight: int
    b_thousandths: int
    average_length_thousandths: int


@dataclass(frozen=True, slots=True)
class TermStatistics:
    """The public, frozen table that all scores of a network come from; made by `parse` only."""

    revision: str
    documents: int
    k1_thousandths: int
    fields: Mapping[TextField, FieldStatistics]
    stop_words: frozenset[str]
    terms: Mapping[str, int]
    unseen_weight: int

    def weight(self, term: str) -> int:
        """Return the integer weight of an analysed term; a term that nobody has seen is a rare one."""
        return self.terms.get(term, self.unseen_weight)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the statistics of a canonical file; `revision` is the SHA-256 of these bytes in hex.

        Raises: StatisticsMalformed, StatisticsAnalyserUnknown.
        """
        try:
            obj = parse_object(data, bytes_max=STATISTICS_BYTES_MAX)
            is_canonical = canonical_bytes(obj) == data
            shape = Shape(obj, "statistics")
            shape.integer("statistics_version", minimum=STATISTICS_VERSION, maximum=STATISTICS_VERSION)
            analyser = shape.text("analyser")
            statistics = cls._read(shape, sha256_hex(data))
        except RefusedDocument as error:
            raise StatisticsMalformed(problem=error.message) from error
        if not is_canonical:
            raise StatisticsMalformed(problem="the bytes are not the canonical form")
        if analyser != ANALYSER:
            raise StatisticsAnalyserUnknown
        return statistics

    @classmethod
    def _read(cls, shape: Shape, revision: str) -> Self:
        fields = shape.object("fields")
        statistics = cls(
            revision=revision,
            documents=shape.integer("documents", minimum=1),
            k1_thousandths=shape.integer("k1_thousandths", minimum=1, maximum=100_000),
            fields=MappingProxyType({name: _field(fields.object(name)) for name in SCORED_FIELDS}),
            stop_words=frozenset(shape.texts("stop_words", count_max=STOP_WORDS_MAX, length_max=WORD_CHARS_MAX)),
            terms=_terms(shape.object("terms")),
            unseen_weight=shape.integer("unseen_weight", minimum=1, maximum=WEIGHT_MAX),
        )
        fields.finish()
        shape.finish()
        return statistics


def _field(shape: Shape) -> FieldStatistics:
    field = FieldStatistics(
        weight=shape.integer("weight", minimum=1, maximum=100),
        b_thousandths=shape.integer("b_thousandths", minimum=0, maximum=1_000),
        average_length_thousandths=shape.integer("average_length_thousandths", minimum=1, maximum=10**9),
    )
    shape.finish()
    return field


def _terms(shape: Shape) -> Mapping[str, int]:
    names = shape.unknown()
    if len(names) > TERMS_MAX:
        raise shape.refuse("", f"has more than {TERMS_MAX} entries")
    return MappingProxyType({name: shape.integer(name, minimum=1, maximum=WEIGHT_MAX) for name in names})


def words(text: str) -> list[str]:
    """Return the folded words of a text in order, before stop words and stemming."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", "".join(map(_settled, text)))
    folded = text.casefold()
    if not folded.isascii():
        folded = unicodedata.normalize("NFKC", folded)
    return [word[:WORD_CHARS_MAX] for word in _WORD.findall(folded)]


def _settled(character: str) -> str:
    is_old = unicodedata.ucd_3_2_0.category(character) != "Cn" or character == _CAPITAL_SHARP_S
    return character if is_old else " "


@lru_cache(maxsize=MEMO_WORDS_MAX)
def stem(word: str) -> str:
    """Return the Snowball English stem of a folded word."""
    # A stemmer keeps the word it works on, so one shared by threads would mix two words up.
    stemmed: str = EnglishStemmer().stemWord(word)
    return stemmed


def analyse(text: str, statistics: TermStatistics) -> tuple[str, ...]:
    """Return the terms of a text in order, repetitions included."""
    return tuple(stem(word) for word in words(text) if word not in statistics.stop_words)


def query_terms(text: str, statistics: TermStatistics) -> tuple[str, ...]:
    """Return the different terms of a question's text in order of appearance, at most QUERY_TERMS_MAX."""
    return tuple(dict.fromkeys(analyse(text, statistics)))[:QUERY_TERMS_MAX]


def trained_on_terms(text: str, statistics: TermStatistics) -> tuple[str, ...]:
    """Return what must all occur in a data set for "trained on TEXT"; empty means that nothing matches.

    Never shortened, because a condition is never dropped: the text of a filter is short enough.
    """
    kept = [word for word in words(text) if word not in GENERIC_WORDS and word not in statistics.stop_words]
    return tuple(dict.fromkeys(stem(word) for word in kept))


def terms_of(texts: RecordTexts, level: TextLevel, statistics: TermStatistics) -> dict[TextField, tuple[str, ...]]:
    """Return the terms of each scored field as far as `level` lets them be read."""
    title = texts.title if level != "none" else ""
    body: tuple[str, ...] = ()
    if level in ("summary", "full"):
        body = (texts.summary, *texts.keywords)
    if level == "full":
        body = (*body, texts.description)
    return {
        "title": analyse(title, statistics),
        "text": tuple(term for part in body for term in analyse(part, statistics)),
    }


def matches_trained_on(text: str, texts: RecordTexts, level: TextLevel, statistics: TermStatistics) -> bool:
    """Say whether a data set with these texts, at this level, is one that TEXT in "trained on TEXT" describes."""
    wanted = trained_on_terms(text, statistics)
    if not wanted:
        return False
    held = terms_of(texts, level, statistics)
    return set(wanted) <= {*held["title"], *held["text"]}


def text_level(hidden: frozenset[str]) -> TextLevel:
    """Return how far the text of a record may be read when these fields are masked."""
    if "title" in hidden:
        return "none"
    if "summary" in hidden or "keywords" in hidden:
        return "title"
    return "summary" if "description" in hidden else "full"


def text_level_of_card(card: JsonObject) -> TextLevel:
    """Return the text level of a card or asset as disclosed, where null means masked; agrees with `text_level`."""
    return text_level(frozenset(name for name in ("title", "summary", "keywords", "description") if card[name] is None))


def texts_of_card(card: JsonObject) -> RecordTexts:
    """Return the texts of a validated card or asset; what is masked is empty."""
    keywords = card["keywords"]
    return RecordTexts(
        title=_text(card, "title"),
        summary=_text(card, "summary"),
        keywords=tuple(str(item) for item in keywords) if isinstance(keywords, list) else (),
        description=_text(card, "description"),
    )


def _text(card: JsonObject, name: str) -> str:
    value = card[name]
    return value if isinstance(value, str) else ""
