"""Settings are read once, whole and strictly: a misspelt limit must not leave its default in force."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from concordat_node.settings import (
    PREFIX,
    SettingInvalid,
    SettingMissing,
    Settings,
    SettingsUnreadable,
    SettingUnknown,
    options,
    read_settings,
)
from concordat_trust.canonical import Json, canonical_bytes

GOOD: dict[str, Json] = {
    "organization": "north-hospital",
    "root_sha256": "ab" * 32,
    "data_dir": "data",
    "bundle_mirrors": ["http://127.0.0.1:8400"],
    "purposes_admitted": ["GRU", "HMB"],
}


def written(tmp_path: Path, **changes: Json) -> Path:
    path = tmp_path / "node.json"
    path.write_bytes(canonical_bytes({**GOOD, **changes}))
    return path


def test_a_file_gives_settings_with_defaults(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path), {})
    assert settings.organization == "north-hospital"
    assert settings.purposes_admitted == ("GRU", "HMB")
    assert settings.data_dir == tmp_path / "data"
    assert settings.in_data_dir(settings.attestation_key) == tmp_path / "data" / "keys" / "attestation.pem"
    assert settings.host == "127.0.0.1"


def test_the_environment_stands_over_the_file(tmp_path: Path) -> None:
    environment = {
        f"{PREFIX}PORT": "9000",
        f"{PREFIX}PURPOSES_ADMITTED": "DS, GRU",
        f"{PREFIX}HOME": '{"base_url":"http://127.0.0.1:9000"}',
        "PORT": "1",
    }
    settings = read_settings(written(tmp_path, port=8_000), environment)
    assert settings.port == 9_000
    assert settings.purposes_admitted == ("DS", "GRU")
    assert settings.home == {"base_url": "http://127.0.0.1:9000"}


def test_the_environment_alone_is_enough(tmp_path: Path) -> None:
    environment = {
        f"{PREFIX}ORGANIZATION": "vitalis",
        f"{PREFIX}ROOT_SHA256": "ab" * 32,
        f"{PREFIX}DATA_DIR": str(tmp_path),
        f"{PREFIX}BUNDLE_MIRRORS": "https://a.example,https://b.example",
    }
    assert read_settings(None, environment).bundle_mirrors == ("https://a.example", "https://b.example")


def test_no_default_widens_access(tmp_path: Path) -> None:
    path = tmp_path / "node.json"
    path.write_bytes(canonical_bytes({key: value for key, value in GOOD.items() if key != "purposes_admitted"}))
    settings = read_settings(path, {})
    assert settings.purposes_admitted == ()
    assert settings.notice_mode == "none"
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize("name", ["organization", "root_sha256", "data_dir", "bundle_mirrors"])
def test_what_has_no_default_must_be_given(tmp_path: Path, name: str) -> None:
    path = tmp_path / "node.json"
    path.write_bytes(canonical_bytes({key: value for key, value in GOOD.items() if key != name}))
    with pytest.raises(SettingMissing) as caught:
        read_settings(path, {})
    assert caught.value.fields["setting"] == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("organization", "North Hospital"),
        ("organization", 5),
        ("root_sha256", "AB" * 32),
        ("port", "8000"),
        ("port", 65_536),
        ("port", -1),
        ("port", True),
        ("data_dir", ""),
        ("bundle_mirrors", "http://127.0.0.1"),
        ("bundle_mirrors", [1]),
        ("bundle_mirrors", ["https://a.example"] * 9),
        ("bundle_mirrors", ["nonsense"]),
        ("bundle_mirrors", ["ftp://a.example/"]),
        ("bundle_mirrors", ["https://a.example:x/"]),
        ("bundle_mirrors", ["https://a.example/?q=1"]),
        ("purposes_admitted", ["ANYTHING"]),
        ("notice_mode", "loud"),
        ("home", []),
        ("questions_max", 0),
    ],
)
def test_a_value_of_another_kind_or_range_is_refused(tmp_path: Path, name: str, value: Json) -> None:
    with pytest.raises(SettingInvalid) as caught:
        read_settings(written(tmp_path, **{name: value}), {})
    assert caught.value.fields["setting"] == name


@pytest.mark.parametrize(("name", "text"), [("PORT", "80a"), ("PORT", ""), ("HOME", "[1]"), ("HOME", "{")])
def test_a_value_of_the_environment_is_checked_too(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(SettingInvalid):
        read_settings(written(tmp_path), {PREFIX + name: text})


def test_an_unknown_setting_is_refused_in_both_places(tmp_path: Path) -> None:
    with pytest.raises(SettingUnknown):
        read_settings(written(tmp_path, question_max=1), {})
    with pytest.raises(SettingUnknown):
        read_settings(written(tmp_path), {f"{PREFIX}QUESTION_MAX": "1"})


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{", b'{"port":1.5}', b'{"port":1,"port":2}'])
def test_a_file_that_is_no_settings_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "node.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsUnreadable):
        read_settings(path, {})


def test_every_setting_is_shown_with_meaning_and_unit() -> None:
    shown: dict[str, Any] = {option.name: option for option in options()}
    assert list(shown) == [item.name for item in fields(Settings)]
    assert all(option.meaning for option in shown.values())
    for name, unit in (("_s", "s"), ("_ms", "ms"), ("_bytes_max", "bytes")):
        for option in shown.values():
            if option.name.endswith(name):
                assert option.unit == unit
