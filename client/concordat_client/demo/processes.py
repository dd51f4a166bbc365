"""Child processes of the demonstration: started with a log file, waited for, and always stopped.

Every child dies with its parent (PR_SET_PDEATHSIG on Linux), so that not even a hard kill of the demonstration leaves
one behind. Children live in a session of their own: Ctrl-C reaches the demonstration, which stops them in order.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from concordat_trust.errors import OperatorError

READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 8.0
POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1


class ProcessFailed(OperatorError):
    code = "process_failed"
    sentence = "{name} did not become ready (exit status {status}). Its last words: {output}"
    hint = "Run ./concordat doctor; if it finds nothing, the log shown above says what the process missed."


def free_port() -> int:
    """Return a port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


@dataclass(slots=True)
class Child:
    """One running process and where its words go."""

    name: str
    argv: tuple[str, ...]
    log: Path
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes]

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def last_words(self) -> str:
        """Return the end of the log, as one line."""
        text = self.log.read_text("utf-8", errors="replace")
        return " / ".join(line for line in text.splitlines()[-6:] if line.strip()) or "(nothing)"

    def stop(self) -> None:
        """Ask the process to end, and make it end after a while."""
        if not self.is_running:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(name: str, argv: Sequence[str], log: Path, environment: Mapping[str, str]) -> Child:
    """Start one process. It is not ready yet: see `wait_ready`."""
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own programs, arguments as a list
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl call, no locks, and no threads yet at start
        )
    return Child(name, tuple(argv), log, environment, process)


def wait_ready(child: Child, url: str) -> None:
    """Return when `url` answers 200.

    Raises: ProcessFailed when the process ends first or takes longer than READY_SECONDS_MAX.
    """
    deadline = time.monotonic() + READY_SECONDS_MAX
    with httpx.Client(trust_env=False, timeout=2.0) as client:
        while child.is_running and time.monotonic() < deadline:
            try:
                if client.get(url).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(POLL_SECONDS)
    raise ProcessFailed(name=child.name, status=child.process.poll(), output=child.last_words())


@dataclass(slots=True)
class Children:
    """The processes of one demonstration, stopped in the reverse order of their start."""

    running: dict[str, Child] = field(default_factory=dict)

    def add(self, child: Child) -> Child:
        self.running[child.name] = child
        return child

    def restart(self, name: str) -> Child:
        old = self.running.pop(name)
        return self.add(start(name, old.argv, old.log, old.environment))

    def stop_all(self) -> None:
        # All are asked first, so that the wait is that of the slowest and not the sum.
        children = list(reversed(self.running.values()))
        for child in children:
            if child.is_running:
                child.process.terminate()
        for child in children:
            child.stop()
        self.running.clear()
