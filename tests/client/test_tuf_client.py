"""`concordat trust tuf-client` over small repositories of ours: the protocol of the public TUF conformance suite.

What the suite itself says stands in docs/architecture.md; here the command is driven over real HTTP, as a process.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from concordat_client.cli import main
from concordat_trust.bundle.online_signer import RepositoryServer
from concordat_trust.bundle.store import publish
from tests.factories.network import NOW
from tests.factories.repository import Repository

ROOT = Path(__file__).parents[2]


class Served:
    """A repository over HTTP, and a client of it that keeps its metadata in a folder."""

    def __init__(self, folder: Path) -> None:
        self.repo = Repository()
        self.folder = folder
        self.now = NOW
        self.publish()
        self.server = RepositoryServer(folder / "served", "127.0.0.1", 0)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        (folder / "root.json").write_bytes(self.repo.files["1.root.json"])

    def publish(self) -> None:
        publish(self.folder / "served", self.repo.files)

    def arguments(self, command: str, *names: str) -> list[str]:
        where = ["--metadata-dir", str(self.folder / "metadata"), "--metadata-url", self.server.url]
        targets = [part for name in names for part in ("--target-name", name)]
        places = ["--target-dir", str(self.folder / "targets"), "--target-base-url", f"{self.server.url}targets"]
        last = [str(self.folder / "root.json")] if command == "init" else []
        at = ["--at", str(self.now)]
        return ["trust", "tuf-client", *where, *at, *(targets + places if names else []), command, *last]

    def run(self, command: str, *names: str) -> int:
        return main(self.arguments(command, *names))

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    try:
        yield served
    finally:
        served.close()


def kept(served: Served) -> set[str]:
    return {p.name for p in (served.folder / "metadata").glob("*.json")}


def test_init_pins_the_root_and_asks_nobody(served: Served) -> None:
    served.server.shutdown()
    assert served.run("init") == 0
    assert kept(served) == {"root.json"}


def test_refresh_brings_the_top_level_and_download_the_targets(served: Served) -> None:
    assert served.run("init") == 0
    assert served.run("refresh") == 0
    assert kept(served) == {"root.json", "timestamp.json", "snapshot.json", "targets.json"}
    assert served.run("download", "network.json", "members/vitalis/entity.jwt") == 0
    found = {p.read_bytes() for p in (served.folder / "targets").rglob("*") if p.is_file()}
    assert found == {served.repo.policy.to_bytes(), served.repo.verify().files["targets/members/vitalis/entity.jwt"]}


def test_whatever_is_refused_ends_with_exit_code_1(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert served.run("refresh") == 1  # nothing is pinned
    assert "tuf_client_unusable" in capsys.readouterr().err
    assert served.run("init") == 0
    assert served.run("download", "nothing.json") == 1
    assert "no role lists 'nothing.json'" in capsys.readouterr().err
    served.now += 3_600
    assert served.run("refresh") == 1
    assert "ExpiredMetadataError" in capsys.readouterr().err
    assert main(["trust", "tuf-client", "--metadata-dir", str(served.folder / "metadata"), "refresh"]) == 1
    assert main(served.arguments("download")) == 1
    assert main(["trust", "tuf-client", "--metadata-dir", str(served.folder), "init", "/nowhere"]) == 1


def test_a_mirror_that_goes_back_is_refused_and_the_newer_metadata_stays(served: Served) -> None:
    old = dict(served.repo.files)
    served.repo.renew(NOW + 60)
    served.publish()
    served.now += 60
    assert served.run("init") == 0
    assert served.run("refresh") == 0
    newest = (served.folder / "metadata" / "timestamp.json").read_bytes()
    served.repo.files = old
    served.publish()
    assert served.run("refresh") == 1
    assert (served.folder / "metadata" / "timestamp.json").read_bytes() == newest


@pytest.mark.long
def test_the_command_as_a_process_follows_a_network_through_its_life(served: Served) -> None:
    def concordat(command: str, *names: str) -> int:
        program = [sys.executable, "-m", "concordat_client.cli", *served.arguments(command, *names)]
        return subprocess.run(program, cwd=ROOT, capture_output=True, check=False, timeout=60).returncode

    assert concordat("init") == 0
    assert concordat("refresh") == 0
    for version in (2, 3):
        served.repo.publish_root(version, served.repo.keys, signers=served.repo.quorum)
        served.repo.publish_targets(version)
        served.now += 60
        served.repo.renew(served.now)
        served.publish()
        assert concordat("download", "network.json", "suspended.json") == 0
        assert kept(served) >= {"root.json", "timestamp.json", "snapshot.json", "targets.json", "suspended.json"}
    served.repo.publish_root(4, served.repo.keys, signers=served.repo.quorum[:1])
    served.publish()
    assert concordat("refresh") == 1
