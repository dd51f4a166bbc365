"""A network's life by commands, each person in a folder of their own: only what is handed over leaves it."""

from __future__ import annotations

import io
import json
import shutil
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from concordat_client.cli import main
from concordat_trust.bundle.online_signer import OnlineSigner
from concordat_trust.keys import load_private_key
from tests.factories.network import small_statistics
from tests.factories.repository_server import serving

RULES: dict[str, Any] = {"network": "pilot", "name": "A pilot", "threshold": 2}
NAMES = ("one-one", "two-two", "three-three")


class People:
    """Folders of people, and what they hand over (`desk`); every command has the paths of one person."""

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.place, self._capsys = place, capsys
        self.desk, self.repository = place / "desk", place / "public" / "repository"
        self.desk.mkdir()
        (place / "public").mkdir()
        self.root = ""

    def run(self, *argv: str | Path) -> tuple[int, dict[str, Any]]:
        status = main(["trust", *map(str, argv), "--json"])
        return status, json.loads(self._capsys.readouterr().out)

    def done(self, *argv: str | Path) -> dict[str, Any]:
        status, told = self.run(*argv)
        assert status == 0, told
        return told

    def refused(self, *argv: str | Path) -> str:
        status, told = self.run(*argv)
        assert status != 0
        code: str = told["error"]["code"]
        return code

    def key(self, name: str) -> Path:
        return self.place / name / f"{name}.pem"

    def make(self, name: str, *more: str) -> None:
        self.done("keyholder", name, "--out", self.place / name, *more)
        shutil.move(self.place / name / f"{name}.json", self.desk)

    def reading(self) -> tuple[str | Path, ...]:
        return "--bundle", self.repository, "--root-sha256", self.root

    def signing(self, name: str, out: str) -> tuple[str | Path, ...]:
        return (*self.reading(), "--key", self.key(name), "--yes", "--out", self.desk / out)

    def publish(self, *names: str) -> dict[str, Any]:
        files = [self.desk / name for name in names]
        told = self.done("publish", *files, "--repository", self.repository, "--root-sha256", self.root)
        self.refresh()
        return told

    def refresh(self) -> None:
        key = load_private_key(self.key("online"))
        assert OnlineSigner(self.repository, key, clock=lambda: int(time.time())).refresh()

    def found(self) -> dict[str, Any]:
        for name in NAMES:
            self.make(name)
        self.make("online", "--online")
        (self.desk / "rules.json").write_text(json.dumps(RULES))
        (self.desk / "statistics.json").write_bytes(small_statistics())
        parts = [word for name in NAMES for word in ("--keyholder", str(self.desk / f"{name}.json"))]
        self.done(
            "init", *self.founding(), *parts, "--online", self.desk / "online.json", "--out", self.desk / "founding"
        )
        for name in NAMES[:2]:
            self.done(
                "approve",
                self.desk / "founding",
                *self.minutes(),
                "--key",
                self.key(name),
                "--yes",
                "--out",
                self.desk / f"f-{name}",
            )
        told = self.done(
            "publish",
            self.desk / "f-one-one",
            self.desk / "f-two-two",
            *self.minutes(),
            "--repository",
            self.repository,
        )
        self.root = told["root_sha256"]
        self.refresh()
        return told

    def founding(self) -> tuple[str | Path, ...]:
        return "--topology", self.desk / "rules.json", *self.minutes()

    def minutes(self) -> tuple[str | Path, ...]:
        return "--statistics", self.desk / "statistics.json"

    def show(self) -> dict[str, Any]:
        return self.done("show", *self.reading())


@pytest.fixture
def people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> People:
    return People(tmp_path, capsys)


def admitted(people: People, member: str = "first-hospital") -> None:
    """Let an organization without a running network apply: there is nobody to test with."""
    invitation = people.desk / f"{member}.invitation"
    people.done(
        "invite",
        member,
        *people.reading(),
        "--key",
        people.key("one-one"),
        "--mirror",
        "http://127.0.0.1:9/",
        "--out",
        invitation,
    )
    apply_offline(people, member, invitation)
    people.done("approve", people.desk / f"{member}.application", *people.signing("one-one", f"{member}.1"))
    people.done("approve", people.desk / f"{member}.1", *people.signing("three-three", f"{member}.2"))
    people.publish(f"{member}.1", f"{member}.2")


def apply_offline(people: People, member: str, invitation: Path) -> None:
    """Apply over a mirror of the repository that a test serves."""
    with serving(people.repository) as url:
        people.done(
            "apply",
            invitation,
            *("--root-sha256", people.root, "--mirror", url, "--legal-name", member.title(), "--country", "DE"),
            *("--endpoint", f"https://{member}.example", "--type", "public", "--role", "researcher"),
            *("--keys", people.place / member, "--out", people.desk / f"{member}.application"),
        )


def test_keyholders_apart_found_a_network_and_the_minutes_say_how(people: People) -> None:
    told = people.found()
    transcript = json.loads((people.repository.parent / "transcript.json").read_text())
    assert (people.repository.parent / "root.sha256").read_text().strip() == people.root == transcript["root_sha256"]
    assert [k["name"] for k in transcript["keyholders"]] == list(NAMES)
    assert [len(k["signed"]) for k in transcript["keyholders"]] == [3, 3, 0]
    assert {t["threshold"] for t in transcript["thresholds"]} == {2, 1}
    assert {f["file"] for f in transcript["files"]} == {
        path.relative_to(people.repository).as_posix() for path in people.repository.rglob("*") if path.is_file()
    } - {"timestamp.json", "1.snapshot.json"}
    assert told["transcript"] == transcript
    assert people.show()["members"] == []


def test_no_private_key_leaves_its_owners_folder(people: People) -> None:
    people.found()
    admitted(people)
    for path in [*people.desk.rglob("*"), *(people.place / "public").rglob("*")]:
        assert not path.is_file() or b"PRIVATE" not in path.read_bytes()
        assert path.suffix != ".pem"
    secrets = list(people.place.rglob("*.pem"))
    assert {path.parent.name for path in secrets} == {*NAMES, "online", "first-hospital"}
    seeds = {path.read_bytes().splitlines()[1] for path in secrets}
    handed = b"".join(path.read_bytes() for path in people.desk.rglob("*") if path.is_file())
    assert not any(seed in handed for seed in seeds)
    for path in secrets:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_an_organization_joins_rotates_loses_its_key_and_is_removed(people: People) -> None:
    people.found()
    admitted(people)
    members = people.show()["members"]
    assert [(m["id"], m["may_assert"]["roles"]) for m in members] == [("first-hospital", ["researcher"])]
    own = people.place / "first-hospital"
    rotate = ("rotate", "first-hospital", *people.reading(), "--keys", own)
    assert people.refused(*rotate, "--switch") == "key_file_missing"
    made = people.done(*rotate, "--out", people.desk / "rotation")
    assert people.refused(*rotate, "--switch") == "change_refused"
    people.publish("rotation")
    before = load_private_key(own / "request.pem").key_id
    people.done(*rotate, "--switch")
    assert load_private_key(own / "request.pem").key_id == made["new_keys"]["request"] != before
    assert before in people.done(*rotate, "--retire", "--out", people.desk / "retired")["retired"]
    people.publish("retired")
    lost = own / "entity2.pem"
    people.done(*rotate, "--lost-organization-key", "--organization-key", lost, "--out", people.desk / "new-key")
    people.done("approve", people.desk / "new-key", *people.signing("one-one", "k1"))
    people.done("approve", people.desk / "k1", *people.signing("two-two", "k2"))
    people.publish("k1", "k2")
    assert people.refused(*rotate, "--renew", "--out", people.desk / "old") == "change_refused"
    people.done(*rotate, "--renew", "--organization-key", lost, "--out", people.desk / "renewed")
    people.publish("renewed")
    people.done("remove", "first-hospital", *people.signing("two-two", "r1"))
    people.done("approve", people.desk / "r1", *people.signing("three-three", "r2"))
    assert any("is removed" in line for line in people.publish("r1", "r2")["difference"])
    assert people.show()["members"] == []


def test_a_coordinator_joins_like_an_organization_with_the_keys_of_its_kind(people: People) -> None:
    people.found()
    invitation = people.desk / "relay.invitation"
    inviting = ("--key", people.key("one-one"), "--mirror", "http://127.0.0.1:9/", "--kind", "coordinator")
    people.done("invite", "relay-one", *people.reading(), *inviting, "--out", invitation)
    apply_offline(people, "relay-one", invitation)
    people.done("approve", people.desk / "relay-one.application", *people.signing("one-one", "c1"))
    people.done("approve", people.desk / "c1", *people.signing("two-two", "c2"))
    people.publish("c1", "c2")
    assert [(m["id"], m["kind"]) for m in people.show()["members"]] == [("relay-one", "coordinator")]
    assert sorted(path.name for path in (people.place / "relay-one").iterdir()) == [
        "delivery.pem", "entity.pem", "request.pem",
    ]  # fmt: skip


def test_an_application_without_a_self_test_is_approved_only_by_who_says_so(people: People) -> None:
    people.found()
    admitted(people)
    invitation = people.desk / "second.invitation"
    inviting = ("--key", people.key("one-one"), "--mirror", "http://127.0.0.1:9/", "--out", invitation)
    people.done("invite", "second-clinic", *people.reading(), *inviting)
    out = people.desk / "second.application"
    with serving(people.repository) as url:

        def applying(root: str) -> tuple[str | Path, ...]:
            return (
                *("apply", invitation, "--root-sha256", root, "--mirror", url, "--legal-name", "Second"),
                *("--country", "DE", "--endpoint", "https://second.example", "--type", "public"),
                *("--keys", people.place / "second-clinic", "--out", out),
            )

        # The one member does not answer: there is no node behind its endpoint.
        assert people.refused(*applying(people.root)) == "self_test_failed"
        assert people.refused(*applying("0" * 64)) == "bundle_bootstrap_mismatch"
        assert not out.exists()
        assert people.done(*applying(people.root), "--without-self-test")["self_test"] == []
    approving = ("approve", people.desk / "second.application", *people.signing("one-one", "s1"))
    assert people.refused(*approving) == "self_test_failed"
    told = people.done(*approving, "--without-self-test")
    assert any("NONE WAS MADE" in line for line in told["difference"])


def test_a_keyholder_is_replaced_with_the_signatures_of_old_and_new(people: People) -> None:
    people.found()
    people.make("four-four")
    by = ("--by", people.desk / "four-four.json")
    assert people.refused("replace-keyholder", "nobody", *by, *people.signing("one-one", "no")) == "change_refused"
    people.done("replace-keyholder", "three-three", *by, *people.signing("one-one", "h1"))
    people.done("approve", people.desk / "h1", *people.signing("four-four", "h4"))
    publish = ("publish", people.desk / "h1", people.desk / "h4", "--repository", people.repository)
    assert people.refused(*publish, "--root-sha256", people.root) == "approvals_too_few"
    people.done("approve", people.desk / "h1", *people.signing("two-two", "h2"))
    people.publish("h1", "h2", "h4")
    assert people.show()["view"]["root"] == 2
    assert people.refused("renew", *people.signing("three-three", "n")) == "approver_unknown"
    people.done("renew", *people.signing("four-four", "n1"))
    people.done("approve", people.desk / "n1", *people.signing("two-two", "n2"))
    people.publish("n1", "n2")
    assert people.show()["view"]["root"] == 3


def test_nothing_is_signed_without_a_yes(
    people: People, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    people.found()
    signing = [word for word in people.signing("one-one", "x") if word != "--yes"]
    for answer in ("", "no\n", "y\n", "YES\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert main(["trust", "renew", *map(str, signing)]) == 1
        printed = capsys.readouterr().err
        assert "not_confirmed" in printed
        assert printed.index("Everything else stays") < printed.index("Sign this?")
    assert not (people.desk / "x").exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert main(["trust", "renew", *map(str, signing)]) == 0
    assert (people.desk / "x").exists()


def test_what_is_handed_over_is_never_written_over_something(people: People) -> None:
    people.found()
    (people.desk / "there").write_text("mine")
    assert people.refused("renew", *people.signing("one-one", "there")) == "hand_over_unusable"
    assert people.refused("renew", *people.signing("one-one", "no/where")) == "hand_over_unusable"
    assert people.refused("keyholder", "one-one", "--out", people.place / "one-one") == "key_file_exists"
    assert (people.desk / "there").read_text() == "mine"
    files = ("publish", people.desk / "f-one-one", people.desk / "f-two-two", "--repository", people.repository)
    assert people.refused(*files, *people.minutes()) == "repository_taken"


def test_what_is_no_document_of_ours_is_said_to_be_none(people: People) -> None:
    people.found()
    for name, text in (("empty", ""), ("list", "[]"), ("other", '{"a":1}'), ("binary", "\x00")):
        (people.desk / name).write_text(text)
        assert people.refused("approve", people.desk / name, *people.signing("one-one", "x")) == "hand_over_unusable"
        assert people.refused("publish", people.desk / name, "--repository", people.repository) == "hand_over_unusable"
    assert people.refused("approve", people.desk / "absent", *people.signing("one-one", "x")) == "hand_over_unusable"


def test_a_founding_apart_needs_every_public_part(people: People) -> None:
    people.make("one-one")
    (people.desk / "rules.json").write_text(json.dumps(RULES))
    parts = ("--keyholder", people.desk / "one-one.json", "--out", people.desk / "founding")
    assert people.refused("init", "--topology", people.desk / "rules.json", *parts) == "founding_incomplete"


@pytest.mark.parametrize("change", [{"threshold": 1}, {"network": "X"}, {"treshold": 2}, {"organizations": []}])
def test_wrong_rules_found_nothing(people: People, change: dict[str, Any]) -> None:
    people.make("one-one")
    people.make("two-two")
    people.make("online", "--online")
    (people.desk / "rules.json").write_text(json.dumps(RULES | change))
    parts = [word for name in NAMES[:2] for word in ("--keyholder", str(people.desk / f"{name}.json"))]
    arguments: tuple[str | Path, ...] = (
        *parts,
        "--online",
        people.desk / "online.json",
        "--out",
        people.desk / "founding",
    )
    assert people.refused("init", "--topology", people.desk / "rules.json", *arguments) == "topology_invalid"


def test_an_encrypted_key_is_opened_by_a_private_file(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["a long enough passphrase", "a long enough passphrase"])
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(typed))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    people.make("one-one", "--encrypt")
    assert b"ENCRYPTED" in people.key("one-one").read_bytes()
    for name in (*NAMES[1:],):
        people.make(name)
    people.make("online", "--online")
    (people.desk / "rules.json").write_text(json.dumps(RULES))
    (people.desk / "statistics.json").write_bytes(small_statistics())
    parts = [word for name in NAMES for word in ("--keyholder", str(people.desk / f"{name}.json"))]
    people.done(
        "init", *people.founding(), *parts, "--online", people.desk / "online.json", "--out", people.desk / "founding"
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    approve: tuple[str | Path, ...] = (
        "approve",
        people.desk / "founding",
        *people.minutes(),
        "--key",
        people.key("one-one"),
        "--yes",
        "--out",
        people.desk / "f",
    )
    assert people.refused(*approve) == "key_passphrase_missing"
    secret = people.place / "passphrase"
    secret.write_text("a long enough passphrase\n")
    secret.chmod(0o600)
    monkeypatch.setenv("CONCORDAT_KEY_PASSPHRASE_FILE", str(secret))
    assert people.done(*approve)["keyholder"] == "one-one"


def test_no_command_takes_a_passphrase_as_an_argument() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "commands.md").read_text()
    assert "--encrypt" in text
    assert "--passphrase" not in text
