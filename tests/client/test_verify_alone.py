"""`concordat verify` stands alone: with the base install, without node, coordinator, network or any other process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from concordat_client.cli import COMMANDS
from concordat_client.exits import Exit
from concordat_trust.bundle.store import archive_bytes
from tests.client import base_install
from tests.factories.answers import demo_network, make_saved
from tests.factories.network import NOW

NETWORK = demo_network()
PROGRAM = Path(base_install.__file__)


def alone(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    answer, bundle = tmp_path / "answer.json", tmp_path / "bundle.zip"
    answer.write_bytes(make_saved().to_bytes())
    bundle.write_bytes(archive_bytes(NETWORK.files))
    return str(answer), str(bundle)


def test_the_base_install_is_the_trust_package_the_client_and_their_dependencies() -> None:
    modules = base_install.base_modules()
    assert {"concordat_trust", "concordat_client", "cryptography", "tuf", "jwt", "httpx"} <= modules
    absent = {"concordat_node", "concordat_coordinator", "fastapi", "strawberry", "sqlalchemy", "aiohttp", "authlib"}
    assert not modules & (absent | {"pytest", "hypothesis", "uvicorn", "lark", "jinja2", "numpy", "graphql"})


def test_an_answer_is_verified_with_the_base_install_alone(files: tuple[str, str]) -> None:
    answer, bundle = files
    done = alone("verify", answer, "--bundle", bundle, "--root-sha256", NETWORK.root_sha256, "--json")
    assert (done.returncode, done.stderr) == (Exit.DONE, "")
    assert json.loads(done.stdout)["records_proven"] == 3


def test_an_altered_answer_is_refused_with_the_base_install_alone(files: tuple[str, str]) -> None:
    answer, bundle = files
    Path(answer).write_bytes(Path(answer).read_bytes().replace(b"Clinical sepsis model", b"Clinical sepsis modeL", 1))
    done = alone("verify", answer, "--bundle", bundle, "--root-sha256", NETWORK.root_sha256)
    assert (done.returncode, done.stderr.split(":")[0]) == (Exit.TRUST_FAILED, "record_not_attested")


def test_a_bundle_is_verified_with_the_base_install_alone(files: tuple[str, str]) -> None:
    bundle = files[1]
    done = alone("trust", "verify", "--bundle", bundle, "--root-sha256", NETWORK.root_sha256, "--at", str(NOW))
    assert (done.returncode, done.stderr) == (Exit.DONE, "")


def test_what_needs_a_node_says_which_extra_brings_it() -> None:
    done = alone("node", "--help")
    assert done.returncode == Exit.USAGE
    assert "concordat-federation[node]" in done.stderr


def test_the_program_of_this_test_lets_no_connection_pass() -> None:
    done = alone("login", "--home", "http://127.0.0.1:9")
    assert done.returncode == Exit.UNEXPECTED
    assert "made a connection or a process" in done.stderr


def test_every_command_without_an_extra_is_there_in_the_base_install() -> None:
    expected = sorted(command.name for command in COMMANDS if command.extra is None)
    assert alone().stdout.split() == expected
