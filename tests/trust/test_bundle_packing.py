"""Packing loses nothing, whatever the files are, and unpacking is bounded and never breaks."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.bundle.errors import BundleMalformed
from concordat_trust.bundle.packing import TEXTS, VALUES, pack, unpack
from concordat_trust.encoding import b64u
from tests.factories.network import make_network

NETWORK = make_network()
NAMES = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?\.(json|jwt)", fullmatch=True)
VALUE = st.binary(min_size=32, max_size=32) | st.binary(min_size=64, max_size=64) | st.just(b"\7" * 32)
WRITTEN = VALUE.map(lambda v: f'"{v.hex()}"'.encode()) | VALUE.map(lambda v: f'"{b64u(v)}"'.encode())
JSONISH = st.lists(WRITTEN | st.sampled_from([b"{", b'"x":', b",", b"}", b'"', b"ab"]), max_size=12).map(b"".join)
TOKENS = st.tuples(JSONISH, JSONISH, VALUE).map(lambda t: f"{b64u(t[0])}.{b64u(t[1])}.{b64u(t[2])}".encode())
FILES = st.dictionaries(NAMES, JSONISH | TOKENS | st.binary(max_size=200), max_size=6)


def back(parts: dict[str, bytes], *, size: int = 1_000_000) -> dict[str, bytes]:
    return unpack(parts, bytes_max=size, file_bytes_max=size, files_max=1_000)


@given(FILES)
def test_whatever_is_packed_comes_back_byte_for_byte(files: dict[str, bytes]) -> None:
    assert back(pack(files)) == files


def test_the_hash_of_a_file_before_costs_no_value() -> None:
    data = b"statement"
    listed = b'{"sha256":"' + hashlib.sha256(data).hexdigest().encode() + b'"}'
    assert pack({"targets/a.txt": data, "role.json": listed})[VALUES] == b""


def test_a_value_is_kept_once_in_whatever_form() -> None:
    value = bytes(range(32))
    files = {"a.json": f'["{value.hex()}","{b64u(value)}"]'.encode(), "b.json": f'["{b64u(value)}"]'.encode()}
    assert pack(files)[VALUES] == value
    assert back(pack(files)) == files


def test_a_token_that_is_not_canonical_is_kept_as_it_is() -> None:
    for token in (b"a.b.c", b"YQ==.YQ.YQ", b"YR.YQ.YQ", b"YQ.YQ", b"YQ.YQ.YQ.YQ", b"..", b""):
        assert back(pack({"x.jwt": token})) == {"x.jwt": token}


@given(st.integers(0, 10_000), st.integers(0, 255), st.sampled_from([TEXTS, VALUES]))
def test_a_changed_byte_is_refused_or_gives_other_files(place: int, byte: int, part: str) -> None:
    parts = pack(NETWORK.bundle.files)
    data = bytearray(parts[part])
    data[place % len(data)] = byte
    try:
        files = back({**parts, part: bytes(data)})
    except BundleMalformed:
        return
    assert (files == dict(NETWORK.bundle.files)) == (bytes(data) == parts[part])


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_bytes_of_anybody_are_refused_or_read_but_never_break(texts: bytes, values: bytes) -> None:
    try:
        back({TEXTS: texts, VALUES: values})
    except BundleMalformed:
        assert texts


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (b"ta\n5\nabc", "cut off"),
        (b"ta\n1\nx" * 2, "twice"),
        (b"ta\n3\n\0hn", "a value is cut off"),
        (b"ta\n5\n\0hs\0\0", "a value is not there"),
        (b"ta\n5\n\0hf\0\0", "a value is not there"),
        (b"ta\n3\n\0xn", "a mark is unknown"),
        (b"t\xff\n0\n", "not plain text"),
    ],
)
def test_parts_that_nobody_packed_are_refused(texts: bytes, problem: str) -> None:
    with pytest.raises(BundleMalformed) as refused:
        back({TEXTS: texts, VALUES: b""})
    assert problem in str(refused.value)


def test_a_bomb_of_marks_is_refused_while_it_unfolds() -> None:
    text = b"\0Hn" + b"\0Hs\0\0" * 999
    parts = {TEXTS: b"ta\n%d\n%s" % (len(text), text), VALUES: bytes(64)}
    assert len(back(parts, size=128_000)["a"]) == 128_000
    with pytest.raises(BundleMalformed):
        back(parts, size=127_999)


def test_files_are_counted() -> None:
    texts = b"".join(b"tf%d\n0\n" % n for n in range(1_001))
    with pytest.raises(BundleMalformed):
        back({TEXTS: texts, VALUES: b""})
    assert len(back({TEXTS: texts.removesuffix(b"tf1000\n0\n"), VALUES: b""})) == 1_000
