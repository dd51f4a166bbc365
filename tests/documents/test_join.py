"""docs/join.md followed literally in the network of docs/operate.md: a third organization joins, and answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.documents.reader import steps
from tests.documents.terminal import Done, Terminal, document, terminal

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
SAID = {
    "concordat trust invite": "third-institute is invited to A pilot network",
    "concordat node init": "settings.json written",
    "concordat trust apply": "third-institute applies to A pilot network",
    "concordat trust approve": "Signed by keyholder-",
    "concordat trust publish": "",
    "concordat node import": "2 imported, 0 refused",
    "concordat node doctor": "ok   membership: third-institute at http://127.0.0.1:",
    "concordat search": "3 of 3 organizations answered (complete); 2 records match.",
    "concordat trust rotate": "",
    "concordat trust keyholder": "has a key: ",
    "concordat trust replace-keyholder": "- keyholder-three signs root no more",
    "concordat trust suspend": "third-institute is suspended.",
    "concordat trust remove": "- third-institute is removed: Third Institute",
    "concordat trust show": "A pilot network (pilot)",
    "concordat trust init": "network apart: A network founded apart",
    "mkdir": "",
    "sleep": "",
}
"""What each command of join.md says, among other things, by how it begins."""
CHECKS = ("ping", "clock", "digest", "replay", "deny")


@dataclass(frozen=True, slots=True)
class Followed:
    """What every command of join.md said, and the folder in which it was said."""

    done: list[Done]
    folder: Path

    def of(self, beginning: str) -> list[Done]:
        return [done for done in self.done if done.command.startswith(beginning)]


def _started(opened: Terminal, operate: str) -> None:
    """Follow operate.md until somebody has signed in."""
    for step in steps(operate.partition("\n## 8.")[0]):
        done = opened.follow(step)
        assert done is None or done.status == 0, f"{done.command}\n{done.output}{done.errors}"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    operate, join = document("docs/operate.md"), document("docs/join.md")
    with terminal(tmp_path_factory.mktemp("join"), operate + join) as opened:
        person = json.loads(next(step.text for step in steps(operate) if step.path == "provider.json"))["persons"][0]
        opened.let_a_person_sign_in(person["username"], person["password"])
        _started(opened, operate)
        yield Followed([done for step in steps(join) if (done := opened.follow(step)) is not None], opened.folder)


def _expected(command: str) -> str:
    return next(said for beginning, said in SAID.items() if command.startswith(beginning))


def test_every_command_of_join_works_and_says_what_it_should(followed: Followed) -> None:
    for done in followed.done:
        assert done.status == 0, f"{done.command}\n{done.output}{done.errors}"
        assert _expected(done.command) in done.output, f"{done.command}\n{done.output}"
    assert {next(b for b in SAID if done.command.startswith(b)) for done in followed.done} == set(SAID)


def test_the_applicant_tested_its_way_and_the_keyholders_read_of_it(followed: Followed) -> None:
    (applied,) = followed.of("concordat trust apply")
    assert re.findall(r"^ok   (\w+)", applied.output, re.MULTILINE) == list(CHECKS)
    approved = followed.of("concordat trust approve third.application")[0].output
    assert all(f"{name} ok with first-hospital" in approved for name in CHECKS)
    key = re.search(r"by voice: (\S+)", applied.output)
    assert key is not None
    assert f"organization key {key[1]} (compare it by voice)" in approved
    assert "clearance up to controlled" in approved


def test_the_new_organization_is_asked_and_answers_also_with_rotated_keys(followed: Followed) -> None:
    joined, rotated = followed.of("concordat search")
    for asked in (joined, rotated):
        assert "Relapse risk model" in asked.output
        assert "third-institute" in asked.output


def test_what_travelled_holds_no_private_key(followed: Followed) -> None:
    travelled = [path for path in followed.folder.iterdir() if path.is_file()]
    assert len(travelled) > 15
    assert not [path.name for path in travelled if b"PRIVATE" in path.read_bytes() or path.suffix == ".pem"]


def test_the_member_is_gone_in_the_end_and_the_root_is_the_second(followed: Followed) -> None:
    (shown,) = followed.of("concordat trust show")
    assert "third-institute" not in shown.output
    assert "root 2," in shown.output
    transcript = json.loads((followed.folder / "apart" / "transcript.json").read_text("utf-8"))
    assert [k["name"] for k in transcript["keyholders"] if k["signed"]] == ["keyholder-one", "keyholder-three"]
