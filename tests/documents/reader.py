"""Reads a document as a person at a terminal does: which files it says to write, and which commands to run, in order.

Rules of this file, which are the rules of the documents:

* A `json` block is a file: the paragraph before it says "as `PATH`" (write it) or "Add to `PATH`" (put its fields into
  the JSON object that is there).
* A block without a language is a list of shell commands; a backslash at the end of a line continues it, and
  `# keeps running` at its end says that the command is a server.
* Ports that begin with 84 are examples: all of them, in commands and files alike, are replaced by free ones. Nothing
  else of a text is changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent.parent
_FENCE = re.compile(r"^```([a-z]*)$")
_FILE = re.compile(r"\b(?:as|Add to) `([^`]+)`")
_PORT = re.compile(r"\b84\d\d\b")
_SERVER = re.compile(r"\s+# keeps running$")

Kind = Literal["write", "add", "run", "serve"]


class UnreadableDocument(Exception):
    """The document says something that a reader cannot follow."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: write or add to the file `path`, or run or keep running `text`. `line` is where it stands."""

    kind: Kind
    text: str
    line: int
    path: str = ""


def example_ports(text: str) -> frozenset[str]:
    return frozenset(_PORT.findall(text))


def with_ports(text: str, ports: Mapping[str, int]) -> str:
    """Return the text with the example ports replaced."""
    return _PORT.sub(lambda found: str(ports[found.group()]), text)


def steps(text: str) -> list[Step]:
    """Return what the document says to do. Raises: UnreadableDocument."""
    found: list[Step] = []
    paragraph: list[str] = []
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        fence = _FENCE.match(line)
        if fence is None:
            paragraph = paragraph if line.strip() or not paragraph else [*paragraph, ""]
            paragraph.append(line)
            continue
        block = []
        for _, inner in lines:
            if inner == "```":
                break
            block.append(inner)
        else:
            raise UnreadableDocument(f"line {number}: the block has no end")
        found += _of_block(fence.group(1), block, _last_paragraph(paragraph), number)
        paragraph = []
    return found


def commands(text: str) -> list[Step]:
    return [step for step in steps(text) if step.kind in ("run", "serve")]


def _last_paragraph(lines: list[str]) -> str:
    return "\n".join(lines).strip().rpartition("\n\n")[2]


def _of_block(language: str, block: list[str], before: str, line: int) -> list[Step]:
    if language == "":
        return list(_commands(block, line))
    if language != "json":
        return []
    named = _FILE.search(before)
    if named is None:
        raise UnreadableDocument(f"line {line}: the text before this JSON does not say which file it is")
    return [Step("add" if named.group().startswith("Add") else "write", "\n".join(block) + "\n", line, named.group(1))]


def _commands(block: list[str], line: int) -> list[Step]:
    joined = "\n".join(block).replace("\\\n", " ").splitlines()
    return [
        Step("serve" if _SERVER.search(command) else "run", _SERVER.sub("", command).strip(), line)
        for command in joined
        if command.strip()
    ]
