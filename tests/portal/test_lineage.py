"""A record's lineage on its page, over real nodes and a real relay: asked for by a form, once, and read ever after."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from concordat_node.home.api import build_home_router
from concordat_node.home.ask import Asker
from concordat_node.home.job_runner import JobRunner
from concordat_node.portal.api import build_portal_router
from concordat_trust.ids import AssetId
from concordat_trust.saved_walk import verify_saved_walk
from tests.factories.home import TestHome, make_home
from tests.factories.node import asset_id
from tests.federation.test_lineage_across_organizations import ARM, BASE, BUNDLE, NETWORK, SECRET, TUNED
from tests.federation.test_lineage_at_home import an_asker
from tests.portal.browsing import SAME_ORIGIN, Browser, code_in

WALK = re.compile(r'action="([^"]+/lineage)"')
UP, DOWN = "up", "down"


@dataclass
class Counted:
    """An asker that counts its questions; while it is broken, each fails."""

    asker: Asker
    asked: int = 0
    is_broken: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.asker, name)

    def ask_events(self, *given: Any, **named: Any) -> Any:
        self.asked += 1
        return self.asker.ask_events(*given, **named)

    async def ask(self, *given: Any, **named: Any) -> Any:
        self.asked += 1
        if self.is_broken:
            raise ZeroDivisionError
        return await self.asker.ask(*given, **named)


@pytest.fixture
def counted() -> Counted:
    return Counted(an_asker())


@pytest.fixture
def at_home(tmp_path: Path, counted: Counted) -> Iterator[TestHome]:
    made = make_home(tmp_path, network=NETWORK)
    home = made.home
    asker: Any = counted
    runner = JobRunner(asker=asker, jobs=home.jobs, clock=home.clock, run_blocking=home.run_blocking)
    home = replace(home, asker=asker, runner=runner)
    app = FastAPI()
    app.include_router(build_home_router(home))
    app.include_router(build_portal_router(home))
    yield replace(made, home=home, app=app)
    home.close()


@pytest.fixture
async def browser(at_home: TestHome) -> AsyncIterator[Browser]:
    async with at_home.client() as client:
        await at_home.sign_in_browser(client)
        yield Browser(at_home, client)
        await at_home.home.stop()


async def opened(browser: Browser, asset: AssetId = TUNED) -> str:
    return await browser.search(str(asset), purpose="GRU")


async def walked(browser: Browser, record: str, direction: str) -> str:
    """Ask for a lineage, and return the record's page with it."""
    action = WALK.findall((await browser.get(record)).text)[0]
    sent = await browser.post(action, direction=direction)
    assert (sent.status_code, sent.headers["location"]) == (303, f"{record}#lineage")
    return await settled(browser, record)


async def settled(browser: Browser, record: str) -> str:
    """Return a record's page when nothing is being walked any more."""
    while "data-walking" in (page := (await browser.get(record)).text):
        await asyncio.sleep(0.02)
    return page


def section(page: str, direction: str) -> str:
    found = re.search(rf'aria-labelledby="walk-{direction}">.*?</section>', page, re.DOTALL)
    assert found is not None
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split()).replace(" ;", ";")


async def test_opening_a_record_asks_for_no_lineage(browser: Browser, counted: Counted) -> None:
    page = (await browser.get(await opened(browser))).text
    assert len(WALK.findall(page)) == 1
    assert page.count('name="direction"') == 2
    assert counted.asked == 1


async def test_a_lineage_is_a_list_with_whose_word_it_is(browser: Browser) -> None:
    told = section(await walked(browser, await opened(browser), UP), UP)
    for words in (
        "One step away Model · Alma University alma-university-base title",
        "This record was fine-tuned from it",
        "says so since 2026-04-01; the other side does not confirm it",
        "2 steps away Data set · North Hospital north-hospital-arm title",
        "“alma-university-base title” was evaluated on it",
        "Alma University says so since 2026-03-01; North Hospital says so since 2026-04-01",
        "what is not told is not counted",
    ):
        assert words in told, (words, told)


async def test_both_directions_stand_on_one_page_and_each_was_asked_once(browser: Browser, counted: Counted) -> None:
    record = await opened(browser, BASE)
    await walked(browser, record, UP)
    before = counted.asked
    for _ in range(3):
        page = await walked_again(browser, record, UP)
    assert counted.asked == before
    page = await walked(browser, record, DOWN)
    assert "was evaluated on it" in section(page, UP)
    assert "was fine-tuned from this record" in section(page, DOWN)
    assert WALK.findall(page) == []


async def walked_again(browser: Browser, record: str, direction: str) -> str:
    """Send the form of a lineage once more, as a page that was left open would."""
    sent = await browser.post(f"{record}/lineage", direction=direction)
    assert sent.status_code == 303
    return (await browser.get(record)).text


async def test_what_is_hidden_is_not_in_it_and_looks_like_what_never_was(browser: Browser) -> None:
    page = await walked(browser, await opened(browser, BASE), DOWN)
    assert str(SECRET) not in page
    told = []
    for asset in (SECRET, asset_id("vitalis-nowhere", org=SECRET.org)):
        hidden = (await browser.get(await opened(browser, asset))).text
        assert WALK.findall(hidden) == []
        told.append(hidden.replace(str(asset), "ID"))
    one, other = (re.sub(r'/search/[^/"]+', "", page) for page in told)
    assert one == other


async def test_records_of_a_lineage_open_from_it_and_lead_back(browser: Browser, counted: Counted) -> None:
    record = await opened(browser)
    page = await walked(browser, record, UP)
    link = re.findall(rf'href="([^"]+/record/{BASE})"', page)[-1]
    before = counted.asked
    pages = [(await browser.get(link)).text for _ in range(2)]
    for base in pages:
        assert "Who says so" in base
        assert f'href="{record}#lineage">Back to the record before' in base
    assert counted.asked == before + 1
    action = WALK.findall(pages[0])[0]
    sent = await browser.post(action, direction=DOWN)
    assert sent.headers["location"] == f"{link}#lineage"


async def test_the_data_that_a_record_names_opens_from_it(browser: Browser) -> None:
    record = await opened(browser, BASE)
    link = re.findall(rf'href="([^"]+/record/{ARM})"', (await browser.get(record)).text)
    assert link == []  # it is of another organization, so this one names it in its lineage alone
    page = await walked(browser, record, UP)
    (link,) = re.findall(rf'href="([^"]+/record/{ARM})"', page)
    assert "north-hospital-arm title" in (await browser.get(link)).text


async def test_the_signed_lineage_is_the_one_that_verifies(browser: Browser) -> None:
    page = await walked(browser, await opened(browser), UP)
    (link,) = re.findall(r'href="([^"]+/answer)" download="concordat-lineage.json"', page)
    saved = await browser.get(link)
    assert saved.headers["content-disposition"] == 'attachment; filename="concordat-lineage.json"'
    assert len(verify_saved_walk(saved.content, bundle_at=lambda _: BUNDLE).picture.vertices) == 3


async def test_a_lineage_has_no_page_and_no_next_page_of_its_own(browser: Browser) -> None:
    page = await walked(browser, await opened(browser), UP)
    (walk,) = re.findall(r'href="([^"]+)/answer" download="concordat-lineage.json"', page)
    assert (await browser.get(walk)).status_code == 404
    assert (await browser.post(f"{walk}/next")).status_code == 404
    assert (await browser.post(f"{walk}/lineage", direction=UP)).status_code == 404
    assert str(TUNED) not in re.findall(r'<ul class="recent">.*?</ul>', (await browser.get("/portal/")).text)[1:]


async def test_a_lineage_that_failed_is_asked_again_by_its_form_alone(browser: Browser, counted: Counted) -> None:
    record = await opened(browser)
    counted.is_broken = True
    failed = section(await walked(browser, record, UP), UP)
    assert "home_question_failed" in failed
    counted.is_broken = False
    asked = counted.asked
    assert "home_question_failed" in section((await browser.get(record)).text, UP)
    assert counted.asked == asked
    assert "was fine-tuned from it" in section(await walked(browser, record, UP), UP)


@pytest.mark.parametrize("direction", ["", "sideways", "Up"])
async def test_only_up_and_down_are_directions(browser: Browser, counted: Counted, direction: str) -> None:
    record = await opened(browser)
    assert (await browser.post(f"{record}/lineage", direction=direction)).status_code == 404
    assert counted.asked == 1


async def test_a_lineage_needs_a_form_of_ours_and_is_nobody_elses(
    at_home: TestHome, browser: Browser, counted: Counted
) -> None:
    record = await opened(browser)
    refused = await browser.client.post(f"{record}/lineage", data={"csrf": "", "direction": UP}, headers=SAME_ORIGIN)
    assert (refused.status_code, code_in(refused)) == (403, "form_not_ours")
    assert (await browser.get(f"{record}/lineage")).status_code == 404
    async with at_home.client() as client:
        await at_home.sign_in_browser(client)
        other: httpx.Response = await Browser(at_home, client).post(f"{record}/lineage", direction=UP)
        assert (other.status_code, code_in(other)) == (404, "job_not_found")
    assert counted.asked == 1
