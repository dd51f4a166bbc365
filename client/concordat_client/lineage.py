"""`concordat lineage ID --purpose CODE [--up | --down]`: what a record came from, or what came from it, as a tree.

Every edge is somebody's word, and is shown with whose. What is not shown may not exist or may not be for the person who
asks: the two look the same, and nothing is shown behind it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from concordat_client.asking import add_output, add_purpose, exit_of_result, purpose_of, save_answer
from concordat_client.exits import Exit

if TYPE_CHECKING:
    from concordat_trust.canonical import Json, JsonObject

_DESCRIPTION = (
    "Walk what a record came from (--up), or what came from it (--down), across organizations. Each edge is the word "
    "of the organization that asserts it. The walk stops at what is not shown to you and never goes around it."
)
_ENDS_HERE = {"closed": "; stops here: its owner does not let its lineage be told, so nobody else was asked about it"}
_UP = {
    "fine_tuned_from": "fine-tuned from",
    "derived_from": "derived from",
    "trained_on": "trained on",
    "evaluated_on": "evaluated on",
}
_DOWN = {
    "fine_tuned_from": "base of",
    "derived_from": "source of",
    "trained_on": "training data of",
    "evaluated_on": "evaluation data of",
}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    lineage = subparsers.add_parser(
        "lineage", help="walk what a record came from, or what came from it", description=_DESCRIPTION
    )
    lineage.add_argument("id", metavar="ID", help="the record's id: urn:concordat:ORGANIZATION:KIND:…")
    way = lineage.add_mutually_exclusive_group()
    way.add_argument("--up", action="store_const", const="up", dest="direction", help="what it came from (default)")
    way.add_argument("--down", action="store_const", const="down", dest="direction", help="what came from it")
    lineage.add_argument("--depth", type=int, metavar="N", help="how many steps at most, up to 16 (default 8)")
    add_purpose(lineage)
    add_output(lineage)
    lineage.set_defaults(run=run_lineage, direction="up")


def run_lineage(arguments: argparse.Namespace) -> int:
    """Walk, print, save."""
    from concordat_client.config import config_dir, load_session
    from concordat_client.home_client import HomeClient

    body: JsonObject = {"direction": arguments.direction, "id": arguments.id, "purpose": purpose_of(arguments)}
    if arguments.depth is not None:
        body["depth"] = arguments.depth
    with HomeClient.of(load_session(config_dir())) as client:
        result = client.lineage(body)
        if arguments.save is not None:
            save_answer(client, result, arguments.save)
    _print(result, arguments)
    return _exit(result, arguments)


def _exit(result: JsonObject, arguments: argparse.Namespace) -> Exit:
    from concordat_client.render import obj, objects

    vertices = objects(obj(result.get("picture")).get("vertices"))
    start = next((vertex.get("state") for vertex in vertices if vertex.get("depth") == 0), None)
    if start == "not_shown":
        # What is hidden and what does not exist look the same; an owner that did not answer does not.
        return Exit.REFUSED_BY_POLICY
    return exit_of_result(result, require_complete=arguments.require_complete)


def _print(result: JsonObject, arguments: argparse.Namespace) -> None:
    from concordat_client.plain_text import as_json
    from concordat_client.render import obj, objects

    if arguments.json:
        saved = None if arguments.save is None else str(arguments.save)
        print(as_json({**result, "saved": saved}))
        return
    for line in picture_lines(obj(result.get("picture"))):
        print(line)
    for finding in (item for each in objects(result.get("rounds")) for item in objects(each.get("findings"))):
        print(f"finding: {finding.get('code')} ({finding.get('organization') or 'coordinator'})", file=sys.stderr)


def picture_lines(picture: Mapping[str, Json]) -> Iterator[str]:
    """Yield the tree of a picture; a record that was met before is named and not unfolded again."""
    from concordat_client.render import objects
    from concordat_trust.lineage_words import CAVEAT, open_ends

    tree = _Tree(picture)
    yield from tree.lines(str(picture.get("start")), "")
    yield from open_ends(picture)
    if objects(picture.get("vertices")):
        yield CAVEAT


class _Tree:
    """A picture as nested lines."""

    def __init__(self, picture: Mapping[str, Json]) -> None:
        from concordat_client.render import objects

        self._is_up = picture.get("direction") == "up"
        self._vertices = {str(vertex.get("id")): vertex for vertex in objects(picture.get("vertices"))}
        self._edges = objects(picture.get("edges"))
        self._unfolded: set[str] = set()

    def lines(self, asset_id: str, indent: str) -> Iterator[str]:
        vertex = self._vertices.get(asset_id, {})
        is_again = asset_id in self._unfolded
        yield f"{indent}{self._words(asset_id, vertex)}{' (see above)' if is_again else ''}"
        if is_again:
            return
        self._unfolded.add(asset_id)
        here, there = ("source", "target") if self._is_up else ("target", "source")
        for edge in self._edges:
            if edge.get(here) == asset_id:
                yield f"{indent}  {self._edge_words(edge)}"
                yield from self.lines(str(edge.get(there)), indent + "    ")

    def _words(self, asset_id: str, vertex: Mapping[str, Json]) -> str:
        from concordat_client.plain_text import plain
        from concordat_trust.lineage_words import state_words

        state = str(vertex.get("state"))
        if state != "shown":
            return f"{plain(asset_id)}: {state_words(state)}"
        title = plain(vertex.get("title") or "(title not shown)")
        said = "; its owner says that nothing is left out" if vertex.get("owner_says_complete") is True else ""
        ends = _ENDS_HERE.get(str(vertex.get("ends_here")), "")
        return f"{title} [{plain(asset_id)}], {plain(str(vertex.get('level')).lower())}{said}{ends}"

    def _edge_words(self, edge: Mapping[str, Json]) -> str:
        from concordat_client.plain_text import plain
        from concordat_client.render import objects
        from concordat_trust.lineage_words import UNCONFIRMED

        relation = str(edge.get("relation"))
        words = (_UP if self._is_up else _DOWN).get(relation, plain(relation))
        by = objects(edge.get("asserted_by"))
        who = " and ".join(f"{plain(str(item.get('organization')))} ({item.get('asserted_on')})" for item in by)
        doubt = "" if edge.get("confirmed") is True else f"; {UNCONFIRMED}"
        return f"{words} — asserted by {who}{doubt}"
