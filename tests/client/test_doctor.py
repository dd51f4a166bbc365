"""What the doctor says of the session: one that is there can still be of no use."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from concordat_client.config import SavedSession, session_path, store_session
from concordat_client.doctor import Finding, examine


def session(expires_at: int) -> SavedSession:
    return SavedSession("https://home.example", "secret-token", "ada", "vitalis", "pilot", expires_at)


def found() -> Finding:
    return next(finding for finding in examine(None) if finding.name == "session")


def test_nobody_signed_in_is_no_fault(config_home: Path) -> None:
    assert found().ok
    assert "not signed in" in found().found


def test_a_good_session_is_told_with_its_end_and_without_its_secret(config_home: Path) -> None:
    store_session(config_home, session(int(time.time()) + 3_600))
    assert found().ok
    assert "signed in at https://home.example until 20" in found().found
    assert "secret-token" not in found().found


@pytest.mark.parametrize("left_s", [0, -1])
def test_a_session_that_has_ended_is_missing(config_home: Path, left_s: int) -> None:
    store_session(config_home, session(int(time.time()) + left_s))
    assert not found().ok
    assert found().found.startswith("ended 20")
    assert "concordat login" in found().fix


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"home": "x"}', '{"home": "x", "expires_at": "soon"}'])
def test_a_damaged_session_file_is_named(config_home: Path, content: str) -> None:
    store_session(config_home, session(0))
    session_path(config_home).write_text(content)
    assert not found().ok
    assert str(session_path(config_home)) in found().found
    assert "damaged" in found().found


def test_a_session_file_that_others_can_read_is_named(config_home: Path) -> None:
    store_session(config_home, session(int(time.time()) + 3_600))
    session_path(config_home).chmod(0o640)
    assert not found().ok
    assert "can be read by others" in found().found


def test_a_session_file_that_cannot_be_read_is_named(config_home: Path) -> None:
    session_path(config_home).mkdir(parents=True, mode=0o700)
    assert not found().ok
    assert json.dumps(found().found).isascii()
    assert "cannot be read" in found().found
