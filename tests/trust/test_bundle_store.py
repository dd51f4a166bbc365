"""Bundles on disk: bounded when read, atomic when written."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from concordat_trust.bundle.errors import BundleArchiveInvalid, BundleDirectoryUnwritable, BundleFileUnreadable
from concordat_trust.bundle.store import (
    FILE_BYTES_MAX,
    archive_bytes,
    is_bundle_name,
    publish,
    read_bundle,
    write_atomically,
)
from concordat_trust.public_statistics import public_statistics_file
from tests.factories.network import NOW, make_network
from tests.factories.repository import Repository

NETWORK = make_network()


def zipped(*entries: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(BundleArchiveInvalid) as caught:
        read_bundle(path)
    return str(caught.value)


def test_a_published_folder_gives_its_files_back(tmp_path: Path) -> None:
    publish(tmp_path / "new", NETWORK.files)
    assert read_bundle(tmp_path / "new") == dict(NETWORK.files)


def test_an_archive_gives_its_files_back_and_is_deterministic(tmp_path: Path) -> None:
    data = archive_bytes(NETWORK.bundle.files)
    assert data == archive_bytes(dict(sorted(NETWORK.bundle.files.items(), reverse=True)))
    (tmp_path / "bundle.zip").write_bytes(data)
    repo = Repository()
    repo.files = read_bundle(tmp_path / "bundle.zip")
    assert repo.verify(at=NOW).view == NETWORK.bundle.view


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/../b", "a//b", ".hidden", "a/.b", "a\\b", "", "a/b/c/d/e/f", "ä"]
)
def test_a_name_that_no_bundle_has_is_refused(name: str, tmp_path: Path) -> None:
    assert not is_bundle_name(name)
    if name:
        assert "name" in refused(tmp_path / "x.zip", zipped((name, b"")))


def test_an_archive_with_a_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zipped(("a.json", b"1"), ("a.json", b"2"))
    assert "twice" in refused(tmp_path / "x.zip", data)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    assert "too large" in refused(tmp_path / "x.zip", zipped(("a.json", b"\0" * (FILE_BYTES_MAX + 1))))


def test_many_files_together_are_bounded(tmp_path: Path) -> None:
    big = bytes(FILE_BYTES_MAX)
    entries = [(f"{i}.json", big) for i in range(9)]
    assert "too large" in refused(tmp_path / "x.zip", zipped(*entries))


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", b"PK\x03\x04 broken", zipped(("a.json", b"abc"))[:-30]],
    ids=["empty", "html", "broken", "truncated"],
)
def test_bytes_that_are_no_archive_are_refused(data: bytes, tmp_path: Path) -> None:
    assert "not a ZIP archive" in refused(tmp_path / "x.zip", data)


def test_an_archive_with_a_changed_byte_inside_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped(("a.json", os.urandom(200))))
    data[60] ^= 1
    assert "not a ZIP archive" in refused(tmp_path / "x.zip", bytes(data))


ARCHIVE_BYTES_MAX = 120_000
"""What the archive of 200 organizations may weigh: it is sent by e-mail at first contact."""


def test_the_archive_of_200_organizations_is_small_and_verifies(tmp_path: Path) -> None:
    network = make_network([f"organization-{n:03}" for n in range(200)], statistics=public_statistics_file())
    data = archive_bytes(network.bundle.files)
    (tmp_path / "bundle.zip").write_bytes(data)
    assert len(data) <= ARCHIVE_BYTES_MAX
    repo = Repository(network)
    repo.files = read_bundle(tmp_path / "bundle.zip")
    assert len(repo.verify(at=NOW).organizations) == 200


def test_a_missing_path_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(BundleFileUnreadable) as caught:
        read_bundle(tmp_path / "nothing.zip")
    assert "nothing.zip" in str(caught.value)


def test_foreign_files_in_a_folder_are_left_out(tmp_path: Path) -> None:
    publish(tmp_path, NETWORK.files)
    (tmp_path / ".writing-1").write_bytes(b"half")
    assert read_bundle(tmp_path) == dict(NETWORK.files)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()  # a folder in its place makes the replacement fail
    with pytest.raises(BundleDirectoryUnwritable):
        write_atomically(tmp_path / "file", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_reported_as_such() -> None:
    with pytest.raises(BundleDirectoryUnwritable):
        write_atomically(Path("/dev/full/file"), b"x")


def test_a_repository_name_outside_the_folder_is_a_bug(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        publish(tmp_path, {"../escape": b""})


def test_the_timestamp_is_written_after_all_that_it_names(tmp_path: Path) -> None:
    publish(tmp_path, NETWORK.files)
    changed = sorted(tmp_path.rglob("*.j*"), key=lambda p: p.stat().st_mtime_ns)
    assert changed[-1].name == "timestamp.json"
    assert changed[-2].name == "1.snapshot.json"
    assert changed[0].parts[-2] != tmp_path.name
