"""The node's commands: made once, filled, looked at, and a start that fails says what to do."""

from __future__ import annotations

import argparse
import http.client
import http.server
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from concordat_node.cli import register
from concordat_node.peer.store import PeerStore
from concordat_node.registry.engine import open_ledger_database
from concordat_trust.bundle.repository import MemberKeys
from concordat_trust.bundle.store import publish
from concordat_trust.ids import OrgId
from concordat_trust.keys import load_private_key, save_private_key
from concordat_trust.peer_message import PeerMessage
from concordat_trust.token_use import TokenUse
from tests.factories.network import TestNetwork, make_network

NORTH = OrgId.parse("north-hospital")
MAIN = (
    "import argparse, sys; from concordat_node.cli import register; parser = argparse.ArgumentParser(); "
    "register(parser.add_subparsers()); arguments = parser.parse_args(); sys.exit(arguments.run(arguments))"
)
LINE = {
    "type": "model",
    "local_name": "sepsis",
    "title": "Sepsis onset",
    "created": "2026-03-01",
    "policy": {
        "sensitivity": 0,
        "permission": "DUO:0000042",
        "disease": None,
        "modifiers": [],
        "agreements": [],
        "approvals": [],
        "discoverable": "summary",
        "summary_metrics": True,
        "relay_may_read": True,
        "embargo_until": "0001-01-01",
        "status": "active",
    },
}


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    parsed = parser.parse_args(["node", *map(str, arguments)])
    return int(parsed.run(parsed))


def init(folder: Path, *more: object, mirror: str = "http://127.0.0.1:9", root: str = "ab" * 32) -> int:
    wanted = ("--organization", "north-hospital", "--root-sha256", root, "--mirror", mirror)
    return run("init", "--settings", folder / "node.json", *wanted, "--purpose", "GRU", *more)


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_init_makes_settings_and_keys_that_only_the_owner_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path, "--json") == 0
    made = told(capsys)
    assert set(made["public_keys"]) == {"entity", "attestation", "query_token", "request"}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 7
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").rglob("*") if path.is_dir()} == {0o700}
    key = load_private_key(tmp_path / "data" / "keys" / "attestation.pem")
    assert made["public_keys"]["attestation"]["key_id"] == key.key_id


def test_init_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert init(tmp_path) == 1
    assert "settings_file_exists" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("more", [("--purpose", "ANYTHING"), ("--port", "70000"), ("--mirror", "nonsense")])
def test_init_refuses_settings_that_serve_would_refuse(tmp_path: Path, more: tuple[str, str]) -> None:
    assert init(tmp_path, *more) == 2
    assert list(tmp_path.rglob("*.*")) == []


def test_a_missing_settings_file_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("serve", "--settings", tmp_path / "absent.json", "--json") == 2
    assert told(capsys)["error"]["code"] == "settings_unreadable"


def test_a_port_in_use_is_said_with_a_hint_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run("serve", "--settings", tmp_path / "node.json", "--port", taken.getsockname()[1]) == 1
    error = capsys.readouterr().err
    assert "port_in_use" in error
    assert "--port" in error
    assert not (tmp_path / "data" / "registry.sqlite").exists()


def test_a_key_that_others_can_read_stops_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path)
    (tmp_path / "data" / "keys" / "request.pem").chmod(0o640)
    assert run("serve", "--settings", tmp_path / "node.json", "--port", 0) == 1
    assert "key_file_permissions" in capsys.readouterr().err


def test_the_log_of_a_new_node_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path)
    capsys.readouterr()
    assert run("log", "list", "--settings", tmp_path / "node.json") == 0
    assert capsys.readouterr().out == ""


class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def mirror(folder: Path) -> Iterator[str]:
    def handler(*arguments: Any) -> Quiet:
        return Quiet(*arguments, directory=str(folder))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def network() -> TestNetwork:
    # Commands read the real clock, so this network is founded now.
    return make_network(at=int(time.time()))


@pytest.fixture
def member(tmp_path: Path, network: TestNetwork) -> Iterator[Path]:
    """The settings file of a node that is a member of a network with a mirror."""
    publish(tmp_path / "repository", network.files)
    with mirror(tmp_path / "repository") as address:
        init(tmp_path, mirror=address, root=network.root_sha256)
        keys: MemberKeys = network.signing.members[NORTH]
        for use, key in keys.uses.items():
            path = tmp_path / "data" / "keys" / f"{use}.pem"
            path.unlink()
            save_private_key(path, key)
        yield tmp_path / "node.json"


def records(folder: Path, *lines: Mapping[str, object] | str) -> Path:
    path = folder / "records.ndjson"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_import_reports_every_line_and_stores_the_good_ones(
    member: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run("import", records(tmp_path, LINE), "--settings", member, "--json") == 0
    assert told(capsys)["imported"] == 1
    mixed = records(tmp_path, {**LINE, "local_name": "other"}, "{", {**LINE, "surprise": 1})
    assert run("import", mixed, "--settings", member, "--json") == 7
    report = told(capsys)
    assert (report["imported"], report["refused"]) == (1, 2)
    assert [line["ok"] for line in report["lines"]] == [True, False, False]


def test_import_without_a_bundle_is_unreachable_or_unverified(
    member: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = json.loads(member.read_text())
    member.write_text(json.dumps({**settings, "bundle_mirrors": ["http://127.0.0.1:9"]}))
    assert run("import", records(tmp_path, LINE), "--settings", member) == 8
    member.write_text(json.dumps({**settings, "root_sha256": "ab" * 32}))
    assert run("import", records(tmp_path, LINE), "--settings", member) == 6
    assert "bundle_bootstrap_mismatch" in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_node_serves_until_a_signal_and_leaves_nothing(member: Path, tmp_path: Path) -> None:
    """The real thing: mirror, bundle, registry, OPA and socket; then SIGTERM."""
    run("import", records(tmp_path, LINE), "--settings", member)
    command = [sys.executable, "-c", MAIN, "node", "serve", "--settings", str(member), "--port", "0", "--json"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            serving = json.loads(process.stdout.readline())
            assert serving["organization"] == "north-hospital"
            connection = http.client.HTTPConnection(serving["address"].removeprefix("http://"), timeout=20)
            for path, status in (("/livez", 200), ("/readyz", 200), ("/graphql", 405)):
                connection.request("GET", path)
                response = connection.getresponse()
                response.read()
                assert response.status == status
            connection.request("POST", "/graphql", b"{}", {"content-type": "application/json"})
            assert connection.getresponse().status == 400
            connection.close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.long
@pytest.mark.timeout(240)
def test_doctor_finds_a_whole_node_well_and_names_what_is_missing(
    member: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run("doctor", "--settings", member, "--json") == 0
    assert told(capsys)["ok"]
    (member.parent / "data" / "keys" / "request.pem").unlink()
    assert run("doctor", "--settings", member, "--json") == 7
    found = {finding["name"]: finding for finding in told(capsys)["findings"]}
    assert not found["keys"]["ok"]
    assert found["keys"]["hint"]
    assert found["registry"]["ok"]


def with_people(member: Path, **mapping: Any) -> None:
    """Give the node a home door whose claims mapping is a file."""

    def rules(claim: str, is_: str, becomes: str) -> dict[str, Any]:
        return {"claim": claim, "rules": [{"is": is_, "becomes": becomes}]}

    settings = json.loads(member.read_text())
    claims = {
        "mapping_version": 1,
        "affiliation": rules("affiliation", "employee", "staff"),
        "role": rules("role", "scientist", "researcher"),
        "clearance": rules("groups", "cleared", "restricted"),
        "purposes": rules("groups", "general", "GRU"),
        **mapping,
    }
    (member.parent / "data" / "claims.json").write_text(json.dumps(claims))
    provider = {"issuer": "https://idp.north.example", "client_id": "concordat-home", "client_secret": None}
    home = {"base_url": "https://home.north.example", "provider": provider, "coordinators": []}
    member.write_text(json.dumps({**settings, "home": {**home, "claims_file": "claims.json"}}))


def test_doctor_says_what_a_sample_of_claims_becomes(
    member: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_people(member)
    sample = tmp_path / "sample.json"
    sample.write_text('{"affiliation": "employee", "role": ["scientist"], "groups": ["cleared", "general"], "x": 0.5}')
    assert run("doctor", "--settings", member, "--json", "--claims-sample", sample) == 0
    (finding,) = told(capsys)["findings"]
    assert finding["message"] == (
        "affiliation staff, role researcher, clearance restricted, purposes GRU, registrar no"
    )
    sample.write_text('{"affiliation": "visitor", "role": "scientist"}')
    assert run("doctor", "--settings", member, "--json", "--claims-sample", sample) == 7
    assert told(capsys)["findings"][0]["message"].startswith("person_not_mapped")


def test_doctor_names_what_the_mapping_says_beyond_the_caps(member: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_people(member, role={"claim": "role", "rules": [{"is": "x", "becomes": "king"}]})
    assert run("doctor", "--settings", member, "--json") == 7
    people = next(finding for finding in told(capsys)["findings"] if finding["name"] == "people")
    assert (people["ok"], "role king" in people["message"]) == (False, True)


def test_a_mapping_that_cannot_be_read_stops_the_start(member: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_people(member, typo={})
    assert run("serve", "--settings", member, "--json") == 1
    assert told(capsys)["error"]["code"] == "claims_mapping_invalid"


def test_tokens_that_were_never_minted_here_are_listed_and_the_doctor_names_them(
    member: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run("log", "tokens", "--settings", member) == 0
    assert capsys.readouterr().out.startswith("No node reported")
    assert (run("log", "tokens", "--json", "--settings", member), capsys.readouterr().out) == (0, "")
    store = PeerStore(open_ledger_database(member.parent / "data" / "peer.sqlite"))
    at = int(time.time())
    message = PeerMessage(OrgId.parse("vitalis"), "m" * 22, "token_uses", at, at + 60)
    store.receive_uses(message, [TokenUse("t" * 22, "h" * 43, "OK", at)], now=at)
    store.close()
    assert run("log", "tokens", "--settings", member) == 7
    assert capsys.readouterr().out.startswith("token_never_minted  vitalis")
    assert run("doctor", "--settings", member, "--json") == 7
    found = {finding["name"]: finding for finding in told(capsys)["findings"]}
    assert "tokens_found_elsewhere" in found["own tokens"]["message"]
    assert stat.S_IMODE((member.parent / "data" / "peer.sqlite").stat().st_mode) == 0o600


def test_the_doctor_names_a_split_view(member: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = member.parent / "data" / "split-views" / "7-vitalis.json"
    kept.parent.mkdir()
    kept.write_bytes(b"{}")
    capsys.readouterr()
    assert run("doctor", "--settings", member, "--json") == 7
    found = {finding["name"]: finding for finding in told(capsys)["findings"]}
    assert str(kept) in found["split views"]["message"]
    assert "split_view_found" in found["split views"]["message"]
