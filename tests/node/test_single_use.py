"""A token is answered once by a node: also with several processes on one log, and after a restart.

Two processes with interpreters of their own race for the same tokens on one ledger file; a third comes afterwards.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from concordat_node.ledger.ledger import Ledger
from concordat_node.ledger.outbox import UseOutbox
from concordat_node.ledger.verifying import verify_log
from concordat_node.registry.engine import open_ledger_database
from concordat_trust.ids import OrgId

TOKENS = 60
HOME = OrgId.parse("alma-university")
PROGRAM = """
import sys
from concordat_node.ledger.entry import LogEntry
from concordat_node.ledger.ledger import Ledger, TokenReplayed
from concordat_node.registry.engine import open_ledger_database

def entry(issuer, number):
    return LogEntry(
        at=1_800_000_000, organization="north-hospital", issuer=issuer, token_id=f"token-{number:020d}",
        token_sha256="t" * 43, pseudonym="p", presenter="k" * 43, operation="search", purpose={"code": "GRU"},
        question_hash="q" * 43, part_hash="p" * 43, status="OK", code=None, decision_id="d" * 22,
        policy={"baseline": "x", "overlay": None}, bundle={"root": 1},
    )

path, issuer, salt, count = sys.argv[1], sys.argv[2], sys.argv[3].encode() * 16, int(sys.argv[4])
ledger = Ledger(open_ledger_database(path if not isinstance(path, str) else __import__("pathlib").Path(path)))
print("ready", flush=True)
sys.stdin.readline()
taken = []
for number in range(count):
    try:
        ledger.append(entry(issuer, number), salt=salt)
        taken.append(number)
    except TokenReplayed:
        pass
ledger.close()
print(*taken, flush=True)
"""


def _process(path: Path, *, issuer: str = HOME, salt: str = "a") -> subprocess.Popen[str]:
    """Return a process that has opened the log and waits for a line before it answers."""
    command = [sys.executable, "-c", PROGRAM, str(path), issuer, salt, str(TOKENS)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _run(*processes: subprocess.Popen[str]) -> list[list[int]]:
    """Let all of them answer at once; return which tokens each has answered."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    taken = []
    for process in processes:
        out, _ = process.communicate(timeout=50)
        assert process.returncode == 0
        taken.append([int(number) for number in out.split()])
    return taken


def test_two_processes_and_a_restart_answer_each_token_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    one, other = _run(_process(path, salt="a"), _process(path, salt="b"))
    assert sorted([*one, *other]) == list(range(TOKENS))
    assert _run(_process(path, salt="c")) == [[]]  # after a restart
    ledger = Ledger(open_ledger_database(path))
    report = verify_log(ledger.database, organization=OrgId.parse("north-hospital"), kept=())
    assert (report.size, report.findings) == (TOKENS, ())
    assert len(UseOutbox(ledger.database).due(HOME).uses) == TOKENS
    ledger.close()


def test_a_token_id_is_used_up_for_its_issuer_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    assert _run(_process(path)) == [list(range(TOKENS))]
    assert _run(_process(path, issuer="vitalis", salt="b")) == [list(range(TOKENS))]
    assert _run(_process(path, issuer="vitalis", salt="c")) == [[]]
