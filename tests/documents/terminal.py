"""Follows a document in an empty folder: real files, real commands in a shell, real servers that are always stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from concordat_client.demo.processes import free_port
from tests.documents.reader import ROOT, Step, example_ports, steps, with_ports

COMMAND_SECONDS_MAX = 120
READY_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20
_BROWSER = """#!{python}
import sys
from concordat_client.demo.scripted_browser import sign_in
sign_in(sys.argv[1], {username!r}, {password!r})
"""


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended."""

    command: str
    status: int
    output: str
    errors: str


@dataclass(slots=True)
class Terminal:
    """One folder, its environment, the ports that stand for the examples, and the servers that keep running."""

    folder: Path
    environment: dict[str, str]
    ports: Mapping[str, int]
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def follow(self, step: Step) -> Done | None:
        """Do one step; return what a command that ended said."""
        text = with_ports(step.text, self.ports)
        if step.kind == "serve":
            self._serve(text)
        elif step.kind == "run":
            return self.run(text)
        else:
            self._write(step.kind == "add", self.folder / step.path, text)
        return None

    def run(self, command: str) -> Done:
        ended = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )
        return Done(command, ended.returncode, ended.stdout, ended.stderr)

    def let_a_person_sign_in(self, username: str, password: str) -> None:
        """Give the terminal a browser in which this person signs in."""
        browser = self.folder.parent / "browser"
        browser.write_text(_BROWSER.format(python=sys.executable, username=username, password=password), "utf-8")
        browser.chmod(0o700)
        # "&": a browser that does not end before the command line has got its answer.
        self.environment["BROWSER"] = f"{browser} %s &"

    def _write(self, is_added: bool, path: Path, text: str) -> None:
        if not is_added:
            path.parent.mkdir(exist_ok=True)
            assert not path.exists(), f"{path.name} would be overwritten"
            path.write_text(text, "utf-8")
            return
        known = json.loads(path.read_text("utf-8"))
        fresh = json.loads(text)
        assert not set(known) & set(fresh), "a field is there already"
        path.write_text(json.dumps({**known, **fresh}, indent=2), "utf-8")

    def _serve(self, command: str) -> None:
        log = self.folder.parent / f"server-{len(self.servers)}"
        with log.open("wb") as output:
            server = subprocess.Popen(
                ["sh", "-c", command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.servers.append(server)
        deadline = time.monotonic() + READY_SECONDS_MAX
        while " on http://127.0.0.1:" not in log.read_text("utf-8"):
            assert server.poll() is None, f"{command}\n{log.read_text('utf-8')}"
            assert time.monotonic() < deadline, f"{command}\n{log.read_text('utf-8')}"
            time.sleep(0.02)

    def close(self) -> None:
        """Stop every server with what it has started, the last one first."""
        for server in reversed(self.servers):
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)
        for server in self.servers:
            try:
                server.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


@contextmanager
def terminal(folder: Path, text: str) -> Iterator[Terminal]:
    """Give a terminal for the document `text` in a new folder below `folder`; nothing is running afterwards."""
    place = folder / "empty"
    place.mkdir(parents=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CONCORDAT_NODE_")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    opened = Terminal(place, environment, {port: free_port() for port in example_ports(text)})
    try:
        yield opened
    finally:
        opened.close()


def document(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def document_steps(name: str) -> list[Step]:
    return steps(document(name))
