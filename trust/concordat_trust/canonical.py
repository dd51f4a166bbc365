"""The one byte string of a JSON value, and the strict way back.

Rules of this file:

* Canonical form is RFC 8785. Numbers are integers within ±(2^53 − 1); everything else travels as a decimal string, so
  that no two implementations can round differently. A float is refused on both ways.
* Parsing refuses what JSON libraries forgive: duplicate keys, NaN and Infinity, floats, a byte order mark, lone
  surrogates, trailing text, and more than the named size or depth (I-JSON, RFC 7493).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import NoReturn

import rfc8785

from concordat_trust.errors import RefusedDocument

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]
JsonObject = dict[str, Json]

INTEGER_MAX = 2**53 - 1
DEPTH_MAX = 32
# An unterminated text matches up to the end, so that hostile input cannot make the search start again and again.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


class JsonMalformed(RefusedDocument):
    code = "json_malformed"
    sentence = "The document is not valid JSON in UTF-8."
    hint = "Send one JSON value, encoded in UTF-8 without a byte order mark, and nothing after it."


class JsonTooLarge(RefusedDocument):
    code = "json_too_large"
    sentence = "The document has {size} bytes; at most {bytes_max} are read."
    hint = "Send a smaller document."


class JsonTooDeep(RefusedDocument):
    code = "json_too_deep"
    sentence = "The document is nested deeper than {depth_max} levels."
    hint = "Flatten the document."


class JsonDuplicateKey(RefusedDocument):
    code = "json_duplicate_key"
    sentence = "An object of the document has the same key twice."
    hint = "Write each key once: readers differ in which one they take."


class NumberNotCanonical(RefusedDocument):
    code = "number_not_canonical"
    sentence = "A number is not an integer within ±(2^53 − 1)."
    hint = 'Write fractions and larger numbers as decimal strings, such as "0.94".'


def canonical_bytes(value: Json) -> bytes:
    """Return the one byte string that stands for `value` (RFC 8785 §3.2.3).

    Raises: NumberNotCanonical for a float or an integer beyond ±(2^53 − 1) (RFC 7493 §2.2);
    JsonMalformed for a key that is not a string or a text with a lone surrogate.
    """
    try:
        if _is_plain(value):
            return _PLAIN.encode(value).encode("utf-8")
        _refuse_floats(value)
        return rfc8785.dumps(value)
    except rfc8785.IntegerDomainError as error:
        raise NumberNotCanonical from error
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, TypeError) as error:
        raise JsonMalformed from error


# Of plain values the C encoder makes the same bytes, ten times faster (`test_both_encoders_make_the_same_bytes`).
_PLAIN = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False)


def _is_plain(value: object) -> bool:
    """Say whether sorted JSON is all that a value needs of RFC 8785: exact types, ASCII keys, small integers.

    ASCII keys have the same order by code point and by UTF-16 unit. Everything else goes the long way, which refuses.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is dict and isinstance(value, dict):
        return all(type(key) is str and key.isascii() and _is_plain(item) for key, item in value.items())
    if kind is list and isinstance(value, list):
        return all(map(_is_plain, value))
    return kind is int and isinstance(value, int) and -INTEGER_MAX <= value <= INTEGER_MAX


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise NumberNotCanonical
    if isinstance(value, dict):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)


def parse_json(data: bytes, *, bytes_max: int, depth_max: int = DEPTH_MAX) -> Json:
    """Return the value of a JSON document that has exactly one reading.

    Raises: JsonTooLarge, JsonTooDeep, JsonDuplicateKey, NumberNotCanonical, JsonMalformed.
    """
    return _parsed(data, bytes_max, depth_max, _refuse_number, _integer)


def parse_foreign_object(data: bytes, *, bytes_max: int, depth_max: int = DEPTH_MAX) -> JsonObject:
    """Return the object of a document that others write by other rules: a number that is not canonical is its text.

    Raises: as `parse_object`, but NumberNotCanonical for NaN and Infinity only.
    """
    value = _parsed(data, bytes_max, depth_max, str, _integer_or_text)
    if not isinstance(value, dict):
        raise JsonMalformed
    return value


def _parsed(
    data: bytes,
    bytes_max: int,
    depth_max: int,
    fraction: Callable[[str], Json],
    integer: Callable[[str], Json],
) -> Json:
    if len(data) > bytes_max:
        raise JsonTooLarge(size=len(data), bytes_max=bytes_max)
    _refuse_depth(data, depth_max)
    try:
        text = data.decode("utf-8")
        value: Json = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=fraction,
            parse_constant=_refuse_number,
            parse_int=integer,
        )
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise JsonMalformed from error
    _refuse_surrogates(text, value)
    return value


def parse_object(data: bytes, *, bytes_max: int, depth_max: int = DEPTH_MAX) -> JsonObject:
    """Like `parse_json`, for a document that must be an object.

    Raises: as `parse_json`; JsonMalformed when the value is not an object.
    """
    value = parse_json(data, bytes_max=bytes_max, depth_max=depth_max)
    if not isinstance(value, dict):
        raise JsonMalformed
    return value


def _refuse_depth(data: bytes, depth_max: int) -> None:
    # Counted on the bytes before parsing, because the parser recurses and a bomb must not reach it.
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", data)):
        if bracket in b"[{":
            depth += 1
            if depth > depth_max:
                raise JsonTooDeep(depth_max=depth_max)
        else:
            depth -= 1


def _refuse_surrogates(text: str, value: Json) -> None:
    # A lone surrogate can only come from a \u escape; UTF-8 itself cannot carry one.
    if "\\u" not in text:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise JsonMalformed from error


def _object(pairs: Iterable[tuple[str, Json]]) -> JsonObject:
    result: JsonObject = {}
    for key, value in pairs:
        if key in result:
            raise JsonDuplicateKey
        result[key] = value
    return result


def _refuse_number(_: str) -> NoReturn:
    raise NumberNotCanonical


def _integer_or_text(text: str) -> Json:
    try:
        return _integer(text)
    except NumberNotCanonical:
        return text


def _integer(text: str) -> int:
    # "-0" has two spellings of one value and is refused; a long run of digits is refused before it is converted.
    if len(text) > len(str(INTEGER_MAX)) + 1 or text == "-0":
        raise NumberNotCanonical
    value = int(text)
    if abs(value) > INTEGER_MAX:
        raise NumberNotCanonical
    return value
