"""Mutation testing of the trust package: every small change of its code must make a test fail (`check --mutate trust`).

`tools/mutants/trust.toml` names the modules with the tests that guard each, and the mutants that are equivalent, each
with its reason. A survivor that is not listed, a listed mutant that no longer exists and one that a test does kill are
findings (exit 7).

How a mutant is tried: the tests of a module are collected once; each mutant is a fork of that process in which the code
of one function is exchanged, and in which the tests run that execute the changed lines, the quickest first, until one
fails. What survives there, and what stands outside functions, is tried once more in a process that imports everything
anew from the changed source, because factories may have run the function before it was exchanged.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ast_mutants import Mutant, mutants_of
from mutant_runner import ROOT, Guarded, Outcome, Results, prepare, try_mutants

DATA = ROOT / "tools" / "mutants" / "trust.toml"
FINDING = 7


@dataclass(frozen=True, slots=True)
class Plan:
    modules: tuple[Guarded, ...]
    equivalent: Mapping[str, str]


def read_plan() -> Plan:
    """Return what `tools/mutants/trust.toml` says; a reason is required for every equivalent mutant."""
    data = tomllib.loads(DATA.read_text("utf-8"))
    modules = tuple(
        Guarded(item["name"], tuple(f"tests/trust/{t}.py" for t in item["tests"])) for item in data["module"]
    )
    equivalent = {item["mutant"]: item["reason"] for item in data["equivalent"]}
    if len(equivalent) != len(data["equivalent"]) or not all(reason.strip() for reason in equivalent.values()):
        raise SystemExit(f"{DATA.name}: every equivalent mutant is listed once, with a reason")
    return Plan(modules, equivalent)


def run_trust_mutants(*, sample: int = 1, only: Sequence[str] = (), as_json: bool = False) -> int:
    """Try the mutants (one of `sample`, of the modules `only`) and say what survived. Return 0 or 7."""
    with tempfile.TemporaryDirectory(prefix="concordat-mutants-") as folder:
        # The bytecode of sources and tests is kept for this run only, whatever the environment says.
        sys.pycache_prefix, sys.dont_write_bytecode = folder, False
        return _run(sample=sample, only=only, as_json=as_json)


def _run(*, sample: int, only: Sequence[str], as_json: bool) -> int:
    plan = read_plan()
    prepare()
    started, results, known = time.monotonic(), Results(), set[str]()
    chosen = [module for module in plan.modules if not only or module.name in only]
    for module in chosen:
        mutants = module.mutants(sample=sample)
        known |= {mutant.name for mutant in mutants_of(module.source, module.name)}
        results |= _timed(module, mutants, plan.equivalent)
    found = findings(results, known, {module.name for module in chosen}, plan.equivalent)
    for finding in found:
        print(finding, file=sys.stderr)
    if as_json:
        print(json.dumps({"ok": not found, "mutants": results, "findings": found}))
    seconds = time.monotonic() - started
    print(f"{len(results)} mutants in {seconds:.0f} s: {_count(results, 'killed')} killed, {len(found)} findings")
    return FINDING if found else 0


def findings(results: Results, known: set[str], modules: set[str], equivalent: Mapping[str, str]) -> list[str]:
    """Return what is wrong: survivors, and what the list of equivalent mutants says and is not so.

    `known` are the names of all mutants of `modules`, also of those that were not tried.
    """
    survivors = [name for name, outcome in results.items() if outcome == "survived" and name not in equivalent]
    listed = [name for name in equivalent if name.partition(":")[0] in modules]
    return [
        *(f"survived: {name}" for name in survivors),
        *(f"listed as equivalent, but there is no such mutant: {name}" for name in listed if name not in known),
        *(f"listed as equivalent, but a test kills it: {name}" for name in listed if results.get(name) == "killed"),
    ]


def _count(results: Results, outcome: Outcome) -> int:
    return sum(found == outcome for found in results.values())


def _timed(module: Guarded, mutants: list[Mutant], equivalent: Mapping[str, str]) -> Results:
    started = time.monotonic()
    results = try_mutants(module, mutants, spared=frozenset(equivalent))
    if results is None:
        raise SystemExit(f"{module.name}: its tests do not pass without any mutant")
    survived, seconds = _count(results, "survived"), time.monotonic() - started
    line = f"{module.name:<24} {len(mutants):>4} mutants, {survived:>3} survive, {seconds:.0f} s"
    print(line, file=sys.stderr, flush=True)
    return results
