"""What holds for every test: nothing is skipped on CI, and a busy machine is not a failure.

Hypothesis has no deadline here: figures are measured by `concordat bench`, never by a test's wall time.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("concordat", deadline=None)
settings.load_profile("concordat")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the session on CI when a test was skipped: a missing component is a failure there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("CI") or exitstatus != pytest.ExitCode.OK:
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped:
        reporter.write_line(f"{len(skipped)} skipped on CI: a missing component is a failure here", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
