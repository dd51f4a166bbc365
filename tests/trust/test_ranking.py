"""Scores are exact integers of what is disclosed; order is decided by them and by the hash of the id alone."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.canonical import INTEGER_MAX, JsonObject
from concordat_trust.ids import tie_key
from concordat_trust.public_statistics import public_statistics_file
from concordat_trust.question import Sort
from concordat_trust.ranking import (
    evaluation_key,
    impacts,
    impacts_of_card,
    matches_text,
    order_key,
    score,
    sort_key,
)
from concordat_trust.text import (
    TEXT_LEVELS,
    RecordTexts,
    TermStatistics,
    TextLevel,
    query_terms,
    terms_of,
    text_level,
)
from concordat_trust.vocabulary import TEXT_FIELDS
from tests.factories.answers import make_card, make_evaluation, make_question
from tests.factories.tokens import PROPERTY

PUBLIC = TermStatistics.parse(public_statistics_file())
WORDS = ("clinical", "trial", "sepsis", "model", "data", "heart", "zebra", "the", "imaging")
texts = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)
records = st.builds(
    RecordTexts, title=texts, summary=texts, keywords=st.lists(texts, max_size=4).map(tuple), description=texts
)
levels = st.sampled_from(TEXT_LEVELS)


def reference_impact(term: str, held: RecordTexts, level: TextLevel) -> int:
    """The recipe's formula in rational numbers, written down a second time."""
    tf = Fraction(0)
    for name, terms in terms_of(held, level, PUBLIC).items():
        field = PUBLIC.fields[name]
        b = Fraction(field.b_thousandths, 1_000)
        average = Fraction(field.average_length_thousandths, 1_000)
        tf += Fraction(field.weight * terms.count(term)) / (1 - b + b * len(terms) / average)
    x = 255 * tf / (Fraction(PUBLIC.k1_thousandths, 1_000) + tf)
    return max(1, int(x + Fraction(1, 2)))


@PROPERTY
@given(records, levels)
def test_impacts_are_the_recipe_exactly(held: RecordTexts, level: TextLevel) -> None:
    found = impacts(held, level, PUBLIC)
    assert found == {term: reference_impact(term, held, level) for term in found}
    assert set(found) == {term for terms in terms_of(held, level, PUBLIC).values() for term in terms}
    assert all(1 <= impact <= 255 for impact in found.values())


def test_the_impacts_of_one_text_are_frozen() -> None:
    held = RecordTexts("Sepsis model", "Predicts sepsis in a trial", ("sepsis",), "Trained on clinical trial data")
    assert impacts(held, "full", PUBLIC) == {
        "sepsi": 220,
        "model": 176,
        "predict": 172,
        "trial": 205,
        "train": 172,
        "clinic": 172,
        "data": 172,
    }
    assert impacts(held, "title", PUBLIC) == {"sepsi": 176, "model": 176}


def test_a_word_in_the_title_counts_more_than_in_the_text() -> None:
    others = " ".join(f"w{number}" for number in range(38))
    in_title = impacts(RecordTexts("sepsis one two three", f"four {others}"), "full", PUBLIC)
    in_text = impacts(RecordTexts("one two three four", f"sepsis {others}"), "full", PUBLIC)
    assert in_title["sepsi"] > in_text["sepsi"]


def test_a_word_repeated_many_times_stays_within_a_byte() -> None:
    held = impacts(RecordTexts(title="sepsis " * 5_000, description="sepsis " * 5_000), "full", PUBLIC)
    assert held == {"sepsi": pytest.approx(255, abs=20)}
    assert max(held.values()) <= 255


def test_a_word_lost_in_a_long_text_still_counts_one() -> None:
    text = "sepsis " + "data " * 60_000
    assert impacts(RecordTexts(description=text), "full", PUBLIC)["sepsi"] == 1


@PROPERTY
@given(records, st.sets(st.sampled_from(TEXT_FIELDS)))
def test_a_card_alone_gives_the_impacts_of_its_owner(held: RecordTexts, hidden: set[str]) -> None:
    whole: JsonObject = make_card(
        title=held.title, summary=held.summary, keywords=list(held.keywords), description=held.description
    )
    card = whole | dict.fromkeys(hidden)
    assert impacts_of_card(card, PUBLIC) == impacts(held, text_level(frozenset(hidden)), PUBLIC)


@PROPERTY
@given(records, texts)
def test_a_score_is_the_exact_sum_in_any_order(held: RecordTexts, asked: str) -> None:
    found, terms = impacts(held, "full", PUBLIC), list(query_terms(asked, PUBLIC))
    expected = sum(PUBLIC.weight(term) * found.get(term, 0) for term in terms)
    random.Random(0).shuffle(terms)
    assert score(terms, found, PUBLIC) == expected
    assert matches_text(terms, found) == (not terms or expected > 0)


@PROPERTY
@given(records, texts)
def test_the_impacts_of_some_terms_are_those_of_all(held: RecordTexts, asked: str) -> None:
    every, terms = impacts(held, "full", PUBLIC), query_terms(asked, PUBLIC)
    assert impacts(held, "full", PUBLIC, only=terms) == {term: every[term] for term in terms if term in every}


def test_without_terms_everything_matches_and_scores_nothing() -> None:
    assert matches_text((), {})
    assert score((), {"sepsi": 5}, PUBLIC) == 0


def test_the_statistics_decide_the_score_and_records_do_not() -> None:
    found = impacts(RecordTexts(title="sepsis"), "full", PUBLIC)
    heavier = replace(PUBLIC, terms=MappingProxyType({**PUBLIC.terms, "sepsi": 999}))
    assert score(("sepsi",), found, heavier) > score(("sepsi",), found, PUBLIC)


def key_of(card: JsonObject, **question: Any) -> int | None:
    asked = make_question(**question)
    return sort_key(asked, card, query_terms(asked.text, PUBLIC), PUBLIC)


def test_relevance_without_text_is_zero_for_everybody() -> None:
    assert key_of(make_card(), text="") == key_of(make_card(title=None), text="") == 0
    assert key_of(make_card(), text="the of") == 0


def test_a_masked_title_leaves_no_text_to_score() -> None:
    assert key_of(make_card(title=None)) == 0
    assert key_of(make_card(title="Other", summary="Other", keywords=[], description=None)) == 0


@pytest.mark.parametrize(
    ("created", "key"),
    [
        ("2026-03-01", 20_260_301),
        (None, None),
        ("", None),
        ("2026-03", None),
        ("2026-03-01 ", None),
        ("٢٠٢٦-٠٣-٠١", None),
    ],
)
def test_created_sorts_by_its_day(created: str | None, key: int | None) -> None:
    assert key_of(make_card(created=created), sort=Sort("created")) == key


METRIC = Sort("metric", "accuracy")


@pytest.mark.parametrize(
    ("evaluations", "key"),
    [
        ([make_evaluation()], 940_000),
        ([make_evaluation(value="0.5"), make_evaluation(value="0.75", split="external")], 750_000),
        ([make_evaluation(split="train")], None),
        ([make_evaluation(split="train", value="0.99"), make_evaluation(value="0.5")], 500_000),
        ([make_evaluation(metric="auroc")], None),
        ([make_evaluation(value="0.1234567")], 123_456),
        ([make_evaluation(value="-0.0000001")], -1),
        ([make_evaluation(value="-1.5")], -1_500_000),
        ([make_evaluation(value="0.999999999999")], 999_999),
        ([make_evaluation(value="999999999999999999")], None),
        ([make_evaluation() | {"split": None}], None),
        ([], None),
        (None, None),
    ],
)
def test_a_metric_sorts_by_its_largest_disclosed_value_off_the_training_split(
    evaluations: list[JsonObject] | None, key: int | None
) -> None:
    assert key_of(make_card(evaluations=evaluations), sort=METRIC) == key


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e9", "", "０.９", "0.9999999999999", "1" * 19])
def test_what_is_no_canonical_decimal_has_no_key(value: str) -> None:
    assert evaluation_key("accuracy", [("accuracy", value, "test")]) is None


@PROPERTY
@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**17), max_value=10**17))
def test_a_metric_key_is_the_value_rounded_down_within_canonical_integers(value: object) -> None:
    exact = Fraction(str(value)) * 10**6
    floor = exact.numerator // exact.denominator
    key = evaluation_key("auroc", [("auroc", format(value, "f"), "test")])
    assert key == (floor if abs(floor) <= INTEGER_MAX else None)


def test_larger_keys_come_first_and_none_last_either_way() -> None:
    keys = [5, None, 7, 0]

    def ordered(sort: Sort) -> list[int | None]:
        return sorted(keys, key=lambda key: order_key(sort, key, "00", "id"))

    assert ordered(METRIC) == [7, 5, 0, None]
    assert ordered(replace(METRIC, order="asc")) == [0, 5, 7, None]


@PROPERTY
@given(st.lists(st.text("abc", min_size=1), min_size=2, unique=True))
def test_equal_keys_are_ordered_by_the_hash_of_the_id_only(ids: list[str]) -> None:
    for key in (3, 0, None):
        found = sorted(ids, key=lambda asset_id: order_key(Sort(), key, tie_key(asset_id), asset_id))
        assert found == sorted(ids, key=tie_key)


def test_the_id_decides_between_two_of_one_hash() -> None:
    assert order_key(Sort(), 3, "00", "a") < order_key(Sort(), 3, "00", "b")
