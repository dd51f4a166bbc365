"""The node's own OPA: started on a private socket, watched, restarted, and gone when the node is gone.

Rules of this file:

* Everything OPA gets is in one 0700 folder: the policy files whose digest is `revision`, a token made for this process,
  and the socket (0600). Copies, so that nobody can change the files between the digest and the load.
* Ready means: healthy, and two known decisions came out as they must. Before that, and whenever OPA is down, `evaluate`
  raises PolicyUnavailable at once.
* OPA dies with the thread that started it (PR_SET_PDEATHSIG names the thread, not the process): start it from the
  thread that runs the event loop.
* `stop` leaves nothing: no process of its group, no folder. The folder of a node that was killed is removed by the next
  one to start beside it: its lock is free then, which no live node's is.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import IO

from concordat_node.policy.canaries import canaries_hold
from concordat_node.policy.engine import PolicyUnavailable
from concordat_node.policy.opa_client import TIMEOUT_S, OpaClient
from concordat_node.policy.rego_files import policy_files, policy_revision
from concordat_trust.canonical import JsonObject
from concordat_trust.errors import OperatorError

START_TIMEOUT_S = 10.0
POLL_S = 0.02
STOP_GRACE_S = 2.0
BACK_OFF_FIRST_S = 0.2
BACK_OFF_MAX_S = 5.0
MEMORY_LIMIT = "384MiB"
PROCESSORS_MAX = 2
REQUEST_BYTES_MAX = 64_000_000
SOCKET_PATH_MAX = 100  # the kernel takes 107 bytes
LOG_TAIL_MAX = 500
_FOLDER_PREFIX = "concordat-opa-"

# Runs between fork and exec in a fresh interpreter, because code run in a forked child of a threaded process may hang.
_EXEC_AND_DIE_WITH_PARENT = """
import os, signal, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class OpaStartFailed(OperatorError):
    code = "opa_start_failed"
    sentence = "OPA did not become ready: {problem}."
    hint = "Run `./concordat check`; if the policies are good, look at the memory and limits of this machine."


class OpaProcess:
    """A supervised OPA with the policies of one folder. `start` once, `stop` once, in one event loop."""

    def __init__(
        self, binary: Path, policies: Path, *, runtime_dir: Path | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._binary = binary
        self._policies = policies
        self._runtime_dir = runtime_dir
        self._timeout_s = timeout_s
        self._files = policy_files(policies)
        self._revision = policy_revision(self._files)
        self._folder: Path | None = None
        self._lock: IO[bytes] | None = None
        self._child: asyncio.subprocess.Process | None = None
        self._client: OpaClient | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._is_ready = False
        self.restarts = 0

    @property
    def revision(self) -> str:
        """The SHA-256 (hex) over the names and bytes of the policy files that OPA has loaded."""
        return self._revision

    @property
    def is_ready(self) -> bool:
        return self._is_ready

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    @property
    def socket(self) -> Path:
        return self._in_folder("opa.sock")

    async def start(self) -> None:
        """Return when OPA decides. Raises: OpaStartFailed, and then nothing of it is left."""
        if self._folder is not None:
            raise RuntimeError("OpaProcess.start was called twice")
        try:
            self._prepare()
            await self._check_policies()
            await self._spawn_until_ready()
        except BaseException:
            await self.stop()
            raise
        self._watcher = asyncio.create_task(self._watch(), name="opa-watcher")

    async def evaluate(self, rule: str, document: JsonObject) -> object:
        """Return a rule's value. Raises: PolicyUnavailable, at once while OPA is down."""
        if not self._is_ready or self._client is None:
            raise PolicyUnavailable(cause="not_ready")
        return await self._client.evaluate(rule, document)

    async def stop(self) -> None:
        """End OPA and remove everything it was given. May be called again."""
        self._is_ready = False
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
        client, self._client = self._client, None
        if client is not None:
            await client.close_connection()
        await self._end_child()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()

    def _prepare(self) -> None:
        parent = Path(self._runtime_dir or tempfile.gettempdir())
        if len(str(parent / _FOLDER_PREFIX / "12345678" / "opa.sock")) > SOCKET_PATH_MAX:
            parent = Path("/tmp")  # noqa: S108 (the folder made in it is 0700)
        _remove_abandoned(parent)
        self._folder = folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=parent))
        self._lock = _locked(folder)
        for name, data in self._files.items():
            path = folder / "rego" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        shutil.copyfile(self._policies / "capabilities.json", folder / "capabilities.json")
        token = secrets.token_hex(32)
        secret = os.open(folder / "token.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(secret, "w") as file:
            json.dump({"concordat_private": {"token": token}}, file)
        self._client = OpaClient(self.socket, token, timeout_s=self._timeout_s)

    async def _check_policies(self) -> None:
        # `opa run` takes no capabilities; a policy that asks for more must be refused before it is loaded.
        check = await self._exec("check", "--strict", "--capabilities", "capabilities.json", "rego")
        if await check.wait() != 0:
            raise OpaStartFailed(problem=self._log_tail())

    async def _spawn_until_ready(self) -> None:
        self.socket.unlink(missing_ok=True)
        self._child = await self._exec(
            "run",
            "--server",
            *("--addr", f"unix://{self.socket}", "--unix-socket-perm", "600"),
            *("--authentication", "token", "--authorization", "basic"),
            *("--log-level", "error", "--skip-version-check", "--shutdown-grace-period", "1"),
            *("--set", f"server.decoding.max_length={REQUEST_BYTES_MAX}"),
            "rego",
            "token.json",
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._wait_until_ready()
        except TimeoutError:
            raise OpaStartFailed(problem=f"not ready after {START_TIMEOUT_S:.0f} s") from None

    async def _wait_until_ready(self) -> None:
        if self._child is None or self._client is None:
            raise RuntimeError("no OPA to wait for")
        while not self._is_ready:
            if self._child.returncode is not None:
                raise OpaStartFailed(problem=self._log_tail())
            await asyncio.sleep(POLL_S)
            with contextlib.suppress(PolicyUnavailable):
                self._is_ready = await self._client.is_healthy() and await self._decides(self._client)

    async def _decides(self, client: OpaClient) -> bool:
        if not await canaries_hold(client.evaluate):
            raise OpaStartFailed(problem="a known decision came out wrong")
        return True

    async def _watch(self) -> None:
        """Start OPA again whenever it ends, waiting longer each time it does not come back."""
        back_off_s = BACK_OFF_FIRST_S
        while True:
            if self._child is not None:
                await self._child.wait()
            self._is_ready = False
            await self._end_child()
            await asyncio.sleep(back_off_s)
            try:
                await self._spawn_until_ready()
            except (OpaStartFailed, OSError):
                back_off_s = min(back_off_s * 2, BACK_OFF_MAX_S)
                await self._end_child()
            else:
                back_off_s = BACK_OFF_FIRST_S
                self.restarts += 1

    async def _exec(self, *arguments: str) -> asyncio.subprocess.Process:
        folder = self._in_folder("")
        with (folder / "opa.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", _EXEC_AND_DIE_WITH_PARENT, str(os.getpid())),
                *(str(self._binary), *arguments),
                cwd=folder,
                env={"GOMAXPROCS": str(PROCESSORS_MAX), "GOMEMLIMIT": MEMORY_LIMIT, "HOME": str(folder)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is None or child.returncode is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), STOP_GRACE_S)
                return

    def _in_folder(self, name: str) -> Path:
        if self._folder is None:
            raise RuntimeError("OpaProcess was not started")
        return self._folder / name

    def _log_tail(self) -> str:
        text = (self._in_folder("opa.log")).read_text(errors="replace")
        return " ".join(text.split())[-LOG_TAIL_MAX:] or "it ended without a word"


def _locked(folder: Path) -> IO[bytes]:
    """Return the held lock of a folder. It appears locked, by rename, so that nobody takes a new folder for an old."""
    lock = (folder / "lock.new").open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / "lock.new").rename(folder / "lock")
    return lock


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_FOLDER_PREFIX}*"):
        with contextlib.suppress(OSError):
            # In a shared parent anybody may make folders of this name; only our own are looked into.
            if folder.is_symlink() or folder.lstat().st_uid != os.getuid():
                continue
            with (folder / "lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
