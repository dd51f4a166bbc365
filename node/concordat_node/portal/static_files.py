"""The portal's own files, each under a name that holds its digest: they may be cached for good, and nothing else loads.

No file here comes from elsewhere: there is no vendored library to list.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from concordat_node.home.errors import PageNotFound

FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_DIGEST_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is served."""

    served_name: str
    media_type: str
    content: bytes


class StaticFiles:
    """Reads every file once; a name that was not made from one of them is not there."""

    def __init__(self, folder: Path = FOLDER) -> None:
        read = {path.name: _read(path) for path in sorted(folder.iterdir()) if path.suffix in _TYPES}
        self._names = {name: file.served_name for name, file in read.items()}
        self._served = {file.served_name: file for file in read.values()}

    def name(self, name: str) -> str:
        """Return the name under which one of our files is served; another one is a bug."""
        return self._names[name]

    def file(self, served_name: str) -> StaticFile:
        """Return a file by the name under which it is served. Raises: PageNotFound."""
        file = self._served.get(served_name)
        if file is None:
            raise PageNotFound
        return file


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:_DIGEST_CHARACTERS]
    return StaticFile(f"{path.stem}.{digest}{path.suffix}", _TYPES[path.suffix], content)
