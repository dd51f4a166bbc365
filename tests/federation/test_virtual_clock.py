"""The simulator's clock: virtual time, seeded order, and the private names it leans on."""

from __future__ import annotations

import asyncio
import inspect
import time
from asyncio.base_events import BaseEventLoop

import pytest

from tests.federation.virtual_clock import PRIVATE_NAMES, Deadlock, VirtualLoop, simulate


async def _race(count: int) -> list[int]:
    order: list[int] = []

    async def step(number: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        order.append(number)

    await asyncio.gather(*(step(number) for number in range(count)))
    return order


def test_an_hour_of_waiting_costs_no_time() -> None:
    async def wait() -> float:
        await asyncio.sleep(3_600)
        return asyncio.get_running_loop().time()

    started = time.perf_counter()
    assert simulate(0, wait()) == pytest.approx(3_600)
    assert time.perf_counter() - started < 1


def test_one_seed_gives_one_order() -> None:
    assert all(simulate(seed, _race(8)) == simulate(seed, _race(8)) for seed in range(20))


def test_different_seeds_give_different_orders() -> None:
    assert len({tuple(simulate(seed, _race(8))) for seed in range(20)}) > 10


def test_waiting_for_nothing_is_a_deadlock_and_not_a_hang() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        simulate(0, wait())


def test_a_task_left_behind_is_found() -> None:
    kept: list[asyncio.Task[None]] = []

    async def leave() -> None:
        kept.append(asyncio.ensure_future(asyncio.sleep(1)))

    with pytest.raises(RuntimeError, match="still run"):
        simulate(0, leave())


def test_a_timeout_fires_at_its_virtual_moment() -> None:
    async def wait() -> float:
        try:
            async with asyncio.timeout(0.25):
                await asyncio.sleep(10)
        except TimeoutError:
            return asyncio.get_running_loop().time()
        raise AssertionError

    assert simulate(3, wait()) == pytest.approx(0.25)


def test_a_thread_is_refused() -> None:
    with pytest.raises(RuntimeError, match="no threads"):
        simulate(0, asyncio.to_thread(print))


def test_the_private_names_of_asyncio_are_still_there() -> None:
    loop = VirtualLoop(0)
    try:
        assert all(hasattr(loop, name) for name in PRIVATE_NAMES)
        assert "_selector.select(timeout)" in inspect.getsource(vars(BaseEventLoop)["_run_once"])
    finally:
        loop.close()
