"""`concordat lineage`: the tree that is printed, whose word each edge is, and the exit codes."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import get_args

import pytest

from concordat_client.cli import build_parser
from concordat_client.exits import Exit
from concordat_client.lineage import _ENDS_HERE, _exit, picture_lines
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.lineage import LineageEdge
from concordat_trust.lineage_walk import EndsHere, StoppedBy
from concordat_trust.lineage_words import STOPPED
from tests.factories.lineage_worlds import ORGANIZATIONS, World, a_model, came_from, walked

ALMA, NORTH, VITALIS = ORGANIZATIONS
A, B, C = (a_model(number) for number in range(3))
CHAIN = frozenset({(came_from(0, 1), ALMA), (came_from(1, 2), NORTH)})


def lines_of(
    asserted: frozenset[tuple[LineageEdge, OrgId]],
    hidden: Collection[AssetId] = (),
    silent: Collection[OrgId] = (),
    **limits: int,
) -> list[str]:
    world = World(3, asserted, frozenset(hidden), frozenset(silent))
    picture, _ = walked(A, "up", world.heard, ORGANIZATIONS, **limits)
    return list(picture_lines(picture.to_json()))


def test_every_edge_says_whose_word_it_is() -> None:
    one, edge, two, *_ = lines_of(frozenset({(came_from(0, 1), ALMA)}))
    assert one.endswith(f"[{A}], full")
    assert edge.strip() == (
        "fine-tuned from — asserted by alma-university (2026-05-01); the other side does not confirm it"
    )
    assert two.strip().endswith(f"[{B}], full")
    both = lines_of(frozenset({(came_from(0, 1), ALMA), (came_from(0, 1), NORTH)}))
    assert (
        both[1].strip() == "fine-tuned from — asserted by alma-university (2026-05-01) and north-hospital (2026-05-01)"
    )


def test_a_hidden_record_ends_the_tree() -> None:
    lines = lines_of(CHAIN, hidden=[B])
    assert lines[2].strip().startswith(f"{B}: not shown: there is no such record, or it is not for you")
    assert not any(str(C) in line for line in lines)


def test_a_circle_is_unfolded_once() -> None:
    lines = lines_of(CHAIN | {(came_from(2, 0), VITALIS)})
    assert sum(str(A) in line for line in lines) == 2
    assert sum("(see above)" in line for line in lines) == 1


def test_what_is_open_is_said() -> None:
    assert "Incomplete: no answer from north-hospital; there may be more." in lines_of(CHAIN, silent=[NORTH])
    limited = lines_of(CHAIN, depth_max=1)
    assert "The walk ended at the depth that was asked for; there may be more." in limited


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("depth", "the depth that was asked for"),
        ("vertices", "the largest number of records"),
        ("time", "its time"),
        ("size", "the size that a walk may have"),
        ("rounds", "the number of rounds that a walk may have"),
    ],
)
def test_every_reason_for_which_a_walk_ends_has_words(reason: str, words: str) -> None:
    picture, _ = walked(A, "up", World(3, CHAIN, frozenset()).heard)
    told: JsonObject = {**picture.to_json(), "stopped_by": [reason]}
    assert f"The walk ended at {words}; there may be more." in list(picture_lines(told))


def test_the_reasons_are_the_ones_that_a_walk_knows() -> None:
    assert set(STOPPED) == set(get_args(StoppedBy))
    assert set(_ENDS_HERE) == set(get_args(EndsHere))


def test_a_cut_list_is_said() -> None:
    world = World(9, frozenset((came_from(n, 0), a_model(n).org) for n in (3, 6)), frozenset())
    picture, _ = walked(A, "down", lambda frontier: world.heard(frontier, answer_max=2))
    cut = "Incomplete: the list of alma-university was cut; it knows of more records than one answer carries."
    assert cut in list(picture_lines(picture.to_json()))


def test_where_a_closed_record_ends_the_walk_is_said() -> None:
    world = World(2, frozenset({(came_from(1, 0), NORTH)}), frozenset(), closed=frozenset({A}))
    picture, _ = walked(A, "down", world.heard)
    first, *others = picture_lines(picture.to_json())
    assert first.endswith("stops here: its owner does not let its lineage be told, so nobody else was asked about it")
    assert not any(str(B) in line for line in others)


def test_texts_of_others_are_made_plain() -> None:
    vertex: JsonObject = {"id": str(A), "depth": 0, "state": "shown", "title": "\x1b[31mred", "level": "FULL"}
    picture: JsonObject = {"start": str(A), "direction": "up", "vertices": [vertex], "edges": []}
    assert "\x1b" not in "".join(picture_lines(picture))


def arguments(*given: str) -> argparse.Namespace:
    from concordat_client.cli import COMMANDS

    parser = build_parser(next(command for command in COMMANDS if command.name == "lineage"))
    return parser.parse_args(["lineage", str(A), "--purpose", "GRU", *given])


def test_up_is_what_is_asked_for_unless_down_is_said() -> None:
    assert arguments().direction == "up"
    assert arguments("--down").direction == "down"
    with pytest.raises(SystemExit):
        arguments("--up", "--down")


@pytest.mark.parametrize(
    ("state", "status", "complete", "given", "code"),
    [
        ("shown", "OK", True, (), Exit.DONE),
        ("shown", "OK", False, (), Exit.DONE),
        ("shown", "OK", False, ("--require-complete",), Exit.PARTIAL),
        ("not_shown", "OK", True, (), Exit.REFUSED_BY_POLICY),
        ("no_answer", "TIMEOUT", False, (), Exit.UNREACHABLE),
    ],
)
def test_the_exit_code_says_what_came(
    state: str, status: str, complete: bool, given: tuple[str, ...], code: Exit
) -> None:
    entries: list[Json] = [{"organization": "alma-university", "status": status}]
    result: JsonObject = {
        "picture": {"vertices": [{"depth": 0, "state": state}]},
        "completeness": {"complete": complete, "entries": entries},
    }
    assert _exit(result, arguments(*given)) == code
