"""What goes round for ever goes on, whatever a turn ended with: a loop that died would be noticed days later."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from concordat_coordinator import app as coordinator_app
from concordat_node.app import Node
from concordat_node.peer import reporting
from concordat_node.peer.reporting import UseReporter
from concordat_trust.bundle import poll
from concordat_trust.bundle.poll import BundlePoller


class Failing:
    """Ends every turn with a foreign error; `third` is set at the third."""

    def __init__(self) -> None:
        self.third, self.turns = asyncio.Event(), 0

    async def turn(self) -> None:
        self.turns += 1
        if self.turns == 3:
            self.third.set()
        raise ValueError("what somebody sent")


async def goes_on(loop: Coroutine[Any, Any, None], failing: Failing) -> None:
    task = asyncio.create_task(loop)
    try:
        await asyncio.wait_for(failing.third.wait(), 5)
    finally:
        task.cancel()


async def test_a_node_polls_on(caplog: pytest.LogCaptureFixture) -> None:
    failing = Failing()
    parts: Any = SimpleNamespace(
        settings=SimpleNamespace(bundle_poll_s=0.001),
        bundle=lambda: True,
        poller=SimpleNamespace(polled=failing.turn),
        _adopt=None,
    )
    await goes_on(Node._keep_current(parts), failing)
    assert "bundle poll failed: ValueError" in caplog.text
    assert "what somebody sent" not in caplog.text


async def test_a_coordinator_polls_on(caplog: pytest.LogCaptureFixture) -> None:
    failing = Failing()
    parts: Any = SimpleNamespace(
        settings=SimpleNamespace(bundle_poll_s=0.001),
        poller=SimpleNamespace(polled=failing.turn, bundle=lambda: True),
        adopt=None,
    )
    await goes_on(coordinator_app._keep_current(parts), failing)
    assert "bundle poll failed: ValueError" in caplog.text
    assert "what somebody sent" not in caplog.text


async def test_uses_of_tokens_are_reported_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing, parts = Failing(), SimpleNamespace()
    parts.report = failing.turn
    monkeypatch.setattr(reporting, "PAUSE_S", 0.001)
    run: Any = UseReporter.run
    await goes_on(run(parts), failing)
    assert "token uses are not reported: ValueError" in caplog.text
    assert "what somebody sent" not in caplog.text


async def test_a_poller_polls_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing()
    poller = BundlePoller(root_sha256="", mirrors=(), state=tmp_path, clock=lambda: 0, jitter=lambda: 0.5)
    monkeypatch.setattr(poll, "POLL_INTERVAL_S", 0.001)
    monkeypatch.setattr(poller, "polled", failing.turn)
    await goes_on(poller.run(), failing)
    assert "bundle poll failed: ValueError" in caplog.text
    assert "what somebody sent" not in caplog.text
