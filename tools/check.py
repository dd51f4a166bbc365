"""`./concordat check`: every gate that needs no test run, two at a time, in under a minute.

Each gate is a command (or, for the policies, a function of the node) with a name; a gate that cannot run has failed.
Exit codes: 0 all passed, 2 usage, 7 a finding.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
PACKAGES = ("trust/concordat_trust", "node/concordat_node", "federation_coordinator/concordat_coordinator")
TYPED = (*PACKAGES, "client/concordat_client", "tools", "tests")
GATE_SECONDS_MAX = 300
FINDING = 7


@dataclass(frozen=True, slots=True)
class GateResult:
    name: str
    ok: bool
    seconds: str
    output: str


def _command(name: str, *argv: str) -> tuple[str, Callable[[], tuple[bool, str]]]:
    def run() -> tuple[bool, str]:
        done = subprocess.run(  # noqa: S603 - the gates are literals of this file
            argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=GATE_SECONDS_MAX
        )
        return done.returncode == 0, (done.stdout + done.stderr).strip()

    return name, run


def _rego() -> tuple[bool, str]:
    from concordat_node.policy.gates import run_rego_gates  # noqa: PLC0415 - only this gate needs the node
    from concordat_node.policy.opa_binary import ensure_opa  # noqa: PLC0415

    results = run_rego_gates(ensure_opa().path, ROOT / "policies")
    return all(result.ok for result in results), "\n".join(f"{r.name}: {r.detail}" for r in results)


def gates() -> list[tuple[str, Callable[[], tuple[bool, str]]]]:
    """Return the gates, the longest first."""

    def tool(name: str) -> str:
        return str(BIN / name)

    return [
        _command("types (mypy --strict)", tool("mypy"), *TYPED),
        ("policies (opa fmt, check --strict, test)", _rego),
        _command("import contracts", tool("lint-imports"), "--no-cache"),
        _command("dependencies (deptry)", tool("deptry"), *PACKAGES, "client/concordat_client"),
        _command("style (ruff check)", tool("ruff"), "check", "."),
        _command("format (ruff format)", tool("ruff"), "format", "--check", "."),
        _command("documents", sys.executable, "tools/check_documents.py"),
        _command("launcher (sh -n)", "sh", "-n", "concordat"),
    ]


def _timed(gate: tuple[str, Callable[[], tuple[bool, str]]]) -> GateResult:
    name, run = gate
    started = time.monotonic()
    try:
        ok, output = run()
    except Exception as error:  # noqa: BLE001 - a gate that cannot run has failed, whatever the reason
        ok, output = False, f"{type(error).__name__}: {error}"
    result = GateResult(name, ok, f"{time.monotonic() - started:.1f}", output)
    print(f"{'ok  ' if ok else 'FAIL'} {result.seconds:>6} s  {name}", file=sys.stderr, flush=True)
    return result


def arguments_of(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="concordat check", description=__doc__)
    parser.add_argument("--mutate", choices=("running-path", "trust"), help="run planted mutants instead")
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="of the trust mutants, try one in N")
    parser.add_argument("--module", action="append", default=[], help="of the trust mutants, those of this module")
    parser.add_argument("--json", action="store_true", help="print the results as JSON on stdout")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = arguments_of(argv)
    if arguments.mutate == "trust":
        from mutate_trust import run_trust_mutants  # noqa: PLC0415

        return run_trust_mutants(sample=arguments.sample, only=arguments.module, as_json=arguments.json)
    if arguments.mutate:
        from mutate import run_mutants  # noqa: PLC0415

        return run_mutants(arguments.mutate, as_json=arguments.json)
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(_timed, gates()))
    failed = [result for result in results if not result.ok]
    for result in failed:
        print(f"\n--- {result.name}\n{result.output}", file=sys.stderr)
    if arguments.json:
        print(json.dumps({"ok": not failed, "gates": [asdict(result) for result in results]}))
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed in {time.monotonic() - started:.0f} s")
    return FINDING if failed else 0


if __name__ == "__main__":
    sys.exit(main())
