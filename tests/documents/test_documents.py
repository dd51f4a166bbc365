"""What the documents say is what the program does: every command parses, every file reads, every page is fresh."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Callable

import build_reference
import check
import graphql_fields
import mutate
import pytest
import record_fields

from concordat_client.cli import COMMANDS, build_parser
from concordat_client.demo.provider_state import parse_config
from concordat_coordinator.settings import options as coordinator_options
from concordat_node.home.settings import parse_home_settings
from concordat_node.registry.rules import Owner, read_line
from concordat_trust.bundle.topology import parse_topology
from concordat_trust.ids import OrgId
from tests.documents.reader import UnreadableDocument, commands, steps
from tests.documents.terminal import document

NAMES = ("README.md", "docs/operate.md")
_OURS = re.compile(r"(?:[A-Z0-9_]+=(?:\$\([^)]*\)|\S)* )*(?:\./)?concordat (.*)")
_OTHERS = ("cp", "curl", "sleep")


def arguments_of(command: str) -> list[str] | None:
    """Return what one of our commands is given, or None for a command of somebody else."""
    ours = _OURS.fullmatch(command)
    if ours is None:
        assert command.split(maxsplit=1)[0] in _OTHERS, command
        return None
    return shlex.split(ours.group(1), comments=True)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse with the real parsers; one that does not know an argument exits."""
    if arguments[0] == "check":
        return check.arguments_of(arguments[1:])
    chosen = next(command for command in COMMANDS if command.name == arguments[0])
    return build_parser(chosen).parse_args(arguments)


DOCUMENTED = [
    pytest.param(arguments, id=f"{name}:{step.line}:{' '.join(arguments)[:40]}")
    for name in NAMES
    for step in commands(document(name))
    if (arguments := arguments_of(step.text)) is not None and arguments[0] != "test"
]


@pytest.mark.parametrize("arguments", DOCUMENTED)
def test_every_documented_command_parses(arguments: list[str]) -> None:
    parsed = parse(arguments)
    assert arguments[0] == "check" or callable(getattr(parsed, "run", None) or getattr(parsed, "handler", None))


def test_both_documents_have_commands_and_the_launcher_has_its_own() -> None:
    of_readme = [arguments_of(step.text) for step in commands(document("README.md"))]
    assert ["test"] in of_readme
    assert ["test", "--long"] in of_readme
    assert len(DOCUMENTED) > 25


@pytest.mark.parametrize(
    "arguments", [["search", "x", "--purpose", "HMB", "--no-such-option"], ["check", "--mutate", "nothing"]]
)
def test_an_option_that_does_not_exist_would_be_found(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse(arguments)


def _files() -> dict[str, str]:
    return {step.path: step.text for step in steps(document("docs/operate.md")) if step.path}


def _settings(text: str) -> None:
    known = {option.name for option in coordinator_options()}
    assert set(json.loads(text)) <= known


def _home(text: str) -> None:
    parse_home_settings(json.loads(text)["home"])


def _catalogue(text: str) -> None:
    owner = Owner(OrgId.parse("first-hospital"), b"x" * 32)
    assert [type(read_line(line.encode(), owner)).__name__ for line in text.splitlines()]


READERS: dict[str, Callable[[str], object]] = {
    "topology.json": lambda text: parse_topology(text.encode()),
    "first/catalogue.ndjson": _catalogue,
    "relay/settings.json": _settings,
    "second/settings.json": _home,
    "provider.json": lambda text: parse_config(text.encode()),
}


def test_every_file_of_the_text_is_read_by_its_own_reader() -> None:
    files = _files()
    assert set(files) == set(READERS)
    for path, text in files.items():
        READERS[path](text)


@pytest.mark.parametrize("text", ["Some words.\n\n```json\n{}\n```\n", "```\nconcordat whoami\n"])
def test_a_text_that_cannot_be_followed_is_an_error(text: str) -> None:
    with pytest.raises(UnreadableDocument):
        steps(text)


LIGHT_PAGES: dict[str, Callable[[], str]] = {
    "commands.md": build_reference.commands_page,
    "graphql-doors.md": graphql_fields.graphql_page,
    "graphql-peers.md": graphql_fields.peers_page,
    "policy-codes.md": build_reference.reasons_page,
    "records.md": record_fields.records_page,
    "settings.md": build_reference.settings_page,
}
"""Pages that can be made without importing every module; errors.md needs them all."""


@pytest.mark.parametrize("name", LIGHT_PAGES)
def test_a_reference_page_is_what_the_code_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")  # the maker sets it, and this gives it back
    page = (build_reference.PAGES / name).read_text("utf-8")
    assert page.endswith(LIGHT_PAGES[name]().rstrip() + "\n"), "run tools/build_reference.py"


def test_every_entry_point_of_the_policies_is_documented() -> None:
    marked = [
        path.read_text("utf-8").count("# entrypoint: true")
        for path in (check.ROOT / "policies" / "rego").rglob("*.rego")
    ]
    found = build_reference.entry_points()
    assert sum(marked) == len(found) > 2
    assert all(found.values())


def test_a_wire_field_without_a_meaning_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(graphql_fields.PEERS_ONLY, "Result.salt")
    with pytest.raises(LookupError, match=r"Result\.salt"):
        graphql_fields.peers_page()


@pytest.mark.long
def test_every_reference_page_is_what_the_code_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    pages = build_reference.pages()
    assert set(pages) == {path.name for path in build_reference.PAGES.glob("*.md")}
    for name, text in pages.items():
        assert (build_reference.PAGES / name).read_text("utf-8") == text, f"run tools/build_reference.py: {name}"


@pytest.mark.parametrize("mutant", mutate.load_mutants("running-path"), ids=lambda mutant: mutant.name)
def test_every_planted_mutant_fits_the_source(mutant: mutate.Mutant) -> None:
    for edit in mutant.edits:
        assert (check.ROOT / edit.file).read_text("utf-8").count(edit.old) == 1, edit
    for test in mutant.tests:
        path, _, name = test.partition("::")
        defined = f"def {name.partition('[')[0]}(" if name else "def test_"
        assert defined in (check.ROOT / path).read_text("utf-8"), test
