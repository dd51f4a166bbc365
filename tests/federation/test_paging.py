"""Pages of a whole network: every record once, in one order; nothing is lost when a node comes late."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from concordat_node.home.ask import Asked
from concordat_node.home.errors import NextPageMissing
from concordat_node.home.paging import has_next, next_cursors
from concordat_node.home.saving import saved_answer
from concordat_trust.answer import verify_saved_answer
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.merge import MergedResult
from concordat_trust.question import Question, Sort
from concordat_trust.saved_answer import SavedAnswer
from tests.factories.network import NOW
from tests.federation.consortium import NORTH, Consortium, make_consortium
from tests.federation.memory_transport import refuse
from tests.federation.virtual_clock import simulate

VISIBLE = 9
SORTS = (Sort(), Sort("created", None, "asc"))


def shown(merged: MergedResult) -> list[str]:
    return [str(hit.record["id"]) for hit in merged.hits]


def more(asked: Asked) -> bool:
    return has_next(asked.round.question, asked.round.parts, asked.judged.verified, asked.judged.merged)


async def walk(consortium: Consortium, question: Question) -> list[Asked]:
    pages = [await consortium.ask(question)]
    while more(pages[-1]):
        saved = SavedAnswer.parse(saved_answer(pages[-1], consortium.network.bundle, now=NOW))
        pages.append(await consortium.ask(question, cursors=next_cursors(saved)))
    return pages


def _in_force(consortium: Consortium, _: int) -> TrustedBundle:
    return consortium.network.bundle


def ids_of(pages: Sequence[Asked]) -> list[str]:
    return [item for page in pages for item in shown(page.judged.merged)]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("page_size", [1, 2, 4, 9])
def test_the_pages_together_are_the_whole_answer(page_size: int, sort: Sort) -> None:
    async def run() -> None:
        consortium = make_consortium()
        whole = await consortium.ask(consortium.question(page_size=50, sort=sort))
        pages = await walk(consortium, consortium.question(page_size=page_size, sort=sort))
        assert ids_of(pages) == shown(whole.judged.merged)
        assert len(pages) == -(-VISIBLE // page_size)
        assert {page.judged.merged.total for page in pages} == {VISIBLE}
        assert all(page.findings == () and page.judged.merged.completeness.complete for page in pages)

    simulate(1, run())


def test_a_node_that_was_away_is_asked_from_its_beginning_on_the_next_page() -> None:
    async def run() -> None:
        consortium = make_consortium()
        question = consortium.question(page_size=2)
        consortium.fault(NORTH, refuse(), refuse())
        pages = await walk(consortium, question)
        missing = [entry.organization for entry in pages[0].judged.merged.completeness.missing]
        assert missing == [NORTH]
        assert len(ids_of(pages)) == len(set(ids_of(pages))) == VISIBLE

    simulate(1, run())


def test_each_page_is_saved_and_verified_offline() -> None:
    async def run() -> list[tuple[bytes, Consortium]]:
        consortium = make_consortium()
        pages = await walk(consortium, consortium.question(page_size=4))
        return [(saved_answer(page, consortium.network.bundle, now=NOW), consortium) for page in pages]

    kept = simulate(1, run())
    for data, consortium in kept:
        verified = verify_saved_answer(data, bundle_at=partial(_in_force, consortium))
        assert verified.merged.completeness.complete
    tokens = {SavedAnswer.parse(data).token for data, _ in kept}
    assert len(tokens) == len(kept) == 3


def test_after_the_last_page_nothing_is_asked() -> None:
    async def run() -> None:
        consortium = make_consortium()
        asked = await consortium.ask(consortium.question(page_size=50))
        assert not more(asked)
        with pytest.raises(NextPageMissing):
            next_cursors(SavedAnswer.parse(saved_answer(asked, consortium.network.bundle, now=NOW)))

    simulate(1, run())
