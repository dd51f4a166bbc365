"""One value, one byte string; one document, one reading."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.canonical import (
    INTEGER_MAX,
    Json,
    JsonDuplicateKey,
    JsonMalformed,
    JsonTooDeep,
    JsonTooLarge,
    NumberNotCanonical,
    canonical_bytes,
    parse_json,
    parse_object,
)
from concordat_trust.errors import ConcordatError

SIZE = 10_000
scalars = st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.text(max_size=20)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


@given(values)
def test_canonical_form_reads_back_as_the_same_value(value: Json) -> None:
    assert parse_json(canonical_bytes(value), bytes_max=10**6) == value


@given(values)
def test_every_spelling_of_a_value_has_the_same_canonical_form(value: Json) -> None:
    spelled = json.dumps(value, indent=2, ensure_ascii=True).encode()
    assert canonical_bytes(parse_json(spelled, bytes_max=10**6)) == canonical_bytes(value)


ascii_keys = st.text(st.characters(max_codepoint=127), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ascii_keys, inner, max_size=4),
)


@given(plain | values)
def test_both_encoders_make_the_same_bytes(value: Json) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


def test_both_encoders_escape_every_character_alike() -> None:
    every = "".join(map(chr, range(0xD800))) + "".join(map(chr, range(0xE000, 0x11000))) + "\U0001f600"
    assert canonical_bytes([every]) == rfc8785.dumps([every])


class _Text(str):
    """A text that is more than one, as ids are."""


@pytest.mark.parametrize("value", [_Text("a"), {"a": (1, 2)}, {_Text("b"): 1, "a": _Text("c")}, {"é": 1, "e": 2}])
def test_what_is_not_plain_has_the_same_form(value: Json) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [{1: 2}, {None: 1}, ["\ud800"], {"a": {"\udfff": 1}}, {"a": {1, 2}}])
def test_what_is_no_json_is_refused_however_it_would_be_written(value: Json) -> None:
    with pytest.raises(JsonMalformed):
        canonical_bytes(value)


def test_keys_are_ordered_by_utf16_code_units() -> None:
    # RFC 8785 §3.2.3: an emoji (surrogate pair) sorts before U+FB33 although its code point is larger.
    assert canonical_bytes({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


@pytest.mark.parametrize("value", [0.5, 1.0, float("nan"), {"a": [1.5]}, INTEGER_MAX + 1, -INTEGER_MAX - 1])
def test_a_float_or_a_large_integer_has_no_canonical_form(value: Json) -> None:
    with pytest.raises(NumberNotCanonical):
        canonical_bytes(value)


def test_the_largest_integer_is_still_canonical() -> None:
    assert parse_json(str(INTEGER_MAX).encode(), bytes_max=SIZE) == INTEGER_MAX


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (b'{"a":1,"a":1}', JsonDuplicateKey),
        (b'{"a":{"b":1,"b":2}}', JsonDuplicateKey),
        (b"1.0", NumberNotCanonical),
        (b"1e2", NumberNotCanonical),
        (b"NaN", NumberNotCanonical),
        (b"-Infinity", NumberNotCanonical),
        (b"-0", NumberNotCanonical),
        (str(INTEGER_MAX + 1).encode(), NumberNotCanonical),
        (b"9" * 5000, NumberNotCanonical),
        (b"", JsonMalformed),
        (b"{} {}", JsonMalformed),
        (b"\xef\xbb\xbf{}", JsonMalformed),
        (b"\xff", JsonMalformed),
        (b'"\\ud800"', JsonMalformed),
        (b"{'a':1}", JsonMalformed),
        (b'"tab\there"', JsonMalformed),
        (b"[" * 33 + b"]" * 33, JsonTooDeep),
        (b" " * (SIZE + 1), JsonTooLarge),
    ],
)
def test_a_document_with_two_readings_is_refused(document: bytes, error: type[ConcordatError]) -> None:
    with pytest.raises(error):
        parse_json(document, bytes_max=SIZE)


def test_brackets_inside_a_text_are_not_depth() -> None:
    assert parse_json(b'"' + b"[" * 100 + b'"', bytes_max=SIZE) == "[" * 100


def test_depth_and_size_are_accepted_at_the_limit() -> None:
    assert parse_json(b"[" * 32 + b"]" * 32, bytes_max=64) is not None


@pytest.mark.parametrize("hostile", [b'"' + b'\\"' * 200_000, b'["' + b"\\" * 400_001, b'"' * 400_001])
def test_a_text_without_an_end_is_refused_at_once(hostile: bytes) -> None:
    with pytest.raises(JsonMalformed):
        parse_json(hostile, bytes_max=10**6)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_fail_outside_its_family(data: bytes) -> None:
    try:
        parse_json(data, bytes_max=SIZE)
    except ConcordatError:
        return


def test_an_object_is_asked_for_and_a_list_refused() -> None:
    with pytest.raises(JsonMalformed):
        parse_object(b"[]", bytes_max=SIZE)
