"""Text from elsewhere prints as itself, on one line, and cannot command the terminal."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_client.plain_text import LENGTH_MAX, MARKS_MAX, as_json, plain


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b[2J\x1b[1;1H",
        "\x1b]0;title\x07",
        "\x9b31m",
        "a\x08\x08b",
        "safe\u202eexe.txt",
        "zero\u200bwidth\ufeff",
        "isolate\u2066\u2069",
        "tag\U000e0041",
        "null\x00",
    ],
)
def test_what_commands_a_terminal_or_hides_is_replaced(hostile: str) -> None:
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn") for character in plain(hostile))


def test_line_breaks_become_spaces_so_that_no_line_can_be_forged() -> None:
    assert plain("a\nb\r\nc\u2028d\te") == "a b  c d e"


def test_ordinary_text_of_any_language_is_untouched() -> None:
    for text in ("Sepsis onset v3", "Größe, naïve café", "敗血症モデル", "модель", "نموذج", "α ≤ 0.9"):
        assert plain(text) == text


def test_a_tower_of_combining_marks_is_cut() -> None:
    assert plain("e" + "\u0301" * 50) == "e" + "\u0301" * MARKS_MAX


def test_text_is_cut_one_past_the_limit() -> None:
    assert plain("x" * LENGTH_MAX) == "x" * LENGTH_MAX
    assert plain("x" * (LENGTH_MAX + 1)) == "x" * LENGTH_MAX + "…"


@given(st.text(max_size=200))
def test_nothing_that_is_printed_controls_a_terminal(text: str) -> None:
    shown = plain(text)
    assert "\n" not in shown
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in shown)


@given(st.text(max_size=200))
def test_json_is_ascii_and_still_the_value(text: str) -> None:
    shown = as_json({"text": text})
    assert shown.isascii()
    assert "\x1b" not in shown
    assert json.loads(shown) == {"text": text}
