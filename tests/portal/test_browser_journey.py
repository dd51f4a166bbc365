"""A person's journey in Chromium: with and without JavaScript, light and dark, wide and narrow, and a hostile node.

Every page is watched: an empty console, no violation of the security policy, no request to another origin, no dialog.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from concordat_trust.merge import Reported
from tests.factories.answers import NORTH, VITALIS
from tests.factories.browser import axe_violations, chromium, watched_page
from tests.factories.portal import PASSWORD, PERSON, SENTENCE, Site, portal_site
from tests.factories.web import INSTALL_SECONDS_MAX
from tests.portal.test_pages import PAGE_SIZE, RECORDS, many_cards
from tests.portal.test_poison import hostile_relay

pytestmark = pytest.mark.timeout(INSTALL_SECONDS_MAX)
NARROW, WIDE = {"width": 320, "height": 700}, {"width": 1280, "height": 900}
COMPLETE = "This answer is complete"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with portal_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(autouse=True)
def afresh(site: Site) -> None:
    site.relay.asked, site.relay.delay_s, site.relay.pace_s, site.relay.changes = 0, 0.0, 0.0, {}


def sign_in(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/portal/")
    page.get_by_role("link", name="Sign in with").click()
    page.get_by_label("Name").fill(PERSON)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ask 3 organizations at once")


def ask(page: Page, sentence: str = SENTENCE) -> None:
    page.get_by_role("searchbox").fill(sentence)
    page.get_by_label("Purpose", exact=True).select_option("HMB")
    page.get_by_role("button", name="Ask", exact=True).click()


def place_of(element: Locator) -> tuple[float, float]:
    """Return where on the screen an element is, in pixels."""
    box = element.bounding_box()
    assert box is not None
    return box["x"], box["y"]


@pytest.mark.parametrize("javascript", [True, False])
def test_a_journey_from_signing_in_to_a_record_and_out(browser: Browser, site: Site, javascript: bool) -> None:
    site.relay.delay_s = 0.3
    with watched_page(browser, site.url, site.issuer, java_script_enabled=javascript) as (page, _):
        sign_in(page, site)
        expect(page.get_by_label("Who is asking, and for what")).to_contain_text("not chosen yet")
        ask(page)
        expect(page.get_by_role("heading", name=COMPLETE)).to_be_visible()
        expect(page.get_by_label("Who is asking, and for what")).to_contain_text("not commercial")
        expect(page.get_by_role("list", name="Organizations").get_by_role("listitem")).to_have_count(3)
        expect(page.locator("#records > li")).to_have_count(4)
        page.get_by_role("link", name="Clinical sepsis model").click()
        expect(page.get_by_role("heading", name="Who says so")).to_be_visible()
        expect(page.get_by_role("table")).to_contain_text("RESPIRE-SIM, arm B")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download the signed answer").click()
        assert download.value.suggested_filename == "concordat-answer.json"
        page.get_by_role("link", name="Back to the answers").click()
        expect(page.get_by_role("heading", name=COMPLETE)).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("status")).to_contain_text("You are signed out")
    assert site.relay.asked == 2


@pytest.mark.parametrize("javascript", [True, False])
def test_a_lineage_is_asked_for_on_the_page_of_its_record_and_leads_to_others(
    browser: Browser, site: Site, javascript: bool
) -> None:
    with watched_page(browser, site.url, site.issuer, java_script_enabled=javascript) as (page, _):
        sign_in(page, site)
        ask(page)
        page.get_by_role("link", name="Clinical sepsis model").click()
        expect(page.get_by_role("heading", name="Who says so")).to_be_visible()
        assert site.relay.asked == 2
        site.relay.delay_s = 0.7  # of two rounds: longer than a page waits
        page.get_by_role("button", name="Ask what it came from").click()
        told = page.get_by_role("region", name="What it came from")
        expect(told).to_contain_text("This record was trained on it North Hospital says so since 2026-03-01")
        site.relay.delay_s = 0
        assert not javascript or axe_violations(page) == []
        assert not javascript or page.url.endswith("#lineage")
        told.get_by_role("link", name="RESPIRE-SIM trial").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("RESPIRE-SIM trial, arm of north-hospital")
        page.get_by_role("link", name="Back to the record before").click()
        expect(told).to_contain_text("This record was trained on it")
        page.reload()
        expect(told).to_contain_text("This record was trained on it")
    assert site.relay.asked == 5  # the search, the record, two rounds of its lineage, the data set


@pytest.mark.parametrize("javascript", [True, False])
def test_a_person_chooses_how_many_records_a_page_has(browser: Browser, site: Site, javascript: bool) -> None:
    cards = site.relay.cards
    site.relay.cards, site.relay.changes = many_cards(), {"is_paging": True}
    try:
        with watched_page(browser, site.url, site.issuer, java_script_enabled=javascript) as (page, _):
            sign_in(page, site)
            page.get_by_label("Records on a page").select_option("10")
            ask(page)
            for number, count in ((1, 10), (2, 10), (3, RECORDS - 20)):
                expect(page.locator("#records > li")).to_have_count(count)
                expect(page.get_by_role("heading", name=COMPLETE)).to_be_visible()
                expect(page.get_by_label("Records on a page")).to_have_value("10")
                if number < 3:
                    page.get_by_role("button", name="Next page").click()
                    expect(page.get_by_role("heading", name=f"Page {number + 1}", exact=True)).to_be_visible()
            page.goto(f"{site.url}/portal/")
            expect(page.get_by_label("Records on a page")).to_have_value("10")
    finally:
        site.relay.cards = cards
    assert site.relay.asked == 3


@pytest.mark.parametrize(
    ("scheme", "size"),
    [
        ("light", NARROW),
        ("dark", WIDE),
        pytest.param("light", WIDE, marks=pytest.mark.long),
        pytest.param("dark", NARROW, marks=pytest.mark.long),
    ],
)
def test_no_page_has_an_accessibility_violation(
    browser: Browser, site: Site, scheme: str, size: dict[str, int]
) -> None:
    site.relay.changes = {"reported": {VITALIS: Reported("TIMEOUT", "peer_timeout")}}
    with watched_page(browser, site.url, site.issuer, color_scheme=scheme, viewport=size) as (page, _):
        page.goto(site.url)
        found = {"welcome": axe_violations(page)}
        sign_in(page, site)
        found["first page"] = axe_violations(page)
        ask(page)
        expect(page.get_by_role("heading", name="This answer is not complete")).to_be_visible()
        found["search"] = axe_violations(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
        page.get_by_role("link", name="Clinical heart failure model").click()
        expect(page.get_by_role("heading", name="Who says so")).to_be_visible()
        found["record"] = axe_violations(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    assert {where: violations for where, violations in found.items() if violations} == {}


@pytest.mark.parametrize("javascript", [True, False])
def test_the_next_page_is_one_button_away_and_the_one_before_one_link(
    browser: Browser, site: Site, javascript: bool
) -> None:
    cards = site.relay.cards
    site.relay.cards, site.relay.changes = many_cards(), {"is_paging": True}
    site.relay.delay_s = 0.3
    try:
        with watched_page(browser, site.url, site.issuer, java_script_enabled=javascript) as (page, _):
            sign_in(page, site)
            ask(page)
            page.get_by_role("button", name="Next page").click()
            expect(page.get_by_role("heading", name="Page 2", exact=True)).to_be_visible()
            expect(page.get_by_role("heading", name=COMPLETE)).to_be_visible()
            expect(page.locator("#records > li")).to_have_count(RECORDS - PAGE_SIZE)
            expect(page.get_by_role("button", name="Next page")).to_have_count(0)
            assert not javascript or axe_violations(page) == []
            page.get_by_role("link", name="Previous page").click()
            expect(page.locator("#records > li")).to_have_count(PAGE_SIZE)
    finally:
        site.relay.cards = cards
    assert site.relay.asked == 2


def test_answers_arrive_one_by_one_and_nothing_that_is_read_moves(browser: Browser, site: Site) -> None:
    site.relay.pace_s = 0.6
    with watched_page(browser, site.url, site.issuer, viewport=WIDE) as (page, _):
        sign_in(page, site)
        ask(page)
        expect(page.locator(".chip.waiting")).to_have_count(3)
        expect(page.locator(".chip.waiting")).to_have_count(2)
        first = page.locator("#records > li a").first
        expect(first).to_be_visible()
        assert not page.get_by_role("heading", name=COMPLETE).is_visible()
        first.focus()
        title, before = first.inner_text(), place_of(first)
        button = page.get_by_role("button", name="Show all in their final order")
        expect(button).to_be_visible()
        expect(first).to_be_focused()
        assert first.inner_text() == title
        assert place_of(first) == pytest.approx(before, abs=1)  # a pixel, for what a screen rounds
        button.click()
        expect(page.locator("#records > li")).to_have_count(4)
    assert site.relay.asked == 1


@pytest.mark.parametrize("idle_ms", [1_000, pytest.param(30_000, marks=pytest.mark.long)])
def test_one_search_is_asked_once_after_idling_reloading_hiding_and_losing_the_network(
    browser: Browser, site: Site, idle_ms: int
) -> None:
    site.relay.delay_s, site.relay.pace_s = 0.5, 0.4
    with watched_page(browser, site.url, site.issuer) as (page, watched):
        sign_in(page, site)
        ask(page)
        page.context.set_offline(True)
        page.wait_for_timeout(700)
        page.context.set_offline(False)
        page.reload()
        page.bring_to_front()
        other = page.context.new_page()
        other.goto(page.url)
        page.wait_for_timeout(600)
        page.bring_to_front()
        expect(page.get_by_role("heading", name=COMPLETE)).to_be_visible()
        expect(other.get_by_role("heading", name=COMPLETE)).to_be_visible()
        for _ in range(3):
            page.reload()
            expect(page.get_by_role("heading", name=COMPLETE)).to_be_visible()
        page.wait_for_timeout(idle_ms)
        # What the browser itself says of a network that is gone is no fault of the page.
        watched.console[:] = [line for line in watched.console if "ERR_INTERNET_DISCONNECTED" not in line]
    assert site.relay.asked == 1


def test_a_stream_that_breaks_comes_back_where_it_was(browser: Browser, site: Site) -> None:
    site.relay.delay_s = 0.8
    streams: list[str] = []
    with watched_page(browser, site.url, site.issuer) as (page, watched):
        sign_in(page, site)

        def first_breaks(route: object) -> None:
            streams.append("stream")
            getattr(route, "abort" if len(streams) == 1 else "continue_")()

        page.route("**/events", first_breaks)
        ask(page)
        expect(page.get_by_role("heading", name=COMPLETE)).to_be_visible()
        watched.console[:] = [line for line in watched.console if "ERR_FAILED" not in line]
    assert site.relay.asked == 1


def test_the_whole_journey_is_possible_with_the_keyboard(browser: Browser, site: Site) -> None:
    with watched_page(browser, site.url, site.issuer) as (page, _):
        sign_in(page, site)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.get_by_role("searchbox").focus()
        page.keyboard.type(SENTENCE)
        for _ in range(3):  # the button, the example, the purpose
            page.keyboard.press("Tab")
        expect(page.get_by_label("Purpose", exact=True)).to_be_focused()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.get_by_role("searchbox").press("Enter")
        expect(page.get_by_role("heading", name=COMPLETE)).to_be_visible()
        page.get_by_role("link", name="Clinical sepsis model").press("Enter")
        expect(page.get_by_role("heading", name="Who says so")).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False])
def test_poisoned_text_of_a_hostile_node_executes_nowhere(browser: Browser, tmp_path: Path, javascript: bool) -> None:
    with (
        portal_site(tmp_path, relay=hostile_relay()) as site,
        watched_page(browser, site.url, site.issuer, java_script_enabled=javascript) as (page, _),
    ):
        site.relay.delay_s = 0.3
        sign_in(page, site)
        ask(page, "clinical trial")
        expect(page.get_by_role("heading", name=COMPLETE)).to_be_visible()
        expect(page.locator("#records")).to_contain_text("<script>alert(1)</script>")
        assert page.locator("img[src='x']").count() == 0
        page.locator("#records a").first.click()
        expect(page.get_by_role("heading", name="Who says so")).to_be_visible()
        assert page.locator("main script, main img").count() == 0


def test_the_demonstration_of_a_missing_owner_is_told_without_javascript(browser: Browser, site: Site) -> None:
    site.relay.changes = {"reported": {NORTH: Reported("UNREACHABLE", "peer_unreachable")}}
    with watched_page(browser, site.url, site.issuer, java_script_enabled=False) as (page, _):
        sign_in(page, site)
        ask(page)
        expect(page.get_by_role("heading", name="This answer is not complete")).to_be_visible()
        expect(page.locator(".missing")).to_contain_text("North Hospital: could not be reached")
