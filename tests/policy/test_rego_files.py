from __future__ import annotations

from pathlib import Path

import pytest

from concordat_node.policy.rego_files import policies_dir, policy_files, policy_revision, tools_dir

FILES = {"a.rego": b"package a\n", "b/c.rego": b"package c\n"}


def test_the_checkout_has_policies_and_pins() -> None:
    assert (policies_dir() / "schemas" / "input.json").is_file()
    assert (tools_dir() / "go.sum").is_file()
    assert "disclosure/disclosure.rego" in policy_files(policies_dir())


def test_the_revision_does_not_depend_on_the_order() -> None:
    assert policy_revision(FILES) == policy_revision(dict(reversed(FILES.items())))


@pytest.mark.parametrize(
    "other",
    [
        {"a.rego": b"package a\n"},
        FILES | {"a.rego": b"package a \n"},
        {"x.rego": b"package a\n", "b/c.rego": b"package c\n"},
        {"a.rego": b"package a\nb/c.rego", "": b"package c\n"},
    ],
)
def test_every_name_and_byte_is_in_the_revision(other: dict[str, bytes]) -> None:
    assert policy_revision(other) != policy_revision(FILES)


def test_tests_are_not_policy(tmp_path: Path) -> None:
    (tmp_path / "rego").mkdir()
    (tmp_path / "rego" / "a.rego").write_bytes(b"package a\n")
    (tmp_path / "rego" / "a_test.rego").write_bytes(b"package a_test\n")
    assert policy_files(tmp_path) == {"a.rego": b"package a\n"}


def test_no_policy_at_all_is_a_broken_package(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        policy_files(tmp_path)
