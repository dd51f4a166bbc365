"""A mirror in memory: the TUF fetcher over a dictionary of files, with a log of what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from concordat_trust.bundle.tuf_client import DownloadError, DownloadHTTPError, FetcherInterface

MIRROR = "http://mirror.test/"


class MemoryMirror(FetcherInterface):
    """Serves `files` below MIRROR; `down` makes every request fail."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.asked: list[str] = []
        self.down = False

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.removeprefix(MIRROR)
        self.asked.append(name)
        if self.down:
            raise DownloadError("the mirror is down")
        if name not in self.files:
            raise DownloadHTTPError("not here", 404)
        return iter([self.files[name]])


class Mirrors(FetcherInterface):
    """Several mirrors in memory, each below its own address."""

    def __init__(self, files: Mapping[str, Mapping[str, bytes]]) -> None:
        self.files = dict(files)
        self.asked: list[str] = []
        self.down: set[str] = set()

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.asked.append(url)
        base = next(address for address in self.files if url.startswith(address))
        name = url.removeprefix(base)
        if base in self.down:
            raise DownloadError("the mirror is down")
        if name not in self.files[base]:
            raise DownloadHTTPError("not here", 404)
        return iter([self.files[base][name]])
