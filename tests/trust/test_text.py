"""Words, text levels and public statistics are the same for everybody who computes them."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.canonical import Json, canonical_bytes, parse_object
from concordat_trust.encoding import sha256_hex
from concordat_trust.errors import ConcordatError
from concordat_trust.public_statistics import public_statistics_file
from concordat_trust.statistics_build import STOP_WORDS, build_statistics, weight_of
from concordat_trust.text import (
    QUERY_TERMS_MAX,
    STATISTICS_BYTES_MAX,
    WORD_CHARS_MAX,
    RecordTexts,
    StatisticsAnalyserUnknown,
    StatisticsMalformed,
    TermStatistics,
    analyse,
    matches_trained_on,
    query_terms,
    stem,
    terms_of,
    text_level,
    text_level_of_card,
    texts_of_card,
    trained_on_terms,
    words,
)
from concordat_trust.vocabulary import TEXT_FIELDS
from tests.factories.answers import make_card
from tests.factories.tokens import PROPERTY

HERE = Path(__file__).parent
VECTORS = [line.split() for line in (HERE / "stem_vectors.txt").read_text("utf-8").splitlines()]
PUBLIC = TermStatistics.parse(public_statistics_file())
SEPSIS = RecordTexts(
    title="Sepsis onset", summary="Intensive care", keywords=("vital signs",), description="Clinical trial arms"
)


def test_there_are_200_frozen_vectors() -> None:
    assert len(VECTORS) == 200


@pytest.mark.parametrize(("word", "stemmed"), VECTORS)
def test_a_word_has_the_stem_it_was_frozen_with(word: str, stemmed: str) -> None:
    assert stem(word) == stemmed


def test_threads_do_not_mix_words_up() -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(stem.__wrapped__, [word for word, _ in VECTORS] * 5))
    assert found == [stemmed for _, stemmed in VECTORS] * 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Clinical-Trial DATA_set", ["clinical", "trial", "data", "set"]),
        ("ﬁbrosis", ["fibrosis"]),  # a ligature is compatible with its letters
        ("Ｈｅａｒｔ", ["heart"]),
        ("STRASSE Straße STRAẞE", ["strasse", "strasse", "strasse"]),
        ("café cafe\u0301", ["café", "café"]),
        ("CO₂ 10⁻³", ["co2", "10", "3"]),
        ("ΐ", ["ΐ"]),  # folding takes it apart; it is put together again
        ("", []),
        (" _-—…\n", []),
        ("a\u2c60b\U0001fae8c", ["a", "b", "c"]),  # younger than Unicode 3.2: separates
        ("x" * 100, ["x" * WORD_CHARS_MAX]),
    ],
)
def test_words_are_folded_runs_of_letters_and_digits(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@PROPERTY
@given(st.text(max_size=60))
def test_words_of_a_joined_text_are_those_of_its_words(text: str) -> None:
    assert words(" ".join(words(text))) == words(text)


def test_stop_words_are_dropped_before_stemming() -> None:
    assert analyse("the models of the hospital", PUBLIC) == ("model", "hospit")


def test_query_terms_keep_their_order_once_each_and_at_most_32() -> None:
    assert query_terms("trial clinical trials Trial", PUBLIC) == ("trial", "clinic")
    many = " ".join(f"w{number}" for number in range(QUERY_TERMS_MAX + 1))
    assert query_terms(many, PUBLIC) == tuple(f"w{number}" for number in range(QUERY_TERMS_MAX))


@pytest.mark.parametrize(
    ("hidden", "level"),
    [
        ((), "full"),
        (("description",), "summary"),
        (("summary",), "title"),
        (("keywords",), "title"),
        (("summary", "description"), "title"),
        (("title",), "none"),
        (TEXT_FIELDS, "none"),
        (("evaluations", "contact"), "full"),
    ],
)
def test_a_text_level_ends_before_the_first_masked_text(hidden: tuple[str, ...], level: str) -> None:
    assert text_level(frozenset(hidden)) == level


@PROPERTY
@given(st.sets(st.sampled_from(TEXT_FIELDS)))
def test_a_card_shows_the_level_of_its_mask(hidden: set[str]) -> None:
    card = make_card() | dict.fromkeys(hidden)
    assert text_level_of_card(card) == text_level(frozenset(hidden))


def test_an_empty_text_is_not_a_masked_one() -> None:
    card = make_card(summary="", description="", keywords=[])
    assert text_level_of_card(card) == "full"


def test_the_texts_of_a_card_are_what_it_discloses() -> None:
    card = make_card(title="Sepsis", summary=None, keywords=None, description="Trial")
    assert texts_of_card(card) == RecordTexts(title="Sepsis", description="Trial")


def test_each_text_level_adds_its_fields_and_no_more() -> None:
    def at(level: str) -> set[str]:
        held = terms_of(SEPSIS, level, PUBLIC)  # type: ignore[arg-type]  # parametrised by name
        return {*held["title"], *held["text"]}

    assert at("none") == set()
    assert at("title") == {"sepsi", "onset"}
    assert at("summary") == {"sepsi", "onset", "intens", "care", "vital", "sign"}
    assert at("full") == {"sepsi", "onset", "intens", "care", "vital", "sign", "clinic", "trial", "arm"}


def test_trained_on_needs_every_word_that_says_something() -> None:
    assert trained_on_terms("the clinical trial data sets", PUBLIC) == ("clinic", "trial")
    assert matches_trained_on("clinical trial data", SEPSIS, "full", PUBLIC)
    assert matches_trained_on("sepsis trials dataset", SEPSIS, "full", PUBLIC)
    assert not matches_trained_on("clinical trial registry", SEPSIS, "full", PUBLIC)


def test_trained_on_reads_no_text_above_the_level() -> None:
    assert not matches_trained_on("clinical trial", SEPSIS, "summary", PUBLIC)


@pytest.mark.parametrize("text", ["", "data", "data sets", "the datasets of a set"])
def test_trained_on_nothing_in_particular_matches_nothing(text: str) -> None:
    assert not matches_trained_on(text, RecordTexts(title="data sets of a data set"), "full", PUBLIC)


def test_trained_on_never_drops_a_word() -> None:
    many = " ".join(f"w{number}" for number in range(QUERY_TERMS_MAX + 1))
    assert len(trained_on_terms(many, PUBLIC)) == QUERY_TERMS_MAX + 1


def test_the_revision_is_the_hash_of_the_file() -> None:
    assert PUBLIC.revision == sha256_hex(public_statistics_file())


def test_the_public_table_is_what_its_tool_builds() -> None:
    tool = runpy.run_path(str(HERE.parent.parent / "tools" / "build_public_statistics.py"))
    assert build_statistics(tool["documents"]()) == public_statistics_file()


def test_a_frequent_word_weighs_less_than_a_rare_one_and_an_unseen_one_most() -> None:
    weights = [PUBLIC.weight(term) for term in ("data", "model", "hospit", "retinopathi", "zzz")]
    assert weights == sorted(weights)
    assert PUBLIC.weight("zzz") == PUBLIC.unseen_weight == weight_of(1, PUBLIC.documents)


def test_a_weight_is_the_rounded_public_idf() -> None:
    # 32 · ln(1 + (1000 − 10 + ½) / (10 + ½)) = 145.87; a term in every document still weighs 1.
    assert weight_of(10, 1_000) == 146
    assert weight_of(1_000, 1_000) == 1


def test_built_averages_are_rounded_down_and_never_zero() -> None:
    texts = [RecordTexts(title="one two three"), RecordTexts(title="four five")]
    built = TermStatistics.parse(build_statistics(texts))
    assert built.fields["title"].average_length_thousandths == 2_000
    assert built.fields["text"].average_length_thousandths == 1_000
    assert built.stop_words == frozenset(STOP_WORDS)


def test_statistics_of_nothing_cannot_be_built() -> None:
    with pytest.raises(StatisticsMalformed):
        build_statistics([])


def _changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    table = parse_object(public_statistics_file(), bytes_max=STATISTICS_BYTES_MAX)
    change(table)
    return canonical_bytes(table)


def _set(name: str, value: Json) -> Callable[[dict[str, Any]], object]:
    return lambda table: table.update({name: value})


MALFORMED: dict[str, Callable[[dict[str, Any]], object]] = {
    "another version": _set("statistics_version", 2),
    "an unknown member": _set("more", 1),
    "no terms": lambda table: table.pop("terms"),
    "a weight of zero": _set("terms", {"sepsi": 0}),
    "a weight beyond the limit": _set("terms", {"sepsi": 1_001}),
    "a weight that is a text": _set("terms", {"sepsi": "5"}),
    "an unseen word of no weight": _set("unseen_weight", 0),
    "no k1": _set("k1_thousandths", 0),
    "no documents": _set("documents", 0),
    "a field less": lambda table: table["fields"].pop("title"),
    "a field more": lambda table: table["fields"].update(body={}),
    "b above one": lambda table: table["fields"]["text"].update(b_thousandths=1_001),
    "an average of zero": lambda table: table["fields"]["text"].update(average_length_thousandths=0),
}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED.keys())
def test_statistics_that_break_a_rule_are_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(StatisticsMalformed):
        TermStatistics.parse(_changed(change))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", public_statistics_file() + b"\n"])
def test_statistics_in_another_form_are_refused(data: bytes) -> None:
    with pytest.raises(StatisticsMalformed):
        TermStatistics.parse(data)


def test_statistics_of_another_analyser_are_refused() -> None:
    with pytest.raises(StatisticsAnalyserUnknown):
        TermStatistics.parse(_changed(_set("analyser", "concordat-2")))


@PROPERTY
@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_no_changed_byte_of_the_table_keeps_the_revision(position: int, mask: int) -> None:
    data = bytearray(public_statistics_file())
    data[position % len(data)] ^= mask
    try:
        revision = TermStatistics.parse(bytes(data)).revision
    except ConcordatError:
        return
    assert revision != PUBLIC.revision
