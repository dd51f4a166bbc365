"""`concordat doctor`: what this machine has, what it lacks, and the command that mends it.

Runs before anything is installed: the standard library and our own modules that need no more. It looks, and changes
nothing; it builds nothing either. Exit 0 when everything is there, 7 otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from concordat_trust.errors import ConcordatError
from concordat_trust.times import time_words

PYTHON_MINIMUM = (3, 11)
DISK_BYTES_MIN = 2_000_000_000
EXIT_DONE, EXIT_FINDING = 0, 7


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `fix` is a command or a sentence, empty when all is well."""

    name: str
    ok: bool
    found: str
    fix: str = ""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    doctor = subparsers.add_parser("doctor", help="say what is there and what is missing, with the fix")
    _options(doctor)
    doctor.set_defaults(run=run_doctor)


def run_doctor(arguments: argparse.Namespace) -> int:
    """Look, print, and say by the exit code whether something is missing."""
    findings = examine(arguments.root)
    if arguments.json:
        print(json.dumps({"ok": all(f.ok for f in findings), "findings": [asdict(f) for f in findings]}))
    else:
        for finding in findings:
            print(f"{'ok     ' if finding.ok else 'MISSING'} {finding.name:<18} {finding.found}")
            if finding.fix:
                print(f"{'':<8}{'':<18} → {finding.fix}")
    return EXIT_DONE if all(finding.ok for finding in findings) else EXIT_FINDING


def examine(root: Path | None) -> tuple[Finding, ...]:
    """Return one finding per thing that the first run needs, in the order in which it needs them."""
    looks: list[Callable[[], Finding]] = [_python, _installer, _opa, _loopback, _disk, _session]
    if root is not None:
        looks.insert(2, lambda: _environment(root))
    return tuple(look() for look in looks)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= PYTHON_MINIMUM:
        return Finding("Python", True, version)
    return Finding("Python", False, version, "apt-get install python3.11, or set CONCORDAT_PYTHON to a newer one")


def _installer() -> Finding:
    uv = shutil.which("uv")
    if uv:
        return Finding("uv", True, "on PATH")
    try:
        import ensurepip  # noqa: F401 - only whether it is there
        import venv  # noqa: F401 - the same
    except ImportError:
        return Finding("uv", False, "neither uv nor the venv module", "apt-get install python3-venv, or pip install uv")
    return Finding("uv", True, "not on PATH; the launcher installs it in the cache (once)")


def _environment(root: Path) -> Finding:
    if (root / ".venv" / "bin" / "concordat").exists():
        return Finding("environment", True, ".venv")
    return Finding("environment", True, "not there yet; ./concordat demo or ./concordat test makes it")


def _opa() -> Finding:
    from concordat_node.policy.opa_binary import find_opa

    try:
        binary = find_opa(os.environ)
    except ConcordatError as error:
        return Finding("OPA", False, error.message, error.hint)
    if binary is not None:
        return Finding("OPA", True, f"{binary.version} ({binary.source})")
    return Finding("OPA", True, "not there yet; the first run builds it, which takes a minute or two")


def _loopback() -> Finding:
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        return Finding("loopback", False, str(error.strerror), "the demonstration listens on 127.0.0.1; allow that")
    return Finding("loopback", True, "free ports on 127.0.0.1")


def _disk() -> Finding:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    shown = f"{free // 1_000_000} MB free in {tempfile.gettempdir()}"
    if free >= DISK_BYTES_MIN:
        return Finding("disk", True, shown)
    return Finding("disk", False, shown, f"free {DISK_BYTES_MIN // 1_000_000} MB: packages and the OPA build need it")


def _session() -> Finding:
    """Say whether there is a session that can be used; read with the standard library, before anything is installed."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path(os.environ.get("HOME", "/")) / ".config")
    path = Path(base) / "concordat" / "session.json"
    again = "sign in again: concordat login --home URL"
    try:
        if path.stat().st_mode & 0o077:
            return Finding("session", False, f"{path} can be read by others", f"remove it and {again}")
        session = json.loads(path.read_bytes())
        home, ends_at = str(session["home"]), int(session["expires_at"])
    except FileNotFoundError:
        return Finding("session", True, "not signed in (concordat login --home URL)")
    except OSError as error:
        return Finding("session", False, f"{path} cannot be read: {error.strerror}", f"remove it and {again}")
    except (ValueError, KeyError, TypeError):
        return Finding("session", False, f"{path} is damaged", f"remove it and {again}")
    if ends_at <= time.time():
        return Finding("session", False, f"ended {time_words(ends_at)}", again)
    return Finding("session", True, f"signed in at {home} until {time_words(ends_at)}")


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run before set-up, as `python -m concordat_client.doctor`."""
    parser = argparse.ArgumentParser(prog="concordat doctor", description="Say what is there and what is missing.")
    _options(parser)
    parser.add_argument("command", nargs="?", choices=["doctor"], help=argparse.SUPPRESS)
    return run_doctor(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
