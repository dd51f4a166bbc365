"""`concordat search "…" --purpose CODE`: one question to every organization of the network."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from concordat_client.asking import add_output, add_purpose, exit_of_result, purpose_of, save_answer
from concordat_client.errors import PagesNotSaved
from concordat_client.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from concordat_client.home_client import HomeClient
    from concordat_trust.canonical import Json, JsonObject

PAGES_MAX = 20

FACETS = ("kind", "task", "framework", "modality", "license", "origin")
_DESCRIPTION = (
    'Ask the whole network one question, such as "models trained on clinical trial data with accuracy above 90%". '
    "What was understood is shown; what was not is searched for as text."
)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    search = subparsers.add_parser("search", help="ask every organization one question", description=_DESCRIPTION)
    search.add_argument("sentence", metavar="SENTENCE", help="words, and conditions such as license:MIT")
    add_purpose(search)
    search.add_argument("--page-size", type=int, metavar="N", help="records to show, up to 50 (default 20)")
    search.add_argument(
        "--pages", type=_pages, default=1, metavar="N", help=f"pages to show, up to {PAGES_MAX} (default 1)"
    )
    search.add_argument("--sort", metavar="BY", help="relevance (default), created, or metric:NAME")
    search.add_argument("--ascending", action="store_true", help="smallest first")
    search.add_argument("--facet", action="append", default=[], choices=FACETS, help="count by this field; repeatable")
    add_output(search)
    search.set_defaults(run=run_search)


def run_search(arguments: argparse.Namespace) -> int:
    """Ask, print, save."""
    from concordat_client.config import config_dir, load_session
    from concordat_client.home_client import HomeClient

    if arguments.save is not None and arguments.pages > 1:
        raise PagesNotSaved
    with HomeClient.of(load_session(config_dir())) as client:
        results = list(_asked(client, arguments))
        if arguments.save is not None:
            save_answer(client, results[0], arguments.save)
    _print(results, arguments)
    exits = [exit_of_result(result, require_complete=arguments.require_complete) for result in results]
    return next((code for code in exits if code != Exit.DONE), Exit.DONE)


def _asked(client: HomeClient, arguments: argparse.Namespace) -> Iterator[JsonObject]:
    """Yield the pages; each is a question of its own."""
    result = client.ask(_body(arguments))
    yield result
    for _ in range(arguments.pages - 1):
        job = result.get("job")
        if result.get("has_next") is not True or not isinstance(job, dict):
            return
        result = client.next_page(str(job.get("id")))
        yield result


def _pages(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= PAGES_MAX:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {PAGES_MAX}")
    return int(text)


def _body(arguments: argparse.Namespace) -> JsonObject:
    body: JsonObject = {"purpose": purpose_of(arguments), "sentence": arguments.sentence}
    if arguments.page_size is not None:
        body["page_size"] = arguments.page_size
    if arguments.facet:
        body["facets"] = [facet for facet in FACETS if facet in arguments.facet]
    if arguments.sort is not None:
        body["sort"] = _sort(arguments.sort, "asc" if arguments.ascending else "desc")
    return body


def _sort(by: str, order: str) -> JsonObject:
    if by == "relevance":
        return {"by": "relevance"}
    name, _, metric = by.partition(":")
    return {"by": name, "metric": metric, "order": order} if name == "metric" else {"by": by, "order": order}


def _print(results: list[JsonObject], arguments: argparse.Namespace) -> None:
    from concordat_client.plain_text import as_json, plain
    from concordat_client.render import completeness_lines, facet_lines, objects, page_lines, understood_lines

    if arguments.json:
        saved = None if arguments.save is None else str(arguments.save)
        pages: list[Json] = list(results)
        print(as_json({**results[0], "saved": saved} if arguments.pages == 1 else {"pages": pages}))
        return
    result = results[0]
    print(f"Asked in {plain(result.get('network'))} for the purpose {plain(arguments.purpose)}.")
    told = (*understood_lines(result), *completeness_lines(result), *facet_lines(result))
    for line in (*told, *page_lines(result)):
        print(line)
    shown = len(objects(result.get("hits")))
    for number, page in enumerate(results[1:], start=2):
        print(f"\nPage {number}")
        for line in (*completeness_lines(page), *page_lines(page, first=shown + 1)):
            print(line)
        shown += len(objects(page.get("hits")))
    if results[-1].get("has_next") is True:
        print(f"\nThere is more: ask with --pages {len(results) + 1}.")
    if arguments.save is not None:
        print(f"\nSaved to {arguments.save}; check it with concordat verify.", file=sys.stderr)
