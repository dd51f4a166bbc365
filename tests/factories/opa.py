"""One real OPA for a whole test session, in a thread of its own, and the same binary for the tests that break one.

Other rooms take `running_opa()` in a session fixture.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from concordat_node.policy.opa_binary import ensure_opa
from concordat_node.policy.opa_process import OpaProcess
from concordat_node.policy.rego_files import policies_dir
from concordat_trust.canonical import JsonObject

GENEROUS_TIMEOUT_S = 20.0
"""A test machine may be busy; only the test of the timeout itself uses a short one."""


class RunningOpa:
    """A DecisionPoint that any event loop may ask; the process lives in the thread of `running_opa`."""

    def __init__(self, process: OpaProcess, loop: asyncio.AbstractEventLoop) -> None:
        self._process = process
        self._loop = loop

    @property
    def revision(self) -> str:
        return self._process.revision

    async def evaluate(self, rule: str, document: JsonObject) -> object:
        call = asyncio.run_coroutine_threadsafe(self._process.evaluate(rule, document), self._loop)
        return await asyncio.wrap_future(call)


@contextmanager
def running_opa(binary: Path | None = None) -> Iterator[RunningOpa]:
    """Start OPA with the project's policies and stop it afterwards."""
    process = OpaProcess(binary or ensure_opa().path, policies_dir(), timeout_s=GENEROUS_TIMEOUT_S)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="opa", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(process.start(), loop).result()
        yield RunningOpa(process, loop)
    finally:
        asyncio.run_coroutine_threadsafe(process.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
