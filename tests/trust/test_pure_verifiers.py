"""The pure verifiers touch no file, socket, process or clock: watched by an audit hook and the profiler."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.trust import pure_program

ROOT = Path(__file__).parents[2]


@cache
def touched() -> dict[str, dict[str, list[str]]]:
    program = [sys.executable, "-m", "tests.trust.pure_program"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, list[str]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", pure_program.VERIFIERS)
def test_a_pure_verifier_touches_nothing_outside_its_arguments(name: str) -> None:
    assert touched()["verifiers"][name] == []


@pytest.mark.parametrize("name", pure_program.CONTROLS)
def test_the_watch_notices_what_would_be_touched(name: str) -> None:
    assert touched()["controls"][name] != []
