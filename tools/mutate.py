"""Planted mutants: remove one guard at a time and see that a test fails for it.

A mutant is a file, a text that must occur there exactly once, its replacement, and the tests that guard it; where one
guard stands in several places, it is a list of such edits. The tree is copied once to a temporary folder, where the
named tests must pass; each mutant is a copy of that copy, so that nothing but its edits can make a test fail. A mutant
that survives, a text that is not found, or a test that fails without any mutant is a finding (exit 7).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
MUTANTS = ROOT / "tools" / "mutants"
SOURCES = ("trust", "node", "federation_coordinator", "client")
COPIED = (*SOURCES, "policies", "tests", "tools", "docs", "pyproject.toml", "README.md")
RUN_SECONDS_MAX = 300
FINDING = 7
PYTEST_TESTS_FAILED = 1

Outcome = Literal["killed", "survived", "not found", "broken"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement; `old` occurs exactly once in `file`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MutantResult:
    name: str
    outcome: Outcome
    seconds: str
    output: str


def load_mutants(set_name: str) -> list[Mutant]:
    """Return the mutants of `tools/mutants/SET.toml`: each has `file`, `old`, `new`, or a list `edit` of these."""
    data = tomllib.loads((MUTANTS / f"{set_name}.toml").read_text("utf-8"))
    return [
        Mutant(
            name=mutant["name"],
            edits=tuple(Edit(edit["file"], edit["old"], edit["new"]) for edit in mutant.get("edit", [mutant])),
            tests=tuple(mutant["tests"]),
        )
        for mutant in data["mutant"]
    ]


def run_mutants(set_name: str, *, as_json: bool) -> int:
    """Run a set and print a line per mutant. Return 0 when every mutant was killed, else 7."""
    mutants = load_mutants(set_name)
    with tempfile.TemporaryDirectory(prefix="concordat-mutants-") as folder:
        unmutated = Path(folder) / "unmutated"
        _copy_sources(ROOT, unmutated)
        print(f"checking that the guards' tests pass unmutated ({len(mutants)} mutants follow) ...", file=sys.stderr)
        tests = sorted({test for mutant in mutants for test in mutant.tests})
        # The bytecode of this run is copied along, so that a mutant compiles its own files only.
        baseline = _pytest(unmutated, tuple(tests), {})
        if baseline.returncode != 0:
            print(baseline.stdout[-4000:], file=sys.stderr)
            print("0 passed, 1 failed")
            return FINDING
        with ThreadPoolExecutor(max_workers=2) as pool:
            results = list(pool.map(partial(_run, unmutated), mutants))
    survivors = [result for result in results if result.outcome != "killed"]
    if as_json:
        print(json.dumps({"ok": not survivors, "mutants": {r.name: r.outcome for r in results}}))
    print(f"{len(results) - len(survivors)} passed, {len(survivors)} failed")
    return FINDING if survivors else 0


def _copy_sources(root: Path, copy: Path) -> None:
    copy.mkdir()
    for name in COPIED:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, copy / name)


def _run(unmutated: Path, mutant: Mutant) -> MutantResult:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-", dir=unmutated.parent) as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(unmutated, copy)
        outcome, output = _mutate_and_test(copy, mutant)
    result = MutantResult(mutant.name, outcome, f"{time.monotonic() - started:.1f}", output)
    print(f"{result.outcome:>9} {result.seconds:>6} s  {mutant.name}", file=sys.stderr, flush=True)
    if outcome != "killed":
        print(output[-2000:], file=sys.stderr)
    return result


def _mutate_and_test(copy: Path, mutant: Mutant) -> tuple[Outcome, str]:
    for edit in mutant.edits:
        target = copy / edit.file
        text = target.read_text("utf-8")
        if text.count(edit.old) != 1:
            return "not found", f"{edit.file}: the text occurs {text.count(edit.old)} times: {edit.old}"
        target.write_text(text.replace(edit.old, edit.new), "utf-8")
        for stale in (target.parent / "__pycache__").glob(f"{target.stem}.*.pyc"):
            stale.unlink()
    done = _pytest(copy, mutant.tests, {"PYTHONDONTWRITEBYTECODE": "1"})
    if done.returncode == 0:
        return "survived", done.stdout
    # Anything but "tests ran and some failed" (a collection error, a usage error) proves nothing.
    return ("killed" if done.returncode == PYTEST_TESTS_FAILED else "broken"), done.stdout


def _pytest(root: Path, tests: tuple[str, ...], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(str(root / source) for source in SOURCES)
    return subprocess.run(  # noqa: S603 - our own test runner on our own tests
        [sys.executable, "-m", "pytest", "-q", "-x", "-m", "", "-p", "no:cacheprovider", *tests],
        cwd=root,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_SECONDS_MAX,
    )
