"""What a log says of a portal's failure: the route and the kind of failure, nothing that somebody sent."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.portal.browsing import Browser, code_in

FORGED = "x%0AERROR%20root:%20forged%1B%5B31m"


@pytest.mark.parametrize("path", [f"/portal/search/{FORGED}", f"/portal/search/x/record/{FORGED}", "/portal/?q=forged"])
async def test_no_path_that_somebody_sent_stands_in_the_log(
    browser: Browser, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    with browser.at_home.home.engine.begin() as connection:
        connection.execute(text("DROP TABLE job_event"))
        connection.execute(text("DROP TABLE job"))
    failed = await browser.get(path)
    assert (failed.status_code, code_in(failed)) == (503, "home_storage_failed")
    assert "portal, GET /portal/" in caplog.text
    assert "forged" not in caplog.text
    assert "\x1b" not in caplog.text
