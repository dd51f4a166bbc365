"""The Rego gates: the project's policies pass, and each gate fails for what it is there to find."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from concordat_node.policy.capabilities import FORBIDDEN, capabilities_text
from concordat_node.policy.gates import run_rego_gates
from concordat_node.policy.rego_files import policies_dir


def failing(opa_path: Path, policies: Path) -> dict[str, str]:
    return {result.name: result.detail for result in run_rego_gates(opa_path, policies) if not result.ok}


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return Path(shutil.copytree(policies_dir(), tmp_path / "policies"))


def add(policies: Path, name: str, text: str) -> None:
    path = policies / "rego" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_the_baseline_passes_every_gate(opa_path: Path) -> None:
    results = run_rego_gates(opa_path, policies_dir())
    assert [(result.name, result.ok) for result in results] == [
        ("rego-format", True),
        ("rego-check", True),
        ("rego-test", True),
    ]


def test_text_that_is_not_formatted_is_found(opa_path: Path, policies: Path) -> None:
    add(policies, "extra/extra.rego", "package concordat.extra\n\n\n\nx   := 1\n")
    assert "rego-format" in failing(opa_path, policies)


def test_every_forbidden_builtin_is_found(opa_path: Path, policies: Path) -> None:
    arguments = {"http.send": "{}", "net.lookup_ip_addr": '"x"'}
    calls = "".join(f"\nx{n} := {name}({arguments.get(name, '')})\n" for n, name in enumerate(sorted(FORBIDDEN)))
    add(policies, "extra/extra.rego", f"package concordat.extra\n{calls}")
    found = failing(opa_path, policies)["rego-check"]
    assert all(f"undefined function {name}" in found for name in FORBIDDEN)


def test_a_misspelt_input_is_found_by_its_schema(opa_path: Path, policies: Path) -> None:
    path = policies / "rego" / "clearance" / "clearance.rego"
    path.write_text(path.read_text().replace("input.requester.clearance", "input.requester.clearence"))
    assert "clearence" in failing(opa_path, policies)["rego-check"]


def test_an_unused_variable_is_found(opa_path: Path, policies: Path) -> None:
    add(policies, "extra/extra.rego", "package concordat.extra\n\nx if {\n\ty := 1\n\tinput.z\n}\n")
    assert "rego-check" in failing(opa_path, policies)


def test_a_failing_test_is_found(opa_path: Path, policies: Path) -> None:
    add(policies, "extra/extra_test.rego", "package concordat.extra_test\n\ntest_no if false\n")
    assert "test_no" in failing(opa_path, policies)["rego-test"]


def test_rules_without_tests_are_found(opa_path: Path, policies: Path) -> None:
    rules = "".join(f"\nrule_{number} if {{\n\tinput.x == {number}\n\tinput.y\n}}\n" for number in range(60))
    add(policies, "extra/extra.rego", f"package concordat.extra\n{rules}")
    failed = failing(opa_path, policies)
    assert failed.keys() == {"rego-test"}
    assert "threshold" in failed["rego-test"]


def test_no_policies_at_all_do_not_pass(opa_path: Path, policies: Path) -> None:
    shutil.rmtree(policies / "rego")
    (policies / "rego").mkdir()
    assert "rego-test" in failing(opa_path, policies)


def test_an_opa_that_is_not_there_passes_nothing(policies: Path) -> None:
    assert failing(policies / "no-opa", policies).keys() == {"rego-format", "rego-check", "rego-test"}


def test_the_capabilities_file_is_what_the_binary_has_without_the_forbidden(opa_path: Path) -> None:
    current = subprocess.run([opa_path, "capabilities", "--current"], capture_output=True, check=True).stdout
    text = (policies_dir() / "capabilities.json").read_text()
    assert text == capabilities_text(current)
    for builtin in (*FORBIDDEN, "rand.intn", "uuid.rfc4122"):
        assert f'"{builtin}"' not in text
