"""What policies must pass before they are used: format, strict check, tests with coverage.

`./concordat check` and `./concordat check` call `run_rego_gates`; it decides nothing and changes nothing.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

COVERAGE_MINIMUM = 95
GATE_TIMEOUT_S = 60.0
DETAIL_MAX = 4_000

GateName = Literal["rego-format", "rego-check", "rego-test"]


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate. `detail` is what to show: the figure when it passed, OPA's own words when it did not."""

    name: GateName
    ok: bool
    detail: str


def run_rego_gates(opa_path: Path, policies_dir: Path) -> list[GateResult]:
    """Return the result of every gate over the policies of one folder (`rego/`, `schemas/`, `capabilities.json`)."""
    rego = str(policies_dir / "rego")
    capabilities = ["--capabilities", str(policies_dir / "capabilities.json")]
    schemas = ["--schema", str(policies_dir / "schemas")]
    tests = ["test", rego, *capabilities, "--fail-on-empty"]
    return [
        _gate("rego-format", opa_path, ["fmt", "--fail", "--list", rego], _formatted),
        _gate("rego-check", opa_path, ["check", "--strict", rego, *schemas, *capabilities], _checked),
        # Failures are worded by the plain run; the one with coverage says only figures.
        _first_failure(
            _gate("rego-test", opa_path, tests, _tested),
            lambda: _gate(
                "rego-test",
                opa_path,
                [*tests, "--coverage", "--threshold", str(COVERAGE_MINIMUM), "--format", "json"],
                _covered,
            ),
        ),
    ]


def _gate(name: GateName, opa_path: Path, arguments: Sequence[str], detail: Callable[[str], str]) -> GateResult:
    try:
        done = subprocess.run(  # noqa: S603 (our own OPA, arguments spelled out above)
            [str(opa_path), *arguments], capture_output=True, text=True, timeout=GATE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return GateResult(name, ok=False, detail=str(error)[:DETAIL_MAX])
    if done.returncode != 0:
        text = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
        return GateResult(name, ok=False, detail=text[:DETAIL_MAX])
    return GateResult(name, ok=True, detail=detail(done.stdout))


def _first_failure(first: GateResult, second: Callable[[], GateResult]) -> GateResult:
    return second() if first.ok else first


def _formatted(_: str) -> str:
    return "formatted"


def _checked(_: str) -> str:
    return "strict, with schemas and capabilities"


def _tested(text: str) -> str:
    return text.strip()


def _covered(text: str) -> str:
    coverage = json.loads(text).get("coverage")
    return f"coverage {coverage:.1f} % (at least {COVERAGE_MINIMUM} %)"
