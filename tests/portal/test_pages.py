"""The pages of a search: each is asked for by a form, once, and together they are the whole answer."""

from __future__ import annotations

import re

import httpx
import pytest

from concordat_trust.canonical import JsonObject
from concordat_trust.ids import OrgId
from tests.factories.answers import HOME, make_asset, make_card
from tests.factories.home import TestHome
from tests.factories.node import PATIENT_MS
from tests.factories.portal import Relay, portal_cards
from tests.portal.browsing import SAME_ORIGIN, Browser, code_in

RECORDS, PAGE_SIZE = 23, 20
NEXT = re.compile(r'action="([^"]+/next)"')
TITLES = re.compile(r'data-id="([^"]+)"')


def many_cards() -> dict[OrgId, list[JsonObject]]:
    """Return more records than a page shows."""
    others = {org: cards for org, cards in portal_cards().items() if org != HOME}
    mine = RECORDS - sum(map(len, others.values()))
    return {HOME: [make_card(HOME, f"study {number}") for number in range(mine)], **others}


@pytest.fixture(autouse=True)
def paging(relay: Relay) -> None:
    relay.cards = many_cards()
    relay.assets = {org: [make_asset(org, "x", **card) for card in cards] for org, cards in relay.cards.items()}
    relay.changes = {"is_paging": True}


async def next_page(browser: Browser, path: str) -> httpx.Response:
    return await browser.post(f"{path}/next")


async def answered(browser: Browser, sent: httpx.Response) -> str:
    """Wait for the page that a form led to, and return its path."""
    assert sent.status_code == 303, sent.text
    path: str = sent.headers["location"]
    await browser.at_home.home.runner.settled(path.rpartition("/")[2], timeout_s=PATIENT_MS / 1_000)
    return path


async def test_the_pages_together_hold_every_record_once(browser: Browser) -> None:
    first = await browser.search()
    page = (await browser.get(first)).text
    assert NEXT.findall(page) == [f"{first}/next"]
    assert "Previous page" not in page
    second = await answered(browser, await next_page(browser, first))
    last = (await browser.get(second)).text
    assert NEXT.findall(last) == []
    assert f'href="{first}">Previous page' in last
    assert ">Page 2</h2>" in last
    assert f"{RECORDS} records match." in last
    shown = [*TITLES.findall(page), *TITLES.findall(last)]
    assert len(shown) == len(set(shown)) == RECORDS
    assert len(TITLES.findall(page)) == PAGE_SIZE


async def test_a_next_page_is_asked_for_once_however_often_its_form_is_sent(browser: Browser, relay: Relay) -> None:
    first = await browser.search()
    second = await answered(browser, await next_page(browser, first))
    assert await answered(browser, await next_page(browser, first)) == second
    for _ in range(2):
        assert (await browser.get(second)).status_code == 200
    assert relay.asked == 2


async def test_looking_at_the_address_of_a_next_page_asks_nobody(browser: Browser, relay: Relay) -> None:
    first = await browser.search()
    assert (await browser.get(f"{first}/next")).status_code == 404
    assert relay.asked == 1


async def test_after_the_last_page_there_is_none(browser: Browser, relay: Relay) -> None:
    second = await answered(browser, await next_page(browser, await browser.search()))
    refused = await next_page(browser, second)
    assert (refused.status_code, code_in(refused)) == (409, "next_page_missing")
    assert relay.asked == 2


async def test_a_page_without_the_token_of_the_session_asks_nobody(browser: Browser, relay: Relay) -> None:
    first = await browser.search()
    for csrf, headers in (("", SAME_ORIGIN), (await browser.csrf(), {"origin": "https://elsewhere.example"})):
        refused = await browser.client.post(f"{first}/next", data={"csrf": csrf}, headers=headers)
        assert (refused.status_code, code_in(refused)) == (403, "form_not_ours")
    assert relay.asked == 1


async def test_a_next_page_is_nobody_elses(at_home: TestHome, browser: Browser, relay: Relay) -> None:
    first = await browser.search()
    at_home.provider.subject = "person-2"
    async with at_home.client() as client:
        await at_home.sign_in_browser(client)
        other = Browser(at_home, client)
        unknown = await next_page(other, "/portal/search/AAAAAAAAAAAAAAAAAAAAAA")
        theirs = await next_page(other, first)
        assert (theirs.status_code, theirs.content) == (404, unknown.content)
    assert relay.asked == 1


async def test_a_next_page_is_that_of_its_own_search(browser: Browser, relay: Relay) -> None:
    one, other = await browser.search(), await browser.search(purpose="GRU")
    pages = [await answered(browser, await next_page(browser, path)) for path in (one, other)]
    assert len(set(pages)) == 2
    for before, page in zip((one, other), pages, strict=True):
        assert f'href="{before}">Previous page' in (await browser.get(page)).text
    assert relay.asked == 4


async def test_a_next_page_is_of_the_session_that_asked(at_home: TestHome, browser: Browser, relay: Relay) -> None:
    first = await browser.search()
    async with at_home.client() as client:
        await at_home.sign_in_browser(client)
        refused = await next_page(Browser(at_home, client), first)
        assert (refused.status_code, code_in(refused)) == (404, "job_not_found")
    assert relay.asked == 1


def break_down(_handed: object) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("posts", [1, 3])
async def test_a_page_that_failed_is_asked_again_by_its_form_alone(browser: Browser, relay: Relay, posts: int) -> None:
    first, honest = await browser.search(), relay.changes
    relay.changes = {**honest, "lie": break_down}
    failed = await answered(browser, await next_page(browser, first))
    page = (await browser.get(failed)).text
    assert "This page could not be asked" in page
    assert NEXT.findall(page) == [f"{first}/next"]
    relay.changes = honest
    await browser.get(failed)
    assert relay.asked == 2
    places = {await answered(browser, await next_page(browser, first)) for _ in range(posts)}
    (second,) = places
    assert second != failed
    assert len(TITLES.findall((await browser.get(second)).text)) == RECORDS - PAGE_SIZE
    assert relay.asked == 3


async def test_a_record_that_could_not_be_asked_for_is_asked_again_by_its_form_alone(
    browser: Browser, relay: Relay
) -> None:
    first, honest = await browser.search(), relay.changes
    record = (await browser.records(first))[0]
    relay.changes = {**honest, "lie": break_down}
    for _ in range(2):
        page = (await browser.get(record)).text
        assert "The record could not be asked for" in page
        assert f'action="{record}"' in page
    relay.changes = honest
    assert "The record could not be asked for" in (await browser.get(record)).text
    assert relay.asked == 2
    for _ in range(2):
        sent = await browser.post(record)
        assert (sent.status_code, sent.headers["location"]) == (303, record)
        assert "Who says so" in (await browser.get(record)).text
    assert relay.asked == 3


async def test_asking_for_a_record_again_needs_a_form_of_ours_and_a_record_of_the_search(
    browser: Browser, relay: Relay
) -> None:
    first = await browser.search()
    record = (await browser.records(first))[0]
    refused = await browser.client.post(record, data={"csrf": ""}, headers=SAME_ORIGIN)
    assert (refused.status_code, code_in(refused)) == (403, "form_not_ours")
    foreign = await browser.post(f"{first}/record/{make_card(HOME, 'elsewhere')['id']}")
    assert (foreign.status_code, code_in(foreign)) == (404, "job_not_found")
    assert relay.asked == 1


async def test_records_of_a_next_page_open_and_the_search_is_listed_once(browser: Browser) -> None:
    first = await browser.search()
    second = await answered(browser, await next_page(browser, first))
    record = (await browser.records(second))[0]
    page = (await browser.get(record)).text
    assert "Who says so" in page
    assert f'href="{second}">Back to the answers' in page
    listed = (await browser.get("/portal/")).text
    assert first in listed
    assert second not in listed
    opened = re.findall(r'href="[^"]+/search/([^/"]+)/answer"', page)
    assert (await browser.get(f"/portal/search/{opened[0]}")).status_code == 404


async def test_a_page_that_holds_nothing_more_does_not_say_that_nothing_matches(browser: Browser, relay: Relay) -> None:
    first = await browser.search()
    relay.cards = {HOME: []}
    page = (await browser.get(await answered(browser, await next_page(browser, first)))).text
    assert "No more records" in page
    assert "No record that you may see matches" not in page
