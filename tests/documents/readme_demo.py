"""Compares what README.md says of the demonstration with what one run of it reported and printed."""

from __future__ import annotations

import re
from typing import Any

from concordat_client.demo.layout import read_topology
from tests.documents.terminal import document

_CELL = re.compile(r"(\d+)( in summary, with what is missing)?")
_TEXT = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"^\d+\. ", re.MULTILINE)
GAP = "…"


def readme_says_what_happened(told: dict[str, Any], words: str) -> None:
    """Assert that the table of README.md and the texts it quotes are those of this run."""
    table = _table(document("README.md"))
    sections = words.split("\n=== asked by ")[1:]
    persons = read_topology().persons
    assert list(table) == [person.title for person in persons]
    for person, ask, section in zip(persons, told["asks"], sections, strict=True):
        assert section.startswith(person.title)
        for organization, cell in table[person.title].items():
            _same(cell, ask["by_organization"][organization], _records(section, organization))
    quoted = _TEXT.findall(document("README.md"))
    assert len(quoted) == 2
    for quote in quoted:
        _is_quoted_from(quote, _NUMBER.sub("", words))


def _table(text: str) -> dict[str, dict[str, str]]:
    """Return the cells of the table by person and organization."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    head, _, *body = rows
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in body}


def _records(section: str, organization: str) -> list[str]:
    own = section.partition("\n===")[0]
    return [block for block in own.split("\n\n") if f"urn:concordat:{organization}:" in block]


def _same(cell: str, count: int, records: list[str]) -> None:
    said = _CELL.fullmatch(cell)
    assert said is not None, cell
    assert (int(said.group(1)), len(records)) == (count, count)
    for record in records:
        in_summary = said.group(2) is not None
        assert ("[in summary]" in record, "you would need:" in record) == (in_summary, in_summary), record


def _is_quoted_from(quote: str, words: str) -> None:
    position = 0
    for part in quote.split(GAP + "\n"):
        found = words.find(part, position)
        assert found >= 0, f"README.md quotes what was not printed:\n{part}"
        position = found + len(part)
