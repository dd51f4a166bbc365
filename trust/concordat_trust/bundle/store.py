"""Bundle files on disk: a folder as a repository serves it, or one ZIP archive for first contact and offline use.

Rules of this file:

* Everything is bounded while it is read: number of files, bytes of one and of all, also after decompression.
* An archive is written packed, which makes it a third as large; one with the files themselves is read just as well.
* A name is a relative path of plain labels; nothing is ever extracted, so no archive can write outside.
* Writing is atomic and durable: a reader, and a crash, sees the old state or the new one. Of a repository, the
  timestamp is written last, because it makes everything else current.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from concordat_trust.bundle.errors import (
    BundleArchiveInvalid,
    BundleDirectoryUnwritable,
    BundleFileUnreadable,
    BundleMalformed,
    PublicationRaced,
    SuspensionRaced,
)
from concordat_trust.bundle.files import FILES_MAX
from concordat_trust.bundle.packing import joined, pack, unpack
from concordat_trust.bundle.suspension import SignedSuspension

FILE_BYTES_MAX = 8_000_000
BUNDLE_BYTES_MAX = 64_000_000
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){0,4}")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def is_bundle_name(name: str) -> bool:
    """Tell whether `name` is a relative path of plain labels; a label never begins with a dot."""
    return _NAME.fullmatch(name) is not None


def read_bundle(path: Path) -> dict[str, bytes]:
    """Return the unverified files of a bundle, from a folder or a ZIP archive.

    Raises: BundleFileUnreadable, BundleArchiveInvalid.
    """
    return read_repository(path) if path.is_dir() else read_archive(path)


def read_repository(folder: Path) -> dict[str, bytes]:
    """Return all files below `folder` by their relative name. Raises: BundleFileUnreadable, BundleArchiveInvalid."""
    budget = _Budget(folder)
    try:
        for path in _walk(folder):
            name = path.relative_to(folder).as_posix()
            if is_bundle_name(name):
                with path.open("rb") as file:
                    budget.take(name, file.read(FILE_BYTES_MAX + 1))
    except OSError as error:
        raise BundleFileUnreadable(path=str(folder), problem=error.strerror) from error
    return budget.files


def read_archive(path: Path) -> dict[str, bytes]:
    """Return the files of a ZIP archive. Raises: BundleFileUnreadable, BundleArchiveInvalid."""
    try:
        with path.open("rb") as file:
            data = file.read(BUNDLE_BYTES_MAX + 1)
    except OSError as error:
        raise BundleFileUnreadable(path=str(path), problem=error.strerror) from error
    return parse_archive(data, path)


def parse_archive(data: bytes, path: Path) -> dict[str, bytes]:
    """Return the files of an archive's bytes; `path` is for messages. Raises: BundleArchiveInvalid."""
    budget = _Budget(path)
    if len(data) > BUNDLE_BYTES_MAX:
        raise budget.refuse("it is too large")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                if not is_bundle_name(entry.filename):
                    raise budget.refuse("it holds a name that no bundle has")
                with archive.open(entry) as file:
                    budget.take(entry.filename, file.read(FILE_BYTES_MAX + 1))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        # RuntimeError is what zipfile raises for an encrypted entry, NotImplementedError for a foreign compression.
        raise budget.refuse("it is not a ZIP archive of a bundle") from error
    return _unpacked(budget) if joined(budget.files) else budget.files


def _unpacked(budget: _Budget) -> dict[str, bytes]:
    try:
        files = unpack(budget.files, bytes_max=BUNDLE_BYTES_MAX, file_bytes_max=FILE_BYTES_MAX, files_max=FILES_MAX)
    except BundleMalformed as error:
        raise budget.refuse(str(error.fields["problem"])) from error
    if not all(map(is_bundle_name, files)):
        raise budget.refuse("it holds a name that no bundle has")
    return files


class _Budget:
    """Counts what is read, and refuses what no bundle needs."""

    def __init__(self, path: Path) -> None:
        self.files: dict[str, bytes] = {}
        self._path = path
        self._bytes = 0

    def refuse(self, problem: str) -> BundleArchiveInvalid:
        return BundleArchiveInvalid(path=str(self._path), problem=problem)

    def take(self, name: str, data: bytes) -> None:
        self._bytes += len(data)
        if name in self.files:
            raise self.refuse("it holds one name twice")
        if len(data) > FILE_BYTES_MAX or self._bytes > BUNDLE_BYTES_MAX or len(self.files) >= FILES_MAX:
            raise self.refuse("it is too large")
        self.files[name] = data


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        elif path.is_file():
            yield path


def archive_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return a ZIP archive of `files` in two packed parts (see `packing`), the same bytes for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in pack(files).items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, compress_type=zipfile.ZIP_DEFLATED, compresslevel=9)
    return buffer.getvalue()


def write_atomically(path: Path, data: bytes, *, is_new: bool = False) -> None:
    """Replace the file at `path`, durably, or with `is_new` make one that is not there yet.

    Raises: BundleDirectoryUnwritable; then the old file is still there. FileExistsError with `is_new`.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as file:
            temporary = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        if is_new:
            path.hardlink_to(temporary)
            Path(temporary).unlink()
        else:
            Path(temporary).replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink(missing_ok=True)
        if is_new and isinstance(error, FileExistsError):
            raise
        raise BundleDirectoryUnwritable(path=str(path), problem=error.strerror) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write new repository files: targets, roles, snapshot, timestamp. Raises: BundleDirectoryUnwritable."""
    for name in sorted(files, key=_rank):
        if not is_bundle_name(name):
            raise RuntimeError(f"{name!r} is not a name of the repository")
        write_atomically(folder / name, files[name])


def publish_new(folder: Path, files: Mapping[str, bytes]) -> None:
    """Add files to a repository: targets first, and the root last, so that half of them changes nothing for anybody.

    A version that is there already with other content is somebody else's and stays.
    Raises: PublicationRaced, BundleDirectoryUnwritable.
    """
    for name in sorted(files, key=lambda name: (name.endswith(".root.json"), *_rank(name))):
        if not is_bundle_name(name):
            raise RuntimeError(f"{name!r} is not a name of the repository")
        try:
            write_atomically(folder / name, files[name], is_new=True)
        except FileExistsError as error:
            if (folder / name).read_bytes() != files[name]:
                raise PublicationRaced(name=name) from error


def publish_suspension(folder: Path, signed: SignedSuspension) -> None:
    """Add a suspension to a repository; a version that is there already is another keyholder's and stays.

    Raises: SuspensionRaced, BundleDirectoryUnwritable.
    """
    write_atomically(folder / signed.target_file, signed.files[signed.target_file])
    try:
        write_atomically(folder / signed.role_file, signed.files[signed.role_file], is_new=True)
    except FileExistsError as error:
        raise SuspensionRaced(name=signed.role_file) from error


def _rank(name: str) -> tuple[int, str]:
    # What is named by another file is written before it.
    if name == "timestamp.json":
        return 3, name
    if name.endswith(".snapshot.json"):
        return 2, name
    return (0 if "/" in name else 1), name
