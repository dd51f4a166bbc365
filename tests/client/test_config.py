"""The client's own files: a session that only its owner reads, and pinned root fingerprints."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from concordat_client.config import (
    SavedSession,
    config_dir,
    forget_session,
    load_session,
    pin_root,
    pinned_root,
    session_path,
    store_session,
    write_private,
)
from concordat_client.errors import ConfigUnwritable, PinMismatch, RootNotPinned, SessionFileUnusable, SignedOut

SESSION = SavedSession("https://home.example", "secret-token", "person-1", "alma-university", "net-a", 1_800_000_000)
ROOT, OTHER_ROOT = "ab" * 32, "cd" * 32


def test_a_session_is_read_back(tmp_path: Path) -> None:
    path = store_session(tmp_path / "concordat", SESSION)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert load_session(tmp_path / "concordat") == SESSION


def test_a_file_that_was_open_to_others_is_replaced_by_one_that_is_not(tmp_path: Path) -> None:
    session_path(tmp_path).touch(mode=0o666)
    store_session(tmp_path, SESSION)
    assert session_path(tmp_path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_session_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    store_session(tmp_path, SESSION).chmod(mode)
    with pytest.raises(SessionFileUnusable, match="read by others"):
        load_session(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"session_version":2}', b"x" * 70_000])
def test_a_damaged_session_is_named_and_not_used(tmp_path: Path, content: bytes) -> None:
    write_private(session_path(tmp_path), content)
    with pytest.raises(SessionFileUnusable, match="damaged"):
        load_session(tmp_path)


def test_without_a_session_one_is_signed_out(tmp_path: Path) -> None:
    with pytest.raises(SignedOut):
        load_session(tmp_path)
    forget_session(tmp_path)


def test_a_folder_that_cannot_be_written_is_named_and_nothing_half_written_stays(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigUnwritable):
        store_session(tmp_path / "file" / "below", SESSION)
    (tmp_path / "session.json").mkdir()
    with pytest.raises(ConfigUnwritable):
        store_session(tmp_path, SESSION)
    assert sorted(os.listdir(tmp_path)) == ["file", "session.json"]


def test_the_folder_follows_the_xdg_rules() -> None:
    assert config_dir({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}) == Path("/x/concordat")
    assert config_dir({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}) == Path("/h/.config/concordat")
    assert config_dir({"HOME": "/h"}) == Path("/h/.config/concordat")


def test_a_pinned_root_is_read_back_and_never_changed_in_passing(tmp_path: Path) -> None:
    pin_root(tmp_path, "net-a", ROOT)
    pin_root(tmp_path, "net-a", ROOT)
    with pytest.raises(PinMismatch):
        pin_root(tmp_path, "net-a", OTHER_ROOT)
    assert pinned_root(tmp_path, "net-a") == ROOT


@pytest.mark.parametrize("network", ["net-b", "../net-a", "Net-A", ""])
def test_a_network_that_is_not_pinned_has_no_root(tmp_path: Path, network: str) -> None:
    pin_root(tmp_path, "net-a", ROOT)
    with pytest.raises(RootNotPinned):
        pinned_root(tmp_path, network)


@pytest.mark.parametrize("content", [b"{}", b'{"root_sha256":"short"}', b"x"])
def test_a_damaged_pin_is_no_pin(tmp_path: Path, content: bytes) -> None:
    write_private(tmp_path / "networks" / "net-a.json", content)
    with pytest.raises(RootNotPinned):
        pinned_root(tmp_path, "net-a")
