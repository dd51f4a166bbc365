"""`concordat coordinator serve` as a process and as a command: ready, asked, stopped, and every way not to start."""

from __future__ import annotations

import argparse
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from concordat_coordinator.cli import register
from concordat_trust.bundle.store import publish
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.encoding import b64u
from concordat_trust.keys import save_private_key
from concordat_trust.query_token import mint_query_token
from concordat_trust.question import Part
from concordat_trust.request_signature import SignedMessage, authority_of, sign_request
from concordat_trust.wire.coordinator_documents import COORDINATOR_ASK_ID
from tests.factories.network import TestNetwork, make_network
from tests.factories.node import ANALYST, HOME, RELAY, SEALING_KEY, make_question

START_S = 50.0
# Starting a process takes seconds of its own on a busy machine, and a test here starts one, asks it and stops it.
pytestmark = pytest.mark.timeout(180)
MAIN = "import argparse; from concordat_coordinator.cli import register; p=argparse.ArgumentParser(); " \
    "register(p.add_subparsers()); a=p.parse_args(); raise SystemExit(a.run(a))"  # fmt: skip


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _mirror(folder: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Place:
    """A folder with keys and settings of a coordinator, and the network it belongs to."""

    folder: Path
    network: TestNetwork
    settings: dict[str, Any]

    def command(self, *arguments: str) -> list[str]:
        file = self.folder / "coordinator.json"
        file.write_text(json.dumps(self.settings))
        return ["coordinator", "serve", "--settings", str(file), "--json", *arguments]

    def run(self, *arguments: str) -> int:
        """Run the command in this process; for starts that fail."""
        parser = argparse.ArgumentParser()
        register(parser.add_subparsers())
        parsed = parser.parse_args(self.command(*arguments))
        return int(parsed.run(parsed))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    endpoints = {org: f"http://127.0.0.1:{_free_port()}" for org in ("alma-university", "north-hospital", "relay-one")}
    network = make_network(at=int(time.time()), endpoints=endpoints)
    (tmp_path / "mirror").mkdir()
    publish(tmp_path / "mirror", network.files)
    keys = tmp_path / "data" / "keys"
    keys.mkdir(parents=True)
    save_private_key(keys / "request.pem", network.keys[RELAY]["request"])
    save_private_key(keys / "delivery.pem", network.keys[RELAY]["delivery"])
    with _mirror(tmp_path / "mirror") as mirror:
        port = int(endpoints["relay-one"].rsplit(":", 1)[1])
        yield Place(
            tmp_path,
            network,
            {
                "organization": "relay-one",
                "root_sha256": network.root_sha256,
                "data_dir": "data",
                "bundle_mirrors": [mirror],
                "port": port,
            },
        )


@contextmanager
def _served(place: Place) -> Iterator[tuple[subprocess.Popen[str], str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONCORDAT_")}
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *place.command()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        event = json.loads(line)
        assert (event["event"], event["organization"]) == ("serving", "relay-one")
        yield process, str(event["address"])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def _stop(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    process.send_signal(number)
    assert process.stderr is not None
    code = process.wait(timeout=START_S)
    return code, process.stderr.read()


def _ask(place: Place, address: str) -> httpx.Response:
    network, now = place.network, int(time.time())
    question = make_question(network)
    parts = {org: Part().canonical() for org in network.bundle.organizations}
    keys = network.keys
    token = mint_query_token(
        key=keys[HOME]["query_token"],
        issuer=HOME,
        subject="p-4711",
        network=network.bundle.network.id,
        question=question.canonical(),
        parts=parts,
        claims=ANALYST,
        presenter=keys[RELAY]["request"].key_id,
        enc=SEALING_KEY.public,
        token_id=b64u(os.urandom(16)),
        now=now,
    )
    texts = canonical_bytes({org: part.decode() for org, part in parts.items()}).decode()
    variables: JsonObject = {"question": question.canonical().decode(), "parts": texts, "deadlineMs": 3_000}
    body = canonical_bytes({"documentId": COORDINATOR_ASK_ID, "variables": variables})
    message = SignedMessage("POST", authority_of(address), "/graphql", "application/json", f"Bearer {token}", body)
    headers = sign_request(message, key=keys[HOME]["request"], created=now, nonce=b64u(os.urandom(16)))
    return httpx.post(f"{address}/graphql", content=body, headers=headers, timeout=START_S, trust_env=False)


def _error(capsys: pytest.CaptureFixture[str]) -> str:
    return str(json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["code"])


def test_a_coordinator_is_ready_relays_and_stops_cleanly(place: Place) -> None:
    with _served(place) as (process, address):
        assert httpx.get(f"{address}/readyz", trust_env=False).status_code == 200
        answer = _ask(place, address).json()["data"]["ask"]
        statuses = {entry["organization"]: (entry["status"], entry["code"]) for entry in answer["answers"]}
        assert statuses["north-hospital"] == ("UNREACHABLE", "peer_unreachable")
        assert set(statuses) == {"alma-university", "north-hospital", "vitalis"}
        code, log = _stop(process, signal.SIGTERM)
    assert code == 0
    assert "Traceback" not in log


def test_without_a_mirror_it_lives_and_is_not_ready(place: Place) -> None:
    place.settings["bundle_mirrors"] = [f"http://127.0.0.1:{_free_port()}/"]
    with _served(place) as (process, address):
        assert httpx.get(f"{address}/livez", trust_env=False).status_code == 200
        assert httpx.get(f"{address}/readyz", trust_env=False).status_code == 503
        refused = _ask(place, address)
        assert (refused.status_code, refused.json()["errors"][0]["message"]) == (503, "coordinator_not_ready")
        code, log = _stop(process, signal.SIGINT)
    assert (code, "Traceback" in log) == (0, False)


def test_a_stop_during_the_start_does_not_wait_for_a_mirror_that_hangs(place: Place) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        place.settings["bundle_mirrors"] = [f"http://127.0.0.1:{silent.getsockname()[1]}/"]
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *place.command()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        try:
            silent.settimeout(START_S)
            asking, _ = silent.accept()  # the first poll has begun, and will get no answer
            with asking:
                asked_at = time.monotonic()
                code, log = _stop(process, signal.SIGTERM)
            assert (code, "Traceback" in log) == (0, False)
            assert time.monotonic() - asked_at < 8  # the poll itself would wait 10 s
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            if process.stderr is not None:
                process.stderr.close()


def test_a_port_in_use_is_a_clear_error(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert place.run("--port", str(taken.getsockname()[1])) == 1
    assert _error(capsys) == "coordinator_port_in_use"


def test_a_wrong_fingerprint_stops_the_start(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.settings["root_sha256"] = "ab" * 32
    assert place.run() == 6
    assert _error(capsys) == "bundle_bootstrap_mismatch"


def test_a_key_that_the_bundle_does_not_name_stops_the_start(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    key = place.folder / "data" / "keys" / "delivery.pem"
    key.unlink()
    save_private_key(key, place.network.keys[RELAY]["request"])
    assert place.run() == 6
    assert _error(capsys) == "coordinator_not_member"


def test_a_key_that_others_can_read_stops_the_start(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    (place.folder / "data" / "keys" / "request.pem").chmod(0o644)
    assert place.run() == 1
    assert _error(capsys) == "key_file_permissions"


@pytest.mark.parametrize("arguments", [("--port", "70000"), ("--settings", "/nonexistent.json")])
def test_a_wrong_argument_is_a_usage_error(
    place: Place, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert place.run(*arguments) == 2
    assert _error(capsys) == "coordinator_setting_invalid"


def test_without_json_an_error_is_prose_on_standard_error(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    arguments = parser.parse_args([*(a for a in place.command("--port", "70000") if a != "--json")])
    assert arguments.run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("coordinator_setting_invalid: The setting --port is not a port number.")
