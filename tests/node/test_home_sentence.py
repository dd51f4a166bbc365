"""Sentences: what is understood, what stays text, and that nothing is lost on the way."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from concordat_node.home.filter_language import FilterFieldUnknown, FilterMalformed, FilterValueInvalid
from concordat_node.home.sentence import SENTENCE_MAX, SentenceTooLong, understand
from concordat_node.home.sentence_tokens import tokens_of
from concordat_trust.errors import ConcordatError
from concordat_trust.filters import (
    And,
    Compare,
    Equals,
    Filter,
    FilterTooLarge,
    In,
    MetricIs,
    Not,
    Or,
    TrainedOn,
)

MODEL, DATASET = Equals("kind", "model"), Equals("kind", "dataset")
ACCURATE = MetricIs("accuracy", "gt", "0.9")
TRIAL = TrainedOn("clinical trial data")


def test_the_sentence_of_the_demonstration_becomes_three_conditions() -> None:
    understood = understand("models trained on clinical trial data with accuracy above 90%")
    assert understood.filter == And((MODEL, TRIAL, ACCURATE))
    assert understood.text == ""
    assert [chip.text for chip in understood.chips] == [
        "models",
        "trained on clinical trial data",
        "with accuracy above 90%",
    ]


@pytest.mark.parametrize(
    ("sentence", "expected", "text"),
    [
        ("data sets about sepsis", DATASET, "sepsis"),
        ("Find all datasets about heart failure", DATASET, "heart failure"),
        ("find sepsis models", MODEL, "sepsis"),
        ("models sepsis", MODEL, "sepsis"),
        ("which models are trained on ICU stays?", And((MODEL, TrainedOn("ICU stays"))), ""),
        ('models trained on "clinical trial data"', And((MODEL, TRIAL)), ""),
        ("models trained on patients with diabetes", And((MODEL, TrainedOn("patients with diabetes"))), ""),
        ("models not trained on MIMIC", And((MODEL, Not(TrainedOn("MIMIC")))), ""),
        ("trained on trial A or registry B", Or((TrainedOn("trial A"), TrainedOn("registry B"))), ""),
        ("models and data sets", In("kind", ("dataset", "model")), ""),
        ("kind:model license:MIT metric:accuracy>0.9", And((MODEL, Equals("license", "MIT"), ACCURATE)), ""),
        ("kind:models AND license:MIT", And((MODEL, Equals("license", "MIT"))), ""),
        ("licence:MIT,Apache-2.0", In("license", ("MIT", "Apache-2.0")), ""),
        ('trained_on:"clinical trial data"', TRIAL, ""),
        ("created>=2024-01-31", Compare("created", "ge", "2024-01-31"), ""),
        ("cohort_size:>100 sepsis", Compare("cohort_size", "gt", "100"), "sepsis"),
        (
            "license:MIT OR (task:triage AND NOT framework:onnx)",
            Or((Equals("license", "MIT"), And((Equals("task", "triage"), Not(Equals("framework", "onnx")))))),
            "",
        ),
        ("", None, ""),
    ],
)
def test_a_sentence_means(sentence: str, expected: Filter | None, text: str) -> None:
    understood = understand(sentence)
    assert understood.filter == expected
    assert understood.text == text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("accuracy above 90%", ACCURATE),
        ("accuracy over 90 percent", ACCURATE),
        ("accuracy > 0.90", ACCURATE),
        ("accuracy>90%", ACCURATE),
        ("Accuracy of more than .9", ACCURATE),
        ("accuracy above 90", ACCURATE),
        ("over 90% accuracy", ACCURATE),
        ("accuracy at least 90%", MetricIs("accuracy", "ge", "0.9")),
        ("accuracy not below 0.9", MetricIs("accuracy", "ge", "0.9")),
        ("accuracy below 90 %", MetricIs("accuracy", "lt", "0.9")),
        ("accuracy no more than 90%", MetricIs("accuracy", "le", "0.9")),
        ("balanced accuracy above 90%", MetricIs("balanced_accuracy", "gt", "0.9")),
        ("rmse below 12.50", MetricIs("rmse", "lt", "12.5")),
        ("without accuracy above 90%", Not(ACCURATE)),
        ("AUC above 0.8", Or(tuple(MetricIs(name, "gt", "0.8") for name in ("auroc", "auc", "roc_auc")))),
    ],
)
def test_a_metric_phrase_means(words: str, expected: Filter) -> None:
    assert understand(words).filter == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "rmse above 90%",  # a percentage of what?
        "accuracy above 0,9",  # half the world's decimal comma is not "0"
        "accuracy above 900",
        "accuracy above average",
        "the accuracy of models of the heart",
        "non trained on MIMIC",
        "not only trained on MIMIC",
        "trained on",
    ],
)
def test_what_is_not_understood_stays_text(sentence: str) -> None:
    understood = understand(sentence)
    assert understood.filter is None
    assert understood.text == sentence


def test_an_exclusion_that_no_pattern_says_is_text_with_a_warning() -> None:
    understood = understand("models trained on MIMIC but not eICU")
    assert understood.filter == And((MODEL, TrainedOn("MIMIC")))
    assert understood.text == "but not eICU"
    assert understood.warnings == ("exclusion_not_understood",)


def test_an_alternative_between_a_condition_and_text_is_a_warning() -> None:
    understood = understand("accuracy above 90% or fast")
    assert understood.warnings == ("alternative_not_understood",)


def test_two_conditions_with_or_between_them_are_one_chip() -> None:
    understood = understand("models with accuracy above 90% or license:MIT")
    assert understood.filter == And((MODEL, Or((ACCURATE, Equals("license", "MIT")))))


def test_a_kind_word_inside_the_topic_is_not_the_kind() -> None:
    understood = understand("data sets about mouse models")
    assert understood.filter == DATASET
    assert understood.text == "mouse models"


@pytest.mark.parametrize(
    ("sentence", "error"),
    [
        ("lisence:MIT", FilterFieldUnknown),
        ("p<0.05", FilterFieldUnknown),
        ("kind:mouse", FilterValueInvalid),
        ("metric:accuracy", FilterValueInvalid),
        ("metric:rmse>90%", FilterValueInvalid),
        ("created>=yesterday", FilterValueInvalid),
        ("created=2024-01-31", FilterValueInvalid),
        ("license>3", FilterValueInvalid),
        ("(license:MIT", FilterMalformed),
        ("license:MIT OR OR task:triage", FilterMalformed),
        (" ".join(["task:a"] * 40), FilterTooLarge),
        ("x" * (SENTENCE_MAX + 1), SentenceTooLong),
    ],
)
def test_a_condition_that_cannot_be_meant_is_refused(sentence: str, error: type[ConcordatError]) -> None:
    with pytest.raises(error):
        understand(sentence)


def test_an_unknown_field_comes_with_a_suggestion() -> None:
    with pytest.raises(FilterFieldUnknown, match="license"):
        understand("lisence:MIT")


def test_a_sentence_at_the_limit_is_read() -> None:
    assert understand("x" * SENTENCE_MAX).text == "x" * SENTENCE_MAX


_WORDS = st.sampled_from(
    re.findall(
        r'"[^"]*"|\S+',
        """
        models model data sets datasets trained on upon not never without no or and but with accuracy auc balanced
        above at least below 90% 0.9 90 percent clinical trial sepsis about for , . ? ( ) ; "clinical trial" kind:model
        license:MIT metric:accuracy>0.9 accuracy>=80% evaluated find all the of is mouse NOT AND OR either only
        """,
    )
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.lists(_WORDS, max_size=14).map(" ".join), st.text(max_size=60)))
@example("models trained on x, y or accuracy above 90%.")
@example("find sepsis models trained on")
def test_no_token_of_a_sentence_is_dropped(sentence: str) -> None:
    try:
        understood = understand(sentence)
    except ConcordatError:
        return  # refused with a code, which is not silent
    shown = Counter(re.sub(r"\s+", "", understood.text))
    for chip in understood.chips:
        shown += Counter(re.sub(r"\s+", "", chip.text.replace(" … ", "") if " … " not in sentence else chip.text))
    given_ = Counter(re.sub(r"\s+", "", sentence))
    assert shown == given_, (sentence, understood)


@given(st.text(max_size=80))
def test_tokens_hold_every_character_that_is_not_space(sentence: str) -> None:
    held = "".join(token.text for token in tokens_of(sentence))
    assert re.sub(r"\s+", "", held) == re.sub(r"\s+", "", sentence)


def test_a_chip_says_what_it_was_taken_to_mean() -> None:
    chips = understand("models with accuracy above 90%").to_json()["chips"]
    assert isinstance(chips, list)
    assert chips[1] == {
        "filter": {"op": "metric", "metric": "accuracy", "cmp": "gt", "value": "0.9"},
        "kind": "metric",
        "meaning": "accuracy above 0.9",
        "text": "with accuracy above 90%",
    }


@pytest.mark.parametrize("words", ["accuracy above 190%", "accuracy above 101 percent", "accuracy above 1000%"])
def test_more_than_all_is_text_and_not_a_hundredth(words: str) -> None:
    understood = understand(words)
    assert understood.filter is None
    assert understood.text == words
