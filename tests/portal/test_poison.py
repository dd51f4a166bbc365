"""What a hostile organization writes into a record is text on every page and in every event, and does nothing."""

from __future__ import annotations

import re

import pytest

from concordat_trust.canonical import JsonObject
from tests.factories.answers import NORTH, demo_network, make_asset, make_card, make_evaluation
from tests.factories.portal import Relay
from tests.portal.browsing import Browser
from tests.portal.test_searching import events_of

BIDI = "\u202e\u2066\u200f"
ANSI = "\x1b[2J\x1b]0;owned\x07"
POISON = (
    f"""<script>alert(1)</script>"'><img src=x onerror=alert(1)>{{{{7*7}}}}{{% raw %}}{BIDI}{ANSI}=cmd|' /C calc'!A0"""
)
_HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\x00-\x08\x0b-\x1f\x7f]")
_TEXTS = ("title", "summary", "description", "task", "framework", "modality", "license", "origin")


def poisoned() -> JsonObject:
    """Return a record whose every free text is hostile, and which the question still matches."""
    text = f"clinical trial {POISON}"
    fields: JsonObject = dict.fromkeys(_TEXTS, text)
    return {
        **fields,
        "keywords": [POISON],
        "evaluations": [{**make_evaluation(), "dataset": POISON, "unit": POISON, "split": POISON}],
        "conditions": {
            "permission": POISON,
            "disease": POISON,
            "modifiers": [{"code": POISON, "parameters": [{"name": "n", "value": POISON}]}],
        },
        "missing": [{"code": POISON, "who_can_grant": POISON}],
        "obligations": [{"code": "x", "text": POISON}],
        "agreement_ids": [POISON],
        "masked_fields": [POISON],
    }


def hostile_relay() -> Relay:
    """Return a coordinator that carries one hostile organization's record."""
    more: JsonObject = {
        "contact": POISON,
        "version": POISON,
        "trained_on": [{"id": POISON, "title": POISON}],
        "agreements": [{"id": POISON, "title": POISON, "digest": POISON, "valid_until": 10**15}],
    }
    cards = {NORTH: [make_card(NORTH, "hostile") | poisoned()]}
    assets = {NORTH: [make_asset(NORTH, "hostile") | poisoned() | more]}
    return Relay(demo_network(), cards, assets)


@pytest.fixture
def relay() -> Relay:
    return hostile_relay()


async def test_poisoned_text_is_text_on_every_page(browser: Browser) -> None:
    path = await browser.search("clinical trial")
    (record,) = await browser.records(path)
    for place in (path, record):
        page = (await browser.get(place)).text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "{{7*7}}" in page
        assert _HIDDEN.findall(page.replace("\n", " ")) == []
        assert "\ufffd" in page
        assert "=cmd|&#39;" in page


async def test_poisoned_text_is_text_in_every_event(browser: Browser) -> None:
    path = await browser.search("clinical trial")
    stream = await browser.get(f"{path}/events")
    assert _HIDDEN.findall(stream.text.replace("\n", " ")) == []
    (records,) = [data["records"] for _, _, data in events_of(stream) if data.get("organization") == NORTH]
    assert "&lt;script&gt;" in records
    assert "<script" not in records
    assert "<img" not in records


async def test_a_poisoned_sentence_is_text_in_its_own_page(browser: Browser) -> None:
    page = (await browser.get(await browser.search('clinical trial "<script>alert(1)</script>" \u202e'))).text
    assert "<script>alert" not in page
    assert "\u202e" not in page
    reflected = await browser.client.get("/portal/", params={"q": '"><script>alert(1)</script>'})
    assert "<script>alert" not in reflected.text


async def test_a_link_of_a_poisoned_record_stays_in_the_portal(browser: Browser) -> None:
    page = (await browser.get(await browser.search("clinical trial"))).text
    links = re.findall(r'(?:href|src|action)="([^"]*)"', page)
    assert len(links) > 5
    assert [link for link in links if not link.startswith(("/portal", "#"))] == []
