"""Sealed answers: open only with the key of the question, and only in their place."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.canonical import canonical_bytes
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from concordat_trust.sealing import (
    _SUITE,
    KEY_BYTES,
    PADDED_BYTES_MIN,
    SEALED_CHARS_MAX,
    TEXT_BYTES_MAX,
    SealBroken,
    SealContext,
    SealingKey,
    SealKeyInvalid,
    open_text,
    parse_sealing_key,
    seal_text,
)
from tests.factories.tokens import NORTH, PROPERTY, RECORD, SALT, SEALING_KEY, VITALIS, digest_of, flipped, fresh_id

TEXT = canonical_bytes({"record": RECORD, "salt": SALT})
CONTEXT = SealContext(NORTH, fresh_id("token"), "q" * 43)


def sealed(text: bytes = TEXT, *, context: SealContext = CONTEXT) -> str:
    return seal_text(text, to=SEALING_KEY.public, context=context)


def code_of(text: str, *, key: SealingKey = SEALING_KEY, context: SealContext = CONTEXT) -> str:
    with pytest.raises(ConcordatError) as caught:
        open_text(text, key=key, context=context)
    return caught.value.code


def sealed_plaintext(plaintext: bytes) -> str:
    return b64u(_SUITE.encrypt(plaintext, parse_sealing_key(SEALING_KEY.public), CONTEXT.info()))


@PROPERTY
@given(st.binary(max_size=200))
def test_what_is_sealed_is_what_is_opened(content: bytes) -> None:
    text = content.rstrip(b" ")
    assert open_text(sealed(text), key=SEALING_KEY, context=CONTEXT) == text


@PROPERTY
@given(position=st.integers(0, 2_000), mask=st.integers(1, 127))
def test_a_sealed_answer_with_any_byte_changed_does_not_open(position: int, mask: int) -> None:
    assert code_of(flipped(sealed(), position, mask)) == "seal_broken"


@PROPERTY
@given(position=st.integers(0, 2_000), mask=st.integers(1, 255))
def test_a_ciphertext_with_any_byte_changed_does_not_open(position: int, mask: int) -> None:
    raw = bytearray(unb64u(sealed()))
    raw[position % len(raw)] ^= mask
    assert code_of(b64u(bytes(raw))) == "seal_broken"


@PROPERTY
@given(st.text(max_size=200) | st.binary(max_size=200).map(b64u))
def test_whatever_is_sent_instead_does_not_open(text: str) -> None:
    assert code_of(text) == "seal_broken"


@pytest.mark.parametrize(
    "context",
    [
        replace(CONTEXT, organization=OrgId.parse(VITALIS)),
        replace(CONTEXT, token_id=fresh_id("other")),
        replace(CONTEXT, question_hash="r" * 43),
    ],
)
def test_a_sealed_answer_opens_only_in_its_place(context: SealContext) -> None:
    assert code_of(sealed(), context=context) == "seal_broken"


def test_the_key_of_another_question_does_not_open_it() -> None:
    assert code_of(sealed(), key=SealingKey.from_seed(digest_of("other"))) == "seal_broken"


def test_sealing_twice_never_gives_the_same_text() -> None:
    assert sealed() != sealed()


def test_a_relay_sees_neither_title_nor_salt() -> None:
    raw = unb64u(sealed())
    assert b"Sepsis" not in raw
    assert SALT.encode() not in raw


@pytest.mark.parametrize(
    "plaintext",
    [
        TEXT,  # no padding
        TEXT.ljust(PADDED_BYTES_MIN - 1),
        TEXT.ljust(PADDED_BYTES_MIN + 1),
        TEXT.ljust(2 * PADDED_BYTES_MIN),
    ],
)
def test_a_text_with_another_padding_does_not_open(plaintext: bytes) -> None:
    assert code_of(sealed_plaintext(plaintext)) == "seal_broken"


def test_the_helper_of_these_tests_seals_what_opens() -> None:
    assert open_text(sealed_plaintext(TEXT.ljust(PADDED_BYTES_MIN)), key=SEALING_KEY, context=CONTEXT) == TEXT


def test_short_texts_have_one_length_and_longer_ones_a_power_of_two() -> None:
    assert len({len(sealed(b"x" * size)) for size in (0, 1, 9_000, PADDED_BYTES_MIN)}) == 1
    assert len({len(sealed(b"x" * size)) for size in (PADDED_BYTES_MIN + 1, 2 * PADDED_BYTES_MIN)}) == 1
    assert len(sealed(b"x" * PADDED_BYTES_MIN)) < len(sealed(b"x" * (PADDED_BYTES_MIN + 1)))


# Limits.


def test_a_text_of_the_largest_size_is_sealed_and_opened_and_one_byte_more_is_not() -> None:
    largest = sealed(b"x" * TEXT_BYTES_MAX)
    assert len(largest) <= SEALED_CHARS_MAX
    assert open_text(largest, key=SEALING_KEY, context=CONTEXT) == b"x" * TEXT_BYTES_MAX
    with pytest.raises(ConcordatError) as caught:
        sealed(b"x" * (TEXT_BYTES_MAX + 1))
    assert caught.value.code == "seal_too_large"


def test_an_endless_ciphertext_is_refused_before_it_is_decoded() -> None:
    # The code never tells how it broke; the cause inside does: without one, nothing was decoded or decrypted.
    for length, is_decoded in ((SEALED_CHARS_MAX, True), (SEALED_CHARS_MAX + 1, False)):
        with pytest.raises(SealBroken) as caught:
            open_text("A" * length, key=SEALING_KEY, context=CONTEXT)
        assert (caught.value.__cause__ is not None) == is_decoded


# Keys.

# The points of small order of Curve25519: with them, everybody knows the shared secret (RFC 7748 §6.1).
SMALL_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
]


@pytest.mark.parametrize("raw", [*SMALL_ORDER, bytes(31), bytes(33), b""])
def test_a_key_that_gives_everybody_the_secret_is_refused(raw: bytes) -> None:
    with pytest.raises(ConcordatError) as caught:
        parse_sealing_key(b64u(raw))
    assert caught.value.code == "seal_key_invalid"
    with pytest.raises(ConcordatError) as caught:
        seal_text(TEXT, to=b64u(raw), context=CONTEXT)
    assert caught.value.code == "seal_key_invalid"


@PROPERTY
@given(st.text(max_size=60) | st.binary(max_size=40).map(b64u))
def test_any_text_as_key_is_a_key_or_our_own_error(text: str) -> None:
    with suppress(SealKeyInvalid):
        parse_sealing_key(text)


def test_generated_keys_differ_and_their_text_shows_no_secret() -> None:
    one, two = SealingKey.generate(), SealingKey.generate()
    assert one.public != two.public
    assert repr(one) == f"SealingKey(public={one.public!r})"


def test_a_seed_of_another_length_is_a_bug() -> None:
    with pytest.raises(RuntimeError):
        SealingKey.from_seed(bytes(31))


# What a mutant of `sealing` would change and no test above would notice.


def test_the_limits_are_frozen() -> None:
    limits = (KEY_BYTES, PADDED_BYTES_MIN, TEXT_BYTES_MAX, SEALED_CHARS_MAX)
    assert limits == (32, 65_536, 4_194_304, 5_593_770)


def test_what_a_sealed_answer_is_bound_to_is_fixed() -> None:
    # Two implementations must bind to the same bytes.
    expected = {"org": NORTH, "qh": "q" * 43, "sealed": "answer", "tid": fresh_id("token")}
    assert json.loads(CONTEXT.info()) == expected


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 47, 48, 49, 200])
@pytest.mark.parametrize("byte", [0, 1, 255])
def test_an_encapsulated_key_that_is_none_does_not_open(length: int, byte: int) -> None:
    assert code_of(b64u(bytes([byte]) * length)) == "seal_broken"


@pytest.mark.parametrize("text", [b"ends in X", b"XX", b"{}"])
def test_a_text_is_opened_whole_whatever_it_ends_in(text: bytes) -> None:
    sealed_text = seal_text(text, to=SEALING_KEY.public, context=CONTEXT)
    assert open_text(sealed_text, key=SEALING_KEY, context=CONTEXT) == text
