"""The supervised OPA: what it may be asked, how it dies and comes back, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from concordat_node.policy.engine import PolicyUnavailable
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.policy.opa_process import OpaProcess, OpaStartFailed
from concordat_node.policy.rego_files import policies_dir, policy_files, policy_revision
from tests.factories.opa import GENEROUS_TIMEOUT_S
from tests.factories.policy import decision_table

TABLE = decision_table()


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short folder: a Unix socket's path has at most 107 bytes, and pytest's own folders can be longer."""
    with tempfile.TemporaryDirectory(prefix="c-") as folder:
        yield Path(folder)


@pytest.fixture
async def process(opa_path: Path, tmp_path: Path) -> AsyncIterator[OpaProcess]:
    process = OpaProcess(opa_path, policies_dir(), runtime_dir=tmp_path, timeout_s=GENEROUS_TIMEOUT_S)
    await process.start()
    yield process
    await process.stop()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(fact: object) -> None:
    async with asyncio.timeout(20):
        while not fact():  # type: ignore[operator]  # a function without arguments
            await asyncio.sleep(0.02)


async def permits(process: OpaProcess) -> bool:
    decided = await OpaPolicyEngine(process).decide_classes(TABLE.request("guest"), {"open": TABLE.classes["open"]})
    return decided["open"].verdict == "permit"


async def test_everything_private_is_private(process: OpaProcess) -> None:
    folder = process.socket.parent
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, process.socket, folder / "token.json")}
    assert modes == {folder.name: 0o700, "opa.sock": 0o600, "token.json": 0o600}
    arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    token = (folder / "token.json").read_text().split('"')[-2]
    assert len(token) == 64
    assert token.encode() not in arguments


async def test_the_revision_is_the_digest_of_the_policy_files(process: OpaProcess) -> None:
    files = policy_files(policies_dir())
    assert process.revision == policy_revision(files)
    assert not any(name.endswith("_test.rego") for name in files)
    loaded = {
        path.relative_to(process.socket.parent / "rego").as_posix() for path in process.socket.parent.rglob("*.rego")
    }
    assert loaded == set(files)


REQUESTS = [
    ("POST", "/v1/data/concordat/disclosure/scope", 200),
    ("GET", "/health", 200),
    ("GET", "/v1/data/concordat/disclosure/scope", 401),
    ("POST", "/v1/data/concordat_private/token", 401),
    ("POST", "/v1/data", 401),
    ("GET", "/v1/data", 401),
    ("PUT", "/v1/data/concordat/x", 401),
    ("PUT", "/v1/policies/x", 401),
    ("GET", "/v1/policies", 401),
    ("POST", "/v1/query", 401),
    ("POST", "/v1/compile", 401),
    ("GET", "/v1/config", 401),
    ("GET", "/metrics", 401),
    ("POST", "/", 401),
]


async def test_only_decisions_and_health_may_be_asked_for(process: OpaProcess) -> None:
    token = (process.socket.parent / "token.json").read_text().split('"')[-2]
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(process.socket))) as session:
        for method, path, expected in REQUESTS:
            for bearer, status in ((token, expected), ("wrong", 401), ("", 401)):
                headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
                async with session.request(method, f"http://opa{path}", headers=headers, json={}) as response:
                    assert response.status == status, (method, path, bearer == token)


async def test_a_killed_opa_is_unavailable_and_comes_back(process: OpaProcess) -> None:
    assert await permits(process)
    killed = process.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    await until(lambda: not is_alive(killed))
    with pytest.raises(PolicyUnavailable):
        await permits(process)
    await until(lambda: process.is_ready and process.restarts == 1)
    assert process.pid != killed
    assert await permits(process)


async def test_a_stopped_opa_is_unavailable_within_the_timeout(opa_path: Path, tmp_path: Path) -> None:
    process = OpaProcess(opa_path, policies_dir(), runtime_dir=tmp_path, timeout_s=0.75)
    await process.start()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(PolicyUnavailable) as caught:
        await permits(process)
    assert caught.value.fields["cause"] == "timeout"
    assert time.monotonic() - started < 6
    pid = process.pid
    await process.stop()
    assert not is_alive(pid)


async def test_stop_leaves_nothing(opa_path: Path, tmp_path: Path) -> None:
    process = OpaProcess(opa_path, policies_dir(), runtime_dir=tmp_path)
    await process.start()
    pid = process.pid
    assert pid is not None
    await process.stop()
    await process.stop()
    assert not is_alive(pid)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PolicyUnavailable) as caught:
        await process.evaluate("disclosure/scope", {})
    assert caught.value.fields["cause"] == "not_ready"


async def test_the_folder_of_a_killed_node_is_removed_and_of_a_live_one_is_not(
    process: OpaProcess, opa_path: Path, tmp_path: Path
) -> None:
    abandoned = tmp_path / "concordat-opa-abandoned"
    abandoned.mkdir()
    (abandoned / "lock").write_bytes(b"")
    beginning = tmp_path / "concordat-opa-beginning"
    beginning.mkdir()
    other = OpaProcess(opa_path, policies_dir(), runtime_dir=tmp_path)
    await other.start()
    await other.stop()
    assert set(tmp_path.iterdir()) == {process.socket.parent, beginning}
    assert await permits(process)


async def test_a_folder_too_deep_for_a_socket_is_not_used(opa_path: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    process = OpaProcess(opa_path, policies_dir(), runtime_dir=deep)
    await process.start()
    folder = process.socket.parent
    await process.stop()
    assert folder.parent == Path("/tmp")
    assert not folder.exists()


async def test_a_start_that_is_interrupted_leaves_nothing(opa_path: Path, tmp_path: Path) -> None:
    process = OpaProcess(opa_path, policies_dir(), runtime_dir=tmp_path)
    starting = asyncio.create_task(process.start())
    await until(lambda: process.pid is not None or starting.done())
    pid = process.pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert pid is not None
    assert not is_alive(pid)
    assert list(tmp_path.iterdir()) == []


def test_opa_dies_with_its_node(opa_path: Path, tmp_path: Path) -> None:
    node = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from concordat_node.policy.opa_process import OpaProcess
        from concordat_node.policy.rego_files import policies_dir
        async def main():
            process = OpaProcess(Path(sys.argv[1]), policies_dir(), runtime_dir=Path(sys.argv[2]))
            await process.start()
            print(process.pid, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """)
    with subprocess.Popen(
        [sys.executable, "-c", node, str(opa_path), str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        assert is_alive(pid)
        child.kill()
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(pid)


def broken_policies(folder: Path, name: str, old: str, new: str) -> Path:
    """Return a copy of the policies with one text replaced in one file."""
    copy = folder / "policies"
    shutil.copytree(policies_dir(), copy)
    path = copy / "rego" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return copy


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("disclosure/scope.rego", "package concordat.disclosure", "package concordat.disclosures"),
        ("status/status.rego", 'r.status == "active"', 'r.status != "draft"'),
        ("status/status.rego", 'r.status == "active"', 'r.status == "published"'),
        ("purpose/purpose.rego", "input.purpose.code in input.node.purposes_admitted", "true"),
        ("clearance/clearance.rego", "package concordat.clearance", "package concordat.clearance ("),
        ("clearance/clearance.rego", "r.sensitivity in _levels", "time.now_ns() > 0"),
    ],
    ids=["missing rule", "opens what is withdrawn", "opens nothing", "admits any purpose", "no Rego", "reads a clock"],
)
async def test_policies_that_decide_wrongly_are_not_started(
    opa_path: Path, tmp_path: Path, name: str, old: str, new: str
) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    process = OpaProcess(opa_path, broken_policies(tmp_path, name, old, new), runtime_dir=runtime)
    with pytest.raises(OpaStartFailed):
        await process.start()
    assert not process.is_ready
    assert list(runtime.iterdir()) == []


async def test_a_binary_that_is_not_opa_does_not_start(tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    process = OpaProcess(Path("/bin/false"), policies_dir(), runtime_dir=runtime)
    with pytest.raises(OpaStartFailed):
        await process.start()
    assert list(runtime.iterdir()) == []
