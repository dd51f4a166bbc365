"""From a node's log to somebody else's desk: checkpoint, proof and continuation, verified offline by command."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from concordat_client.cli import main
from concordat_node.ledger.ledger import Ledger
from concordat_node.registry.engine import open_ledger_database
from concordat_trust.bundle.store import archive_bytes
from tests.factories.network import TestNetwork
from tests.node.test_ledger import make_entry
from tests.node.test_node_cli import member, network, run

__all__ = ["member", "network"]  # fixtures: a node that is a member of a network with a mirror


def log(settings: Path, first: int, last: int) -> None:
    with closing(Ledger(open_ledger_database(settings.parent / "data" / "ledger.sqlite"))) as ledger:
        for number in range(first, last):
            ledger.append(make_entry(f"token-{number}"), salt=number.to_bytes(16))


Say = Callable[..., Any]


@pytest.fixture
def say(member: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a log command of the node; return its exit code and what it printed."""

    def saying(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        code = run("log", *arguments, "--settings", member)
        return code, capsys.readouterr().out

    return saying


def test_what_a_node_proves_is_verified_offline(
    member: Path, network: TestNetwork, say: Say, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(archive_bytes(network.files))
    log(member, 0, 5)
    assert say("checkpoint", "--out", tmp_path / "early")[1] == (tmp_path / "early").read_text()
    assert "log_document_unwritable" in say("checkpoint", "--out", tmp_path / "early", "--json")[1]
    log(member, 5, 12)
    (tmp_path / "receipt").write_text(say("prove", "--position", 3)[1])
    (tmp_path / "proof").write_text(say("consistency", "--from", tmp_path / "early")[1])

    def verified(name: str) -> Any:
        capsys.readouterr()
        offline = ["--bundle", str(bundle), "--root-sha256", network.root_sha256, "--json"]
        code = main(["verify-log", str(tmp_path / name), *offline])
        return code, json.loads(capsys.readouterr().out)

    code, told = verified("early")
    assert (code, told["ok"], told["size"], told["organization"]) == (0, True, 5, "north-hospital")
    assert (verified("receipt")[1]["index"], verified("receipt")[1]["size"]) == (3, 12)
    assert verified("proof")[1]["continues"]["size"] == 5
    changed = json.loads((tmp_path / "proof").read_text())
    changed["path"] = changed["path"][1:]
    (tmp_path / "proof").write_text(json.dumps(changed, separators=(",", ":"), sort_keys=True))
    code, told = verified("proof")
    assert (code, told["error"]["code"]) == (6, "consistency_proof_invalid")


def test_an_edited_log_is_found_by_command_and_continues_nothing(member: Path, say: Say, tmp_path: Path) -> None:
    log(member, 0, 6)
    kept = tmp_path / "kept"
    kept.write_text(say("checkpoint")[1])
    assert say("verify", "--checkpoint", kept)[0] == 0
    with closing(sqlite3.connect(member.parent / "data" / "ledger.sqlite")) as connection:
        connection.execute("UPDATE entry SET salt = zeroblob(16) WHERE position = 2")
        connection.commit()
    code, told = say("verify", "--checkpoint", kept, "--json")
    report = json.loads(told)
    assert (code, report["ok"], report["size"], report["checkpoints"]) == (7, False, 6, 1)
    assert [(finding["code"], finding["position"]) for finding in report["findings"]] == [("entry_changed", 2)]


def test_a_log_that_lost_its_end_contradicts_what_was_kept(member: Path, say: Say, tmp_path: Path) -> None:
    log(member, 0, 6)
    kept = tmp_path / "kept"
    kept.write_text(say("prove", "--position", 5)[1])
    with closing(sqlite3.connect(member.parent / "data" / "ledger.sqlite")) as connection:
        connection.execute("DELETE FROM entry WHERE position = 5")
        connection.commit()
    assert say("consistency", "--from", kept)[0] == 7
    report = json.loads(say("verify", "--checkpoint", kept, "--json")[1])
    assert "checkpoint_ahead" in {finding["code"] for finding in report["findings"]}


def test_files_that_are_not_there_or_say_nothing_are_named(member: Path, say: Say, tmp_path: Path) -> None:
    assert "log_document_unreadable" in say("verify", "--checkpoint", tmp_path / "absent", "--json")[1]
    (tmp_path / "empty").write_text("")
    code, told = say("consistency", "--from", tmp_path / "empty", "--json")
    assert (code, json.loads(told)["error"]["code"]) == (6, "checkpoint_malformed")
    assert json.loads(say("prove", "--position", 0, "--json")[1])["error"]["code"] == "log_position_unknown"
    assert main(["verify-log", str(tmp_path / "absent"), "--bundle", "b", "--root-sha256", "ab" * 32]) == 2
