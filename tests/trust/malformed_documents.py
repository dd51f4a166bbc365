"""Documents with one place of their JSON broken, and archives that are none; always the same, from good ones."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

Case = tuple[str, bytes]

WRONG: Mapping[str, object] = {"null": None, "true": True, "-1": -1, "text": "x", "list": [], "object": {}}
ITEMS_MAX = 2


def broken_json(good: bytes, *, depth_max: int = 6) -> Iterator[Case]:
    """Yield `good` with each member left out or given each wrong type; of a list the first items stand for all."""
    document: Any = json.loads(good)
    for path in _paths(document, depth_max):
        where = ".".join(map(str, path))
        yield f"{where} left out", _changed(document, path, _leave_out)
        for kind, wrong in WRONG.items():
            if wrong != _at(document, path):
                yield f"{where} {kind}", _changed(document, path, lambda held, key, value=wrong: _put(held, key, value))
    yield from broken_text(good)


def broken_text(good: bytes) -> Iterator[Case]:
    """Yield bytes that are not the JSON they were."""
    for length in range(0, len(good), max(1, len(good) // 12)):
        yield f"first {length} bytes", good[:length]
    yield "with a byte order mark", b"\xef\xbb\xbf" + good
    yield "in UTF-16", good.decode().encode("utf-16")
    yield "twice", good + good
    yield "in a list", b"[" + good + b"]"
    yield "with NaN", good.rstrip()[:-1] + b',"z":NaN}'
    yield "with a fraction", good.rstrip()[:-1] + b',"z":0.5}'
    yield "with an unknown member", good.rstrip()[:-1] + b',"z":1}'
    yield "nested too deep", good.rstrip()[:-1] + b',"z":' + b"[" * 64 + b"]" * 64 + b"}"
    name = next(iter(json.loads(good)))
    yield "with a key twice", good.rstrip()[:-1] + f',"{name}":null}}'.encode()


def broken_archives(good: bytes) -> Iterator[Case]:
    """Yield bytes that are no ZIP archive of a bundle, beginning with damaged copies of a good one."""
    for length in range(0, len(good), max(1, len(good) // 15)):
        yield f"first {length} bytes", good[:length]
    for position in range(0, len(good), max(1, len(good) // 60)):
        yield f"byte {position} changed", good[:position] + bytes([good[position] ^ 0xFF]) + good[position + 1 :]
    yield "with bytes before", b"x" * 100 + good
    yield "an empty archive", _archive({})
    for name in ("../1.root.json", "/1.root.json", "a\\b", "", ".", "..", "a//b", "a/../b", ".hidden", "a/b/c/d/e/f/g"):
        yield f"the name {name!r}", _archive({name: b"{}"})
    yield "a bomb", _archive({"1.root.json": bytes(9_000_000)})
    yield "a folder", _archive({"targets/": b""})
    yield "a foreign compression", _archive({"1.root.json": b"{}" * 100}, zipfile.ZIP_LZMA)
    yield "no archive", b"\x1f\x8b\x08\x00" + bytes(100)


def _archive(files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, compression)
    return buffer.getvalue()


Path = tuple[str | int, ...]


def _paths(value: Any, depth_max: int, path: Path = ()) -> Iterator[Path]:
    if len(path) >= depth_max:
        return
    keys = list(value) if isinstance(value, dict) else range(min(len(value), ITEMS_MAX)) if _is_list(value) else ()
    for key in keys:
        yield (*path, key)
        yield from _paths(value[key], depth_max, (*path, key))


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def _changed(document: Any, path: Path, change: Any) -> bytes:
    copy = json.loads(json.dumps(document))
    change(_at(copy, path[:-1]), path[-1])
    return json.dumps(copy, ensure_ascii=False, separators=(",", ":")).encode()


def _leave_out(held: Any, key: str | int) -> None:
    del held[key]


def _put(held: Any, key: str | int, value: object) -> None:
    held[key] = value
