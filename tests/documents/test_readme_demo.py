"""The comparison of README.md with a run of the demonstration finds what it is there to find."""

from __future__ import annotations

from typing import Any

import pytest

from concordat_client.demo.layout import read_topology
from tests.documents.readme_demo import _TEXT, readme_says_what_happened
from tests.documents.terminal import document

COUNTS = {"alma-university": (1, 1, 1), "north-hospital": (1, 2, 1), "vitalis": (0, 2, 2)}
SUMMARY = {"north-hospital": (True, False, True)}


def told(change: int = 0) -> dict[str, Any]:
    return {
        "asks": [{"by_organization": {org: counts[i] + change for org, counts in COUNTS.items()}} for i in range(3)]
    }


def said() -> str:
    """Return words as the demonstration prints them, with what README.md quotes."""
    sections = []
    for number, person in enumerate(read_topology().persons):
        records = [
            f"1. Record{'   [in summary]' if marked else ''}\n   urn:concordat:{org}:model:x"
            + ("\n   you would need: something" if marked else "")
            for org, counts in COUNTS.items()
            for marked in [SUMMARY.get(org, (False,) * 3)[number]]
            for _ in range(counts[number])
        ]
        sections.append("\n\n".join([person.title, *records]))
    return "\n=== asked by ".join(["", *sections]) + "\n=== end\n" + "\n".join(_TEXT.findall(document("README.md")))


def test_what_is_as_the_readme_says_passes() -> None:
    readme_says_what_happened(told(), said())


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (told(1), said()),
        (told(), said().replace("   [in summary]", "")),
        (told(), said().replace("you would need: something", "")),
        (told(), said().replace("answered: no record", "answered: 0 match")),
        (told(), said().replace("exit 6: record_not_attested", "exit 0")),
        (told(), said().replace("a guest researcher", "somebody")),
    ],
)
def test_every_difference_is_found(report: dict[str, Any], words: str) -> None:
    with pytest.raises(AssertionError):
        readme_says_what_happened(report, words)
