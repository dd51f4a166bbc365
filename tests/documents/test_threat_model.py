"""docs/threat-model.md: every promise of it points to a test, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.documents.reader import ROOT

PAGE = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
_NAMED = re.compile(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")
ADVERSARIES = (
    *("A hostile coordinator", "A hostile member", "A requester who is not entitled", "A stolen session or token"),
    *("A stolen key", "One bad keyholder, and a quorum", "Collusion", "A hostile mirror"),
    *("A hostile or careless identity provider", "A hostile document or text"),
)


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows() -> Iterator[tuple[str, str]]:
    """Yield the adversary and the text of each row of a table, without its head."""
    for adversary in ADVERSARIES:
        lines = [line for line in sections()[adversary].splitlines() if line.startswith("|")]
        yield from ((adversary, line) for line in lines[2:])


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in found)


NAMED = sorted(set(_NAMED.findall(PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_every_test_that_the_threat_model_names_exists(path: str, name: str) -> None:
    assert Path(ROOT / path).is_file(), path
    assert name in functions_of(path), f"{path} has no {name}"


def test_every_promise_points_to_a_test() -> None:
    without = [line for _, line in rows() if not _NAMED.search(line.rstrip(" |").rpartition("|")[2])]
    assert without == []
    assert len(list(rows())) > 60


def test_nothing_that_looks_like_a_test_is_misspelled() -> None:
    assert len(re.findall(r"::", PAGE)) == len(_NAMED.findall(PAGE))


def test_every_adversary_has_what_remains() -> None:
    assert set(sections()) >= set(ADVERSARIES)
    assert [name for name in ADVERSARIES if "**Remains**: " not in sections()[name]] == []


@pytest.mark.parametrize("line", [line for _, line in rows()], ids=lambda line: line[2:50])
def test_every_row_says_what_happens(line: str) -> None:
    outcome = line.split("|")[2]
    assert re.search(r"\b(stopped|bounded|found|deny|as one bad keyholder)\b", outcome), line
