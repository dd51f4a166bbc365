"""A node goes on polling, whatever a poll ended with: a loop that died would be noticed when the bundle expires."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from concordat_node.app import Node


async def test_a_poll_that_ends_with_a_foreign_error_is_followed_by_the_next(caplog: pytest.LogCaptureFixture) -> None:
    third, polls = asyncio.Event(), 0

    async def polled() -> None:
        nonlocal polls
        polls += 1
        if polls == 3:
            third.set()
        raise ValueError("what somebody sent")

    parts: Any = SimpleNamespace(
        settings=SimpleNamespace(bundle_poll_s=0.001),
        bundle=lambda: True,
        poller=SimpleNamespace(polled=polled),
        _adopt=None,
    )
    loop = asyncio.create_task(Node._keep_current(parts))
    await asyncio.wait_for(third.wait(), 5)
    loop.cancel()
    assert "bundle poll failed: ValueError" in caplog.text
    assert "what somebody sent" not in caplog.text
