"""docs/operate.md followed from its first line to its last in an empty folder, and then what README.md says to ask."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.documents.reader import commands, steps
from tests.documents.terminal import Done, Terminal, document, terminal

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
REINSTATED_SECONDS_MAX = 60
SAID = {
    "concordat trust init": "Network pilot is founded.",
    "concordat trust verify": "The bundle of pilot holds",
    "concordat node init": "settings.json written",
    "cp ": "",
    "concordat node doctor": "ok   membership: first-hospital",
    "concordat node import": "2 imported, 0 refused",
    "concordat login": "as ada of second-university",
    "concordat whoami": "clearance registered",
    "concordat search": "2 of 2 organizations answered (complete); 1 record matches.",
    "concordat show": "trained on Clinical trial, arm A",
    "concordat trust fetch": "Written to bundle.zip",
    "concordat verify-log": "first-hospital signed this state of its disclosure log",
    "concordat verify": "This answer holds.\n  network   A pilot network (pilot)",
    "concordat node log list": "second-university",
    "concordat node log verify": "the log holds",
    "concordat node log tokens": "No node reported the use of a token",
    "concordat node log checkpoint": "",
    "concordat logout": "Signed out.",
    "concordat trust suspend": "second-university is suspended.",
    "concordat trust reinstate": "the suspension 2 of second-university is lifted",
    "concordat trust approve": "the suspension 2 of second-university is lifted",
    "concordat trust publish": "Published.",
    "curl": "ready",
    "sleep": "",
}
"""What each command of operate.md says, among other things, by how it begins."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What every command that ended said, and the terminal, whose servers are still running."""

    done: list[Done]
    terminal: Terminal


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    text = document("docs/operate.md")
    with terminal(tmp_path_factory.mktemp("operate"), text) as opened:
        person = json.loads(next(step.text for step in steps(text) if step.path == "provider.json"))["persons"][0]
        opened.let_a_person_sign_in(person["username"], person["password"])
        yield Followed([done for step in steps(text) if (done := opened.follow(step)) is not None], opened)


def _expected(command: str) -> str:
    return next(said for beginning, said in SAID.items() if command.startswith(beginning))


def test_every_command_of_operate_works_and_says_what_it_should(followed: Followed) -> None:
    for done in followed.done:
        assert done.status == 0, f"{done.command}\n{done.output}{done.errors}"
        assert _expected(done.command) in done.output, f"{done.command}\n{done.output}"
    assert {next(b for b in SAID if done.command.startswith(b)) for done in followed.done} == set(SAID)
    assert len(followed.terminal.servers) == 5


def test_the_key_outputs_fit_together(followed: Followed) -> None:
    said = {" ".join(done.command.split()[:3]): done.output for done in followed.done}
    fingerprint = (followed.terminal.folder / "pilot" / "root.sha256").read_text("utf-8").strip()
    assert fingerprint in said["concordat trust init"]
    assert fingerprint in said["concordat verify answer.json"]
    shown = re.findall(r"urn:concordat:first-hospital:model:\w+", said['concordat search "models'])
    assert len(set(shown)) == 1
    assert shown[0] in next(done.output for done in followed.done if done.command.startswith("concordat show"))


def _readme_commands(address: str, mirror: str, fingerprint: str, asset: str) -> list[str]:
    """Return the commands of "Ask it yourself" with the placeholders of the text filled in."""
    text = document("README.md").partition("## Ask it yourself")[2].partition("\n## ")[0]
    found = [step.text.replace("./concordat", "concordat") for step in commands(text)]
    filled = {"http://127.0.0.1:PORT": address, "URL": mirror, "HEX": fingerprint}
    for placeholder, value in filled.items():
        found = [re.sub(rf"\b{re.escape(placeholder)}\b", value, command) for command in found]
    return [command.replace("urn:concordat:ORGANIZATION:model:ID", asset) for command in found]


def _wait_for_the_reinstatement(here: Terminal, login: str, search: str) -> None:
    """Return when every node has heard that the home organization, suspended and reinstated by the text, is back."""
    until = time.monotonic() + REINSTATED_SECONDS_MAX
    while here.run(login).status != 0 or "2 of 2 organizations answered" not in here.run(search).output:
        assert time.monotonic() < until, "not every node heard of the reinstatement"
        time.sleep(1)


def test_what_the_readme_says_to_ask_works_too(followed: Followed, tmp_path: Path) -> None:
    opened = followed.terminal
    home, mirror = (f"http://127.0.0.1:{opened.ports[port]}" for port in ("8421", "8440"))
    fingerprint = (opened.folder / "pilot" / "root.sha256").read_text("utf-8").strip()
    found = re.search(r"urn:concordat:first-hospital:model:\w+", (opened.folder / "answer.json").read_text("utf-8"))
    assert found is not None
    given = _readme_commands(home, mirror + "/", fingerprint, found.group())
    asked = ["login", "search", "search", "search", "show", "lineage", "trust", "verify"]
    assert [command.split()[1] for command in given] == asked
    here = Terminal(tmp_path, opened.environment, opened.ports)
    _wait_for_the_reinstatement(here, given[0], given[1])
    for command in given:
        done = here.run(command)
        assert done.status == 0, f"{command}\n{done.output}{done.errors}"
