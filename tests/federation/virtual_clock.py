"""An asyncio loop whose time is virtual and whose schedule is decided by a seed.

Rules of this file:

* Time moves only when nothing is ready to run, and then straight to the next timer: an hour's deadline costs nothing.
* Before every iteration the ready queue is shuffled by the seed. Code that is right only because asyncio happens to be
  first-in first-out is found by some seed; the same seed always gives the same run.
* Nothing scheduled and nothing ready means that the simulation can never finish: `Deadlock`, not a hang.
* There are no sockets and no threads. Whoever needs one is not simulated and gets a `RuntimeError`.

This leans on `asyncio.BaseEventLoop`'s private names; `test_virtual_clock.py` pins each of them.
"""

from __future__ import annotations

import asyncio
from asyncio.base_events import BaseEventLoop
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, NoReturn, TypeVar

Result = TypeVar("Result")

# What of BaseEventLoop is overridden or read here, for the test that pins it.
PRIVATE_NAMES = ("_ready", "_scheduled", "_run_once", "_process_events", "_write_to_self", "_clock_resolution")


class Deadlock(RuntimeError):
    """Every task waits for something that no timer and no task will ever bring."""


class _Waiter:
    """Stands where the selector stands: waiting is moving the clock."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise Deadlock("nothing is ready and no timer is set")
        self.now_s += timeout
        return []


class VirtualLoop(BaseEventLoop):
    """A deterministic event loop; see the rules of the file."""

    _ready: deque[asyncio.Handle]

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._selector = _Waiter()
        self._order = Random(seed)

    def time(self) -> float:
        return self._selector.now_s

    def _run_once(self) -> None:
        ready = list(self._ready)
        self._order.shuffle(ready)
        self._ready = deque(ready)
        super()._run_once()  # type: ignore[misc]  # private, and absent from the type stubs

    def _process_events(self, event_list: list[object]) -> None:
        if event_list:
            raise RuntimeError("a virtual loop has no sockets")

    def _write_to_self(self) -> None:
        """Nobody is asleep in a selector, so nobody has to be woken."""

    def run_in_executor(self, executor: object, func: Callable[..., object], *args: object) -> NoReturn:
        raise RuntimeError("a simulation runs no threads; inject `run_blocking`")


def simulate(seed: int, main: Coroutine[Any, Any, Result]) -> Result:
    """Run `main` to its end on a fresh virtual loop and return its result.

    Raises: Deadlock; RuntimeError when `main` leaves a task behind.
    """
    loop = VirtualLoop(seed)
    asyncio.set_event_loop(loop)
    try:
        result = loop.run_until_complete(main)
        left_behind = asyncio.all_tasks(loop)
        if left_behind:
            raise RuntimeError(f"{len(left_behind)} task(s) still run after the end of the simulation")
        return result
    finally:
        asyncio.set_event_loop(None)
        _finish(loop)


def _finish(loop: VirtualLoop) -> None:
    remaining = asyncio.all_tasks(loop)
    for task in remaining:
        task.cancel()
    if remaining:
        loop.run_until_complete(asyncio.gather(*remaining, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
