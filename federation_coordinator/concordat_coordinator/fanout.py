"""Many calls at once, but not more than a named number, and their outcomes as they come.

Leaving the fan-out cancels its calls, so a question that nobody waits for any more costs nobody anything. A bug in one
call is a bug of the question: it is raised to who waits for the outcome, and not hidden as a failed node.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")


@contextlib.asynccontextmanager
async def fanning_out(
    tasks: Sequence[Task], run: Callable[[Task], Coroutine[Any, Any, Outcome]], *, parallel_max: int
) -> AsyncIterator[Callable[[], Awaitable[Outcome]]]:
    """Start every task, at most `parallel_max` at a time, and yield what waits for the next outcome.

    There are as many outcomes as tasks; waiting for one more would wait for ever.
    """
    places = asyncio.Semaphore(parallel_max)
    done: asyncio.Queue[asyncio.Task[Outcome]] = asyncio.Queue()

    async def one(task: Task) -> Outcome:
        async with places:
            return await run(task)

    async def next_outcome() -> Outcome:
        return (await done.get()).result()

    running = [asyncio.create_task(one(task)) for task in tasks]
    for started in running:
        started.add_done_callback(done.put_nowait)
    try:
        yield next_outcome
    finally:
        for started in running:
            started.cancel()
        await asyncio.gather(*running, return_exceptions=True)
