"""The settings of a coordinator: file, then environment; what is misspelt or missing is refused by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from concordat_coordinator.cost import Limits
from concordat_coordinator.errors import CoordinatorSettingInvalid
from concordat_coordinator.settings import Settings, options, read_settings

GOOD: dict[str, Any] = {
    "organization": "relay-one",
    "root_sha256": "ab" * 32,
    "data_dir": "data",
    "bundle_mirrors": ["http://127.0.0.1:8410/"],
}


def _read(tmp_path: Path, environment: Mapping[str, str] | None = None, **changes: Any) -> Settings:
    file = tmp_path / "coordinator.json"
    file.write_text(json.dumps({key: value for key, value in {**GOOD, **changes}.items() if value is not ...}))
    return read_settings(file, environment or {})


def _refused(tmp_path: Path, changes: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> str:
    with pytest.raises(CoordinatorSettingInvalid) as caught:
        _read(tmp_path, environment, **changes)
    return str(caught.value.fields["setting"])


def test_four_settings_are_enough(tmp_path: Path) -> None:
    settings = _read(tmp_path)
    assert (settings.organization, settings.host, settings.port) == ("relay-one", "127.0.0.1", 8430)
    assert settings.limits() == Limits()


def test_paths_are_relative_to_the_file_and_keys_to_the_data(tmp_path: Path) -> None:
    settings = _read(tmp_path, ca_file="ca.pem")
    assert settings.ca_file == tmp_path / "ca.pem"
    assert settings.in_data_dir(settings.request_key) == tmp_path / "data" / "keys" / "request.pem"
    assert settings.in_data_dir(Path("/elsewhere/key.pem")) == Path("/elsewhere/key.pem")


def test_the_environment_stands_over_the_file(tmp_path: Path) -> None:
    environment = {
        "CONCORDAT_COORDINATOR_PORT": "9000",
        "CONCORDAT_COORDINATOR_BUNDLE_MIRRORS": "https://a.example/, https://b.example/",
        "CONCORDAT_NODE_PORT": "1",
    }
    settings = _read(tmp_path, environment)
    assert (settings.port, settings.bundle_mirrors) == (9000, ("https://a.example/", "https://b.example/"))


@pytest.mark.parametrize("name", sorted(GOOD))
def test_what_has_no_default_must_be_given(tmp_path: Path, name: str) -> None:
    assert _refused(tmp_path, {name: ...}) == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("organization", "Relay One"),
        ("root_sha256", "AB" * 32),
        ("root_sha256", "ab" * 31),
        ("data_dir", 7),
        ("bundle_mirrors", []),
        ("bundle_mirrors", "http://127.0.0.1/"),
        ("bundle_mirrors", ["x"] * 9),
        ("port", 65_536),
        ("port", "8430"),
        ("port", True),
        ("host", None),
        ("bundle_poll_s", 0),
        ("organizations_max", 201),
        ("deadline_ms_max", 999),
        ("stop_grace_s", -1),
        ("prot", 8430),
    ],
)
def test_a_wrong_value_is_refused_by_name(tmp_path: Path, name: str, value: object) -> None:
    assert _refused(tmp_path, {name: value}) == name


def test_a_misspelt_variable_is_refused(tmp_path: Path) -> None:
    assert _refused(tmp_path, {}, {"CONCORDAT_COORDINATOR_PROT": "1"}) == "prot"
    assert _refused(tmp_path, {}, {"CONCORDAT_COORDINATOR_PORT": "eighty"}) == "port"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"port":1,"port":2}', '{"port":1.5}'])
def test_a_file_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "coordinator.json"
    file.write_text(text)
    with pytest.raises(CoordinatorSettingInvalid):
        read_settings(file, {})


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CoordinatorSettingInvalid):
        read_settings(tmp_path / "missing.json", {})


def test_limits_that_are_settings_reach_the_relay(tmp_path: Path) -> None:
    limits = _read(tmp_path, organizations_max=3, deadline_ms_max=2_000, nodes_parallel_max=2, asks_parallel_max=1)
    assert limits.limits() == Limits(
        organizations_max=3, deadline_ms_max=2_000, nodes_parallel_max=2, asks_parallel_max=1
    )


def test_every_setting_says_what_it_means() -> None:
    shown = options()
    assert all(option.meaning for option in shown)
    assert {option.name for option in shown if option.default is None} == set(GOOD)


def test_eight_mirrors_may_be_asked(tmp_path: Path) -> None:
    mirrors = ",".join(f"https://{name}.example/" for name in "abcdefgh")
    assert len(_read(tmp_path, {"CONCORDAT_COORDINATOR_BUNDLE_MIRRORS": mirrors}).bundle_mirrors) == 8


@pytest.mark.parametrize("mirror", ["nonsense", "ftp://trust.example/", "https://", "https://u@trust.example/"])
def test_a_mirror_that_is_no_address_is_refused(tmp_path: Path, mirror: str) -> None:
    with pytest.raises(CoordinatorSettingInvalid, match="bundle_mirrors"):
        _read(tmp_path, {"CONCORDAT_COORDINATOR_BUNDLE_MIRRORS": mirror})
