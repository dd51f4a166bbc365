"""The files of a bundle in two: their texts, and the keys, hashes and signatures in them as plain bytes. Pure.

Random bytes do not compress, and written as hexadecimal or base64 within base64 they take up to 2.7 times their size:
of 200 organizations that is the difference between 360 kB and 110 kB. So an archive keeps each value once, as bytes.

A text is the file with each quoted value of 32 or 64 bytes replaced by a mark: MARK, a form (how it was written), a
source, and for a value that was there before how far back it is. A statement (`.jwt`) is kept decoded. What does not
come back byte for byte is kept as it is: nothing depends on what a file means, and signatures are verified afterwards.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from concordat_trust.bundle.errors import BundleMalformed
from concordat_trust.encoding import EncodingInvalid, b64u, unb64u

TEXTS: Final = "packed.texts"
VALUES: Final = "packed.values"
MARK, PART = 0, 1
"""Bytes that no JSON text holds."""
NEW, SEEN, FILE = b"n", b"s", b"f"
"""Where a value comes from: the next of the values, one that was there before, or the SHA-256 of a file before."""
PLAIN, TEXT, TOKEN = b"p", b"t", b"j"
DISTANCE_MAX: Final = 0xFFFF
_VALUE = re.compile(rb'(?<=")(?:[0-9a-f]{128}|[0-9a-f]{64}|[A-Za-z0-9_-]{86}|[A-Za-z0-9_-]{43})(?=")')
_HEAD = re.compile(rb"([ptj])([^\n]{1,700})\n([0-9]{1,8})\n")
_FORMS: Final = {128: b"H", 64: b"h", 86: b"B", 43: b"b"}
_BYTES: Final = {b"H": 64, b"h": 32, b"B": 64, b"b": 32}


def pack(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the two parts of an archive, the same for the same files."""
    writer = _Writer()
    # Targets first: the roles that list their hashes come after them.
    for name in sorted(files, key=lambda n: (not n.startswith("targets/"), n)):
        writer.add(name, files[name])
    return {TEXTS: bytes(writer.texts), VALUES: bytes(writer.values)}


def unpack(parts: Mapping[str, bytes], *, bytes_max: int, file_bytes_max: int, files_max: int) -> dict[str, bytes]:
    """Return the files of the two parts, bounded while they are made. Raises: BundleMalformed."""
    reader = _Reader(parts[TEXTS], parts[VALUES], file_bytes_max)
    files: dict[str, bytes] = {}
    size = 0
    while not reader.is_done:
        name, data = reader.file()
        size += len(data)
        if name in files or size > bytes_max or len(files) >= files_max:
            raise malformed("it holds a name twice, or more than a bundle has")
        files[name] = data
    return files


def malformed(problem: str) -> BundleMalformed:
    return BundleMalformed(document="archive", problem=problem)


class _Known:
    """The values so far, and the hashes of the files so far."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.files: list[bytes] = []

    def note_file(self, data: bytes) -> None:
        self.files.append(hashlib.sha256(data).digest())


class _Writer:
    def __init__(self) -> None:
        self.texts = bytearray()
        self.values = bytearray()
        self._known = _Known()
        self._place: dict[bytes, int] = {}
        self._file: dict[bytes, int] = {}

    def add(self, name: str, data: bytes) -> None:
        kind, text = _opened(name, data)
        if kind != PLAIN:
            text = _VALUE.sub(lambda match: self._mark(match[0]), text)
        self.texts += b"%s%s\n%d\n%s" % (kind, name.encode(), len(text), text)
        self._known.note_file(data)
        self._file[self._known.files[-1]] = len(self._known.files)

    def _mark(self, written: bytes) -> bytes:
        form = _FORMS[len(written)]
        value = bytes.fromhex(written.decode()) if form in b"Hh" else _decoded(written)
        if value is None:
            return written
        mark = bytes([MARK]) + form
        file, place = self._file.get(value), self._place.get(value)
        if file is not None and len(self._known.files) - file <= DISTANCE_MAX:
            return mark + FILE + (len(self._known.files) - file).to_bytes(2, "big")
        if place is not None and len(self._known.values) - place <= DISTANCE_MAX:
            return mark + SEEN + (len(self._known.values) - place).to_bytes(2, "big")
        self._known.values.append(value)
        self._place[value] = len(self._known.values)
        self.values += value
        return mark + NEW


class _Reader:
    def __init__(self, texts: bytes, values: bytes, file_bytes_max: int) -> None:
        self._texts, self._values = texts, values
        self._file_bytes_max = file_bytes_max
        self._at = self._taken = 0
        self._known = _Known()

    @property
    def is_done(self) -> bool:
        return self._at >= len(self._texts)

    def file(self) -> tuple[str, bytes]:
        head = _HEAD.match(self._texts, self._at)
        if head is None or head.end() + int(head[3]) > len(self._texts):
            raise malformed("a text is cut off")
        end = head.end() + int(head[3])
        text = self._texts[head.end() : end]
        self._at = end
        data = text if head[1] == PLAIN else self._written(text)
        if head[1] == TOKEN:
            data = b".".join(_part(part) for part in data.split(bytes([PART])))
        if len(data) > self._file_bytes_max:
            raise malformed("a file is too large")
        self._known.note_file(data)
        try:
            return head[2].decode("ascii"), data
        except UnicodeDecodeError as error:
            raise malformed("a name is not plain text") from error

    def _written(self, text: bytes) -> bytes:
        pieces: list[bytes] = []
        size = at = 0
        while (mark := text.find(bytes([MARK]), at)) >= 0:
            value, end = self._value(text, mark)
            pieces += (text[at:mark], value)
            size += mark - at + len(value)
            if size > self._file_bytes_max:
                raise malformed("a file is too large")
            at = end
        return b"".join((*pieces, text[at:]))

    def _value(self, text: bytes, mark: int) -> tuple[bytes, int]:
        form, source = text[mark + 1 : mark + 2], text[mark + 2 : mark + 3]
        if form not in _BYTES:
            raise malformed("a mark is unknown")
        if source == NEW:
            value, end = self._values[self._taken : self._taken + _BYTES[form]], mark + 3
            self._taken += len(value)
            self._known.values.append(value)
        else:
            value, end = self._before(source, int.from_bytes(text[mark + 3 : mark + 5], "big")), mark + 5
        if len(value) != _BYTES[form] or end > len(text):
            raise malformed("a value is cut off")
        return value.hex().encode() if form in b"Hh" else b64u(value).encode(), end

    def _before(self, source: bytes, distance: int) -> bytes:
        listed = {SEEN: self._known.values, FILE: self._known.files}.get(source, [])
        if not distance < len(listed):
            raise malformed("a value is not there")
        return listed[len(listed) - 1 - distance]


def _opened(name: str, data: bytes) -> tuple[bytes, bytes]:
    """Return how the file is kept, and its text."""
    if not {MARK, PART}.isdisjoint(data):
        return PLAIN, data
    if not name.endswith(".jwt"):
        return TEXT, data
    head, _, rest = data.partition(b".")
    body, _, signature = rest.partition(b".")
    parts = (_decoded(head), _decoded(body), b'"' + signature + b'"')
    if None in parts or not all(part and {MARK, PART}.isdisjoint(part) for part in parts):
        return PLAIN, data
    text = bytes([PART]).join(part for part in parts if part)
    is_exact = b".".join(_part(part) for part in text.split(bytes([PART]))) == data
    return (TOKEN, text) if is_exact else (PLAIN, data)


def _part(part: bytes) -> bytes:
    is_signature = part[:1] == part[-1:] == b'"' and len(part) > 1
    return part[1:-1] if is_signature else b64u(part).encode()


def _decoded(text: bytes) -> bytes | None:
    try:
        return unb64u(text.decode("ascii"))
    except (EncodingInvalid, UnicodeDecodeError):
        return None


def joined(names: Iterable[str]) -> bool:
    """Tell whether these are the names of a packed archive."""
    return set(names) == {TEXTS, VALUES}
