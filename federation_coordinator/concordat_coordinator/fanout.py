"""Many calls at once, but not more than a named number, in the order they were given.

A cancelled question cancels its calls; a bug in one call is a bug of the question and is not hidden as a failed node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")


async def fan_out(
    tasks: Sequence[Task], run: Callable[[Task], Awaitable[Outcome]], *, parallel_max: int
) -> tuple[Outcome, ...]:
    """Return the outcome of every task, in the order of `tasks`; at most `parallel_max` run at a time."""
    places = asyncio.Semaphore(parallel_max)

    async def one(task: Task) -> Outcome:
        async with places:
            return await run(task)

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(one(task)) for task in tasks]
    return tuple(task.result() for task in running)
