"""Promise 3 at the next page: every page of a search, its events and its records are the same over two states.

As `test_promise_3_portal`, in worlds with more records than a page shows. The leaks that are planted here show on later
pages alone, so that nothing but this door can find them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from concordat_node.policy.engine import PolicyEngine
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.search.index import IndexQuery, IndexResult, View
from concordat_trust.text import TermStatistics
from tests.factories.home import TestHome
from tests.factories.node import attributes_of, make_asset
from tests.factories.opa import running_opa
from tests.federation.test_promise_3_non_interference import _Leaky
from tests.federation.test_promise_3_portal import Wrap, comparable, events_without_order, make_world
from tests.federation.worlds import FULL_CLASSES, Pair, make_pair
from tests.portal.browsing import Browser
from tests.portal.test_pages import NEXT, answered, next_page

SEEDS = range(1)
LONG_SEEDS = range(60, 66)
LEAK_SEEDS = range(12)
CROWD = 48
"""Visible records beside those of the pair: three pages of twenty."""
PAGES = 3
SENTENCE = "clinical trial"
FIRST = "page 1"


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaPolicyEngine]:
    with running_opa() as point:
        yield OpaPolicyEngine(point)


def of_many_pages(pair: Pair) -> Pair:
    """Return the pair with a visible crowd, written before everything else on one side and after it on the other."""
    crowd = tuple(
        make_asset(f"crowd-{number}", attributes_of(**FULL_CLASSES[number % 3]), title="clinical " * (number % 5 + 1))  # type: ignore[arg-type]  # fields of it
        for number in range(CROWD)
    )
    ids = tuple(item.record.id for item in crowd)
    return replace(pair, one=(*crowd, *pair.one), other=(*pair.other, *crowd), visible=(*pair.visible, *ids))


async def _pages(at_home: TestHome) -> dict[str, str]:
    """Return every page of a search, what its stream told, and a record of it, without what may differ."""
    seen: dict[str, str] = {}
    async with at_home.client() as client:
        await at_home.sign_in_browser(client)
        browser = Browser(at_home, client)
        path = await browser.search(SENTENCE)
        for number in range(1, PAGES + 1):
            page = (await browser.get(path)).text
            seen[f"page {number}"] = page
            seen[f"page {number}, events"] = await events_without_order(browser, path)
            seen[f"page {number}, record"] = (await browser.get((await browser.records(path))[-1])).text
            if NEXT.search(page) is None:
                break
            path = await answered(browser, await next_page(browser, path))
    await at_home.home.stop()
    at_home.home.close()
    return {place: comparable(text) for place, text in seen.items()}


async def _difference(folder: Path, pair: Pair, engine: PolicyEngine, index: Wrap = lambda real: real) -> str | None:
    """Return the first place at which the two states can be told apart, or None."""
    shown = []
    for name, items in (("one", pair.one), ("other", pair.other)):
        (folder / name).mkdir(parents=True)
        shown.append(await _pages(make_world(folder / name, items, engine, index)))
    assert "page 2" in shown[0]
    return next((place for place in {**shown[0], **shown[1]} if shown[0].get(place) != shown[1].get(place)), None)


@pytest.mark.parametrize("seed", SEEDS)
async def test_promise_3_hidden_differences_change_no_byte_of_a_later_page(
    seed: int, tmp_path: Path, opa: OpaPolicyEngine
) -> None:
    assert await _difference(tmp_path, of_many_pages(make_pair(seed)), opa) is None


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SEEDS)
async def test_promise_3_holds_for_later_pages_of_many_worlds(seed: int, tmp_path: Path, opa: OpaPolicyEngine) -> None:
    assert await _difference(tmp_path, of_many_pages(make_pair(seed)), opa) is None


class TotalOfLaterPages(_Leaky):
    """Counts again on a later page, and forgets for whom."""

    def search(self, query: IndexQuery, view: View, statistics: TermStatistics) -> IndexResult:
        honest = super().search(query, view, statistics)
        total = honest.total if query.after is None else self.everything(query, statistics).total
        return replace(honest, total=total)


class LaterPagesCutBeforeFilter(_Leaky):
    """Takes the next so many rows of everything, and leaves out afterwards what is hidden."""

    def search(self, query: IndexQuery, view: View, statistics: TermStatistics) -> IndexResult:
        honest = super().search(query, view, statistics)
        if query.after is None:
            return honest
        rows = self.everything(query, statistics).hits[: query.limit]
        last = {hit.id for hit in rows}
        return replace(honest, hits=tuple(hit for hit in honest.hits if hit.id in last))


@pytest.mark.parametrize("leak", [TotalOfLaterPages, LaterPagesCutBeforeFilter])
async def test_a_planted_leak_of_a_later_page_is_seen(leak: Wrap, tmp_path: Path, opa: OpaPolicyEngine) -> None:
    for seed in LEAK_SEEDS:
        place = await _difference(tmp_path / str(seed), of_many_pages(make_pair(seed)), opa, leak)
        if place is not None:
            assert not place.startswith(FIRST)
            return
    pytest.fail("no world showed the leak")
