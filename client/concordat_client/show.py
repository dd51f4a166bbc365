"""`concordat show ID --purpose CODE`: one record, as far as its owner shows it to you."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from concordat_client.asking import add_output, add_purpose, exit_of_result, purpose_of, save_answer
from concordat_client.exits import Exit

if TYPE_CHECKING:
    from concordat_trust.canonical import JsonObject

_DESCRIPTION = (
    "Show one record with its conditions, what is masked, and what you would need to see more. A record that is not "
    "shown may not exist or may not be for you; the two look the same."
)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    show = subparsers.add_parser("show", help="show one record by its id", description=_DESCRIPTION)
    show.add_argument("id", metavar="ID", help="the record's id: urn:concordat:ORGANIZATION:KIND:…")
    add_purpose(show)
    add_output(show)
    show.add_argument(
        "--format", choices=("text", "croissant"), default="text", help="croissant: a data set as JSON-LD"
    )
    show.set_defaults(run=run_show)


def run_show(arguments: argparse.Namespace) -> int:
    """Ask the owner, print, save."""
    from concordat_client.config import config_dir, load_session
    from concordat_client.home_client import HomeClient

    with HomeClient.of(load_session(config_dir())) as client:
        result = client.assets({"ids": [arguments.id], "purpose": purpose_of(arguments)})
        if arguments.save is not None:
            save_answer(client, result, arguments.save)
    _print(result, arguments)
    return _exit(result, arguments)


def _exit(result: JsonObject, arguments: argparse.Namespace) -> Exit:
    owner = arguments.id.split(":")[2]
    status = next((e.get("status") for e in _entries(result) if e.get("organization") == owner), None)
    if not result.get("hits"):
        # What is hidden and what does not exist look the same; an owner that did not answer does not.
        is_answered = status in ("OK", "SUPPRESSED", "DENIED", "UNSUPPORTED")
        return Exit.REFUSED_BY_POLICY if is_answered else Exit.UNREACHABLE
    return exit_of_result(result, require_complete=arguments.require_complete)


def _entries(result: JsonObject) -> list[JsonObject]:
    from concordat_client.render import obj, objects

    return objects(obj(result.get("completeness")).get("entries"))


def _print(result: JsonObject, arguments: argparse.Namespace) -> None:
    from concordat_client.plain_text import as_json
    from concordat_client.render import completeness_lines, obj, objects, record_lines
    from concordat_trust.words import notice_words, status_words

    hits = objects(result.get("hits"))
    if arguments.format == "croissant" and hits:
        from concordat_trust.croissant import croissant_of

        print(as_json(croissant_of(obj(hits[0].get("record")))))
        return
    if arguments.json:
        saved = None if arguments.save is None else str(arguments.save)
        print(as_json({**result, "saved": saved}))
        return
    for hit in hits:
        for line in record_lines(obj(hit.get("record"))):
            print(line)
    owner = arguments.id.split(":")[2]
    for entry in _entries(result):
        if entry.get("organization") == owner:
            print(f"{owner} {status_words(entry)}")
            notice = notice_words(entry)
            if notice is not None:
                print(f"{owner} {notice}")
    if not hits:
        print("Nothing is shown: there is no such record, or it is not for you.", file=sys.stderr)
        for line in completeness_lines(result):
            print(line, file=sys.stderr)
