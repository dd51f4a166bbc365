"""The online signer over a real socket: it serves, it signs again, and it knows nothing else."""

from __future__ import annotations

import dataclasses
import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from concordat_trust.bundle import online_signer
from concordat_trust.bundle.errors import (
    MirrorUnreachable,
    OnlineKeyUnlisted,
    OnlineSignerAddress,
    OnlineSignerNotLoopback,
)
from concordat_trust.bundle.online_signer import OnlineSigner, RepositoryServer, serve
from concordat_trust.bundle.poll import BundlePoller
from concordat_trust.bundle.store import publish, read_repository
from concordat_trust.ids import OrgId
from tests.factories.network import NOW, make_key
from tests.factories.repository import Repository


class Running:
    """A signer with a clock that the test sets, served on a free port."""

    def __init__(self, folder: Path) -> None:
        self.repo = Repository()
        self.now = NOW
        self.folder = folder
        publish(folder, self.repo.files)
        self.signer = OnlineSigner(folder, self.repo.keys.online, clock=lambda: self.now)
        self.server = RepositoryServer(folder, "127.0.0.1", 0)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=serve, args=(self.server, self.signer, self.stop))
        self.thread.start()

    def get(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        host, port = str(self.server.server_address[0]), int(self.server.server_address[1])
        connection = http.client.HTTPConnection(host, port, timeout=5)
        try:
            connection.putrequest(method, path, skip_host=False)
            connection.endheaders()
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def poller(self, state: Path) -> BundlePoller:
        return BundlePoller(
            root_sha256=self.repo.root_sha256,
            mirrors=[self.server.url],
            state=state,
            clock=lambda: self.now,
            jitter=lambda: 0.5,
        )


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "repository")
    try:
        yield running
    finally:
        running.stop.set()
        running.thread.join(timeout=10)
        assert not running.thread.is_alive()


def test_a_party_polls_a_signer_over_http(running: Running, tmp_path: Path) -> None:
    bundle = running.poller(tmp_path / "party").poll()
    assert len(bundle.organizations) == 3
    assert bundle.view.timestamp == 2  # signed again at the start


def test_a_suspension_put_into_the_folder_reaches_a_party(running: Running, tmp_path: Path) -> None:
    poller = running.poller(tmp_path / "party")
    poller.poll()
    before = set(running.repo.files)
    running.repo.publish_suspended({"north-hospital": 2}, 2)
    publish(running.folder, {n: running.repo.files[n] for n in set(running.repo.files) - before})
    assert running.signer.refresh()
    assert poller.poll().member(OrgId("north-hospital")).suspended


@pytest.mark.parametrize("path", ["/", "/nothing.json", "/../secret", "/%2e%2e/secret", "/.writing-x", "/a?b", "//etc"])
def test_only_plain_names_of_the_folder_are_served(path: str, running: Running) -> None:
    (running.folder.parent / "secret").write_text("secret")
    assert running.get(path) == (404, b"")


def test_only_get_is_known(running: Running) -> None:
    assert running.get("/timestamp.json", "POST")[0] == 501
    assert running.get("/timestamp.json", "DELETE")[0] == 501


def test_a_connection_without_a_slot_is_closed(tmp_path: Path) -> None:
    publish(tmp_path, Repository().files)
    server = RepositoryServer(tmp_path, "127.0.0.1", 0, connections_max=1)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    address = ("127.0.0.1", int(server.server_address[1]))
    try:
        with socket.create_connection(address, timeout=5) as first, socket.create_connection(address) as second:
            first.sendall(b"GET /timestamp.json HTTP/1.1\r\nhost: x\r\n\r\n")
            assert first.recv(20).startswith(b"HTTP/1.1 200")
            second.settimeout(5)
            assert second.recv(1) == b""
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_port_in_use_is_an_error_with_its_number(running: Running) -> None:
    port = int(running.server.server_address[1])
    with pytest.raises(OnlineSignerAddress) as caught:
        RepositoryServer(running.folder, "127.0.0.1", port)
    assert str(port) in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", ""])  # noqa: S104  # these must be refused
def test_a_public_address_has_to_be_asked_for(host: str, tmp_path: Path) -> None:
    with pytest.raises(OnlineSignerNotLoopback):
        RepositoryServer(tmp_path, host, 0)


def test_a_public_address_that_was_asked_for_is_served(tmp_path: Path) -> None:
    server = RepositoryServer(tmp_path, "0.0.0.0", 0, is_public=True)  # noqa: S104  # asked for
    server.server_close()


def test_a_stopped_signer_is_unreachable(tmp_path: Path) -> None:
    running = Running(tmp_path / "repository")
    poller = running.poller(tmp_path / "party")
    running.stop.set()
    running.thread.join(timeout=10)
    with pytest.raises(MirrorUnreachable):
        poller.poll()


# The signer alone


def signer(folder: Path) -> tuple[Repository, OnlineSigner, list[int]]:
    repo, clock = Repository(), [NOW]
    publish(folder, repo.files)
    return repo, OnlineSigner(folder, repo.keys.online, clock=lambda: clock[0]), clock


def timestamp(folder: Path, repo: Repository, at: int) -> int:
    repo.files = read_repository(folder)
    return repo.verify(at=at).view.timestamp


def test_the_timestamp_is_signed_again_in_time_only(tmp_path: Path) -> None:
    repo, online, clock = signer(tmp_path)
    assert online.refresh()
    assert not online.refresh()
    clock[0] += online_signer.RESIGN_INTERVAL_S - 1
    assert not online.refresh()
    clock[0] += 1
    assert online.refresh()
    assert timestamp(tmp_path, repo, clock[0]) == 3


def test_a_clock_that_was_put_back_does_not_stop_the_signing(tmp_path: Path) -> None:
    _, online, clock = signer(tmp_path)
    online.refresh()
    clock[0] -= 10_000
    assert online.refresh()


def test_signing_again_leaves_ample_time_before_the_end() -> None:
    assert online_signer.RESIGN_INTERVAL_S * 4 < 600  # bundle_age_max of controlled classes
    assert online_signer.CHECK_INTERVAL_S < 5  # with a poll every 20 s, a suspension arrives within a minute


def test_a_broken_upload_is_tried_again_and_the_old_state_goes_on(tmp_path: Path) -> None:
    repo, online, clock = signer(tmp_path)
    online.refresh()
    (tmp_path / "2.root.json").write_bytes(b"{}")
    stop = threading.Event()
    thread = threading.Thread(target=online.run, args=(stop,))
    thread.start()
    thread.join(timeout=online_signer.CHECK_INTERVAL_S + 0.5)
    assert thread.is_alive()
    (tmp_path / "2.root.json").unlink()
    stop.set()
    thread.join(timeout=5)
    assert timestamp(tmp_path, repo, clock[0]) >= 2


# What it refuses


@pytest.mark.parametrize("whose", ["a keyholder", "a member", "a stranger"])
def test_it_signs_with_no_key_but_the_one_that_the_root_names(whose: str, tmp_path: Path) -> None:
    repo = Repository()
    keys = {"a keyholder": repo.keys.keyholders[0], "a member": repo.entity("vitalis"), "a stranger": make_key("x")}
    publish(tmp_path, repo.files)
    before = read_repository(tmp_path)
    with pytest.raises(OnlineKeyUnlisted):
        OnlineSigner(tmp_path, keys[whose], clock=lambda: NOW).refresh()
    assert read_repository(tmp_path) == before


def test_an_old_online_key_is_refused_once_the_quorum_replaced_it(tmp_path: Path) -> None:
    repo, online, clock = signer(tmp_path)
    assert online.refresh()
    new = dataclasses.replace(repo.keys, online=make_key("online, again"))
    repo.files = read_repository(tmp_path)
    repo.publish_root(2, new, signers=repo.quorum)
    publish(tmp_path, {"2.root.json": repo.files["2.root.json"]})
    clock[0] += 60
    with pytest.raises(OnlineKeyUnlisted):
        online.refresh()


@pytest.mark.parametrize("forgery", ["targets by one keyholder", "a member by another", "suspensions by a stranger"])
def test_it_publishes_nothing_that_its_role_did_not_sign(forgery: str, tmp_path: Path) -> None:
    repo, online, clock = signer(tmp_path)
    online.refresh()
    repo.files = read_repository(tmp_path)
    if forgery == "targets by one keyholder":
        repo.publish_targets(2, signers=repo.keys.keyholders[:1])
    elif forgery == "a member by another":
        repo.publish_member("vitalis", 2)
        repo.edit("2.vitalis.json", lambda r: None, signers=[repo.entity("north-hospital")])
    else:
        repo.publish_suspended({"vitalis": 2}, 2, signer=make_key("x"))
    publish(tmp_path, repo.files)
    clock[0] += 60
    online.refresh()
    repo.files = read_repository(tmp_path)
    bundle = repo.verify(at=clock[0])
    assert (bundle.view.targets, bundle.memory.roles["vitalis"], bundle.memory.roles["suspended"]) == (1, 1, 1)
    assert dict(bundle.memory.suspended) == {}
