"""What the ceremony of the containers leaves: whole parties, certificates that hold, and nothing twice."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from concordat_client import cli
from concordat_client.demo.containers import edge_host, volumes
from concordat_client.demo.edge_certificates import Authority
from concordat_client.demo.layout import read_topology
from concordat_client.demo.scripted_browser import PERSON_FILE
from concordat_coordinator import settings as coordinator_settings
from concordat_node import settings as node_settings
from concordat_node.home.settings import parse_home_settings
from tests.deploy.containers import OURS, SERVICES, mounts

TOPOLOGY = read_topology()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for name in volumes(TOPOLOGY):
        (tmp_path / "out" / name).mkdir(parents=True)
    return tmp_path / "out"


def failed(capsys: pytest.CaptureFixture[str], out: Path) -> tuple[int, str]:
    exit_code = cli.main(["demo-found", "--out", str(out)])
    return exit_code, capsys.readouterr().err.partition(":")[0]


def test_a_volume_that_is_not_mounted_is_named(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / "vitalis").rmdir()
    assert failed(capsys, out) == (2, "demo_volume_missing")


def test_a_founding_that_was_cut_off_is_not_built_upon(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / "vitalis" / "settings.json").touch()
    assert failed(capsys, out) == (2, "demo_volume_taken")
    assert [path.name for path in out.rglob("*") if path.is_file()] == ["settings.json"]


def test_a_founded_network_is_left_alone(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / "online-signer" / "founded").touch()
    assert cli.main(["demo-found", "--out", str(out)]) == 0
    assert "founded already" in capsys.readouterr().out
    assert [path.name for path in out.rglob("*") if path.is_file()] == ["founded"]


def handshake(authority: Authority, host: str, certificate: bytes, folder: Path) -> None:
    """Do a TLS 1.3 handshake with a server that has `certificate`, as a client that wants `host`."""
    path = folder / "edge.pem"
    path.write_bytes(certificate)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    server.minimum_version = ssl.TLSVersion.TLSv1_3
    client = ssl.create_default_context(cadata=authority.certificate.decode("ascii"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    here, there = socket.socketpair()

    def answer() -> None:
        with there:
            try:
                with server.wrap_socket(there, server_side=True) as secure:
                    secure.recv(1)
            except OSError:
                pass

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with here, client.wrap_socket(here, server_hostname=host):
            pass
    finally:
        thread.join()


def test_an_edge_is_believed_under_its_own_name_only(tmp_path: Path) -> None:
    authority = Authority(at=int(time.time()))
    host = edge_host("vitalis")
    handshake(authority, host, authority.certify(host), tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(authority, edge_host("north-hospital"), authority.certify(host), tmp_path)


def test_another_authority_is_not_believed(tmp_path: Path) -> None:
    ours, theirs = Authority(at=int(time.time())), Authority(at=int(time.time()))
    host = edge_host("vitalis")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(ours, host, theirs.certify(host), tmp_path)


@pytest.mark.long
@pytest.mark.timeout(240)
def test_every_file_that_a_container_reads_is_founded(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo-found", "--out", str(out)]) == 0
    for name in OURS:
        if name == "ceremony":
            continue
        [mount] = mounts(SERVICES[name])
        values = [*SERVICES[name]["command"], *SERVICES[name].get("environment", {}).values()]
        for value in values:
            if value.startswith(mount.target + "/"):
                assert (out / mount.source / value.removeprefix(mount.target + "/")).exists(), (name, value)
    for organization in TOPOLOGY.organizations:
        _node_settings_read(out, organization)
        assert (out / f"{organization}-edge" / "edge.pem").stat().st_mode & 0o777 == 0o600
    environment = SERVICES[TOPOLOGY.coordinator]["environment"]
    settings = coordinator_settings.read_settings(out / TOPOLOGY.coordinator / "settings.json", environment)
    assert settings.host == environment["CONCORDAT_COORDINATOR_HOST"]
    assert settings.port == 8420
    assert not list(out.rglob("entity.pem"))
    assert not list(out.rglob("keyholder.pem"))


def _node_settings_read(out: Path, organization: str) -> None:
    environment = SERVICES[organization]["environment"]
    settings = node_settings.read_settings(out / organization / "settings.json", environment)
    assert settings.organization == organization
    assert settings.bundle_mirrors == ("http://online-signer:8440/",)
    assert str(settings.ca_file) == "/data/ca.pem"
    assert (settings.home is not None) == (organization == TOPOLOGY.home)
    if settings.home is not None:
        assert parse_home_settings(dict(settings.home)).base_url == "http://127.0.0.1:8420"


def test_the_browser_of_the_container_reads_its_person_and_stays_on_loopback(tmp_path: Path) -> None:
    person = tmp_path / "person.json"
    person.write_text(json.dumps({"username": "ada", "password": "x"}), "utf-8")
    command = [sys.executable, "-m", "concordat_client.demo.scripted_browser", "http://192.0.2.1/login"]
    environment = {**os.environ, PERSON_FILE: str(person)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "ScriptedLoginFailed" in done.stderr
