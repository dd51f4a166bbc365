"""`node log verify` and the proofs: whatever is changed in the log's file is found, and where."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concordat_node.ledger.ledger import Ledger
from concordat_node.ledger.signing import make_receipt
from concordat_node.ledger.verifying import FINDINGS_MAX, PAGE, Kept, LogReport, verify_log
from concordat_node.registry.engine import open_ledger_database
from concordat_trust.checkpoint import Checkpoint, claimed_checkpoint
from concordat_trust.encoding import unb64u
from concordat_trust.ids import OrgId
from concordat_trust.receipt import Receipt
from tests.factories.network import NETWORK_ID, NOW, make_network
from tests.node.test_ledger import make_entry

NORTH, VITALIS = OrgId.parse("north-hospital"), OrgId.parse("vitalis")
ENTRIES = 11
KEY = make_network().keys[NORTH]["attestation"]


def write_log(path: Path, entries: int = ENTRIES) -> list[Receipt]:
    """Write a log; return the receipt that each answer had."""
    receipts = []
    with closing(Ledger(open_ledger_database(path))) as ledger:
        for number in range(entries):
            logged = ledger.append(make_entry(f"token-{number}"), salt=number.to_bytes(16))
            receipts.append(make_receipt(logged, organization=NORTH, network=NETWORK_ID, at=NOW, key=KEY))
    return receipts


def verify(path: Path, *kept: Kept) -> LogReport:
    with closing(Ledger(open_ledger_database(path))) as ledger:
        return verify_log(ledger.database, organization=NORTH, kept=kept)


def kept(receipt: Receipt) -> Kept:
    return Kept(claimed_checkpoint(receipt.checkpoint), receipt.index, unb64u(receipt.leaf))


def edit(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount != 0
        connection.commit()


def found(report: LogReport) -> set[tuple[str, int | None]]:
    return {(finding.code, finding.position) for finding in report.findings}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    write_log(path)
    return path


@pytest.mark.parametrize("entries", [0, 1, 2, 7, 8, PAGE, PAGE + 1])
def test_a_log_that_nobody_touched_holds_with_every_receipt_it_gave(tmp_path: Path, entries: int) -> None:
    receipts = write_log(tmp_path / "ledger.sqlite", entries)
    report = verify(tmp_path / "ledger.sqlite", *map(kept, receipts))
    assert (report.size, report.findings, report.kept) == (entries, (), entries)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE entry SET canonical = CAST(replace(canonical,'GRU','HMB') AS BLOB) WHERE position=4", "entry_changed"),
        ("UPDATE entry SET salt = zeroblob(16) WHERE position = 4", "entry_changed"),
        ("UPDATE entry SET salt = zeroblob(15) WHERE position = 4", "entry_changed"),
        ("UPDATE entry SET leaf = zeroblob(32) WHERE position = 4", "entry_changed"),
        ("UPDATE entry SET canonical = 'a text' WHERE position = 4", "entry_changed"),
        ("UPDATE entry SET at = at + 1 WHERE position = 4", "time_changed"),
        ("UPDATE consumed_token SET token_id = 'token-x' WHERE token_id = 'token-4'", "token_changed"),
        ("DELETE FROM consumed_token WHERE token_id = 'token-4'", "token_changed"),
        ("DELETE FROM entry WHERE position = 4", "entry_missing"),
    ],
)
def test_a_change_of_one_entry_is_found_at_its_place(log: Path, statement: str, expected: str) -> None:
    edit(log, statement)
    assert (expected, 4) in found(verify(log))


def test_a_changed_hash_of_the_tree_is_one_finding_at_its_place(log: Path) -> None:
    edit(log, "UPDATE subtree SET hash = zeroblob(32) WHERE number = 9")  # over the entries 4 and 5
    # The hash above it no longer fits either, because it is compared with what is stored below.
    assert found(verify(log)) == {("subtree_changed", 5), ("subtree_changed", 7)}


def test_a_missing_hash_of_the_tree_is_found_at_its_place(log: Path) -> None:
    edit(log, "DELETE FROM subtree WHERE number = 9")
    assert found(verify(log)) == {("subtree_missing", 5)}


def test_two_entries_that_changed_places_are_found(log: Path) -> None:
    edit(
        log,
        "UPDATE entry SET position = 99 WHERE position = 2",
        "UPDATE entry SET position = 2 WHERE position = 5",
        "UPDATE entry SET position = 5 WHERE position = 99",
    )
    assert {("subtree_changed", 3), ("subtree_changed", 5)} <= found(verify(log))


def test_a_log_that_was_cut_off_at_its_end_is_found_by_its_traces_and_proved_by_a_receipt(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    receipts = write_log(path)
    edit(path, "DELETE FROM entry WHERE position >= 9")
    assert {code for code, _ in found(verify(path))} == {"subtree_unexpected", "token_without_entry"}
    # With the traces removed as well, only what somebody kept can tell.
    edit(
        path,
        "DELETE FROM subtree WHERE number > 16",
        "DELETE FROM consumed_token WHERE token_id IN ('token-9','token-10')",
    )
    assert found(verify(path)) == set()
    assert found(verify(path, kept(receipts[8]))) == set()
    assert found(verify(path, kept(receipts[9]))) == {("checkpoint_ahead", 9)}


def rewritten(tmp_path: Path) -> tuple[Path, list[Receipt]]:
    """Return a whole new log with one other entry, in which every place fits, and the receipts of the true one."""
    receipts = write_log(tmp_path / "true.sqlite")
    path = tmp_path / "forged.sqlite"
    with closing(Ledger(open_ledger_database(path))) as ledger:
        for number in range(ENTRIES):
            entry = make_entry(f"token-{number}", released=0 if number == 4 else 1)
            ledger.append(entry, salt=number.to_bytes(16))
    return path, receipts


def test_a_log_that_was_written_anew_is_found_by_what_somebody_kept(tmp_path: Path) -> None:
    path, receipts = rewritten(tmp_path)
    assert found(verify(path)) == set()
    assert found(verify(path, kept(receipts[3]))) == set()
    assert found(verify(path, kept(receipts[4]))) == {("checkpoint_differs", None), ("receipt_differs", 4)}
    assert found(verify(path, kept(receipts[7]))) == {("checkpoint_differs", None)}


def test_a_checkpoint_of_another_organization_says_nothing_of_this_log(log: Path) -> None:
    other = Kept(Checkpoint(VITALIS, NETWORK_ID, 3, bytes(32), NOW))
    assert found(verify(log, other)) == {("checkpoint_foreign", None)}


@pytest.mark.parametrize(("damaged", "is_cut"), [(FINDINGS_MAX, False), (FINDINGS_MAX + 1, True)])
def test_so_many_findings_are_told(tmp_path: Path, damaged: int, is_cut: bool) -> None:
    path = tmp_path / "ledger.sqlite"
    write_log(path, FINDINGS_MAX + 5)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE entry SET at = 1 WHERE position < ?", (damaged,))
        connection.commit()
    report = verify(path)
    assert (len(report.findings), report.is_cut) == (FINDINGS_MAX, is_cut)
    assert report.to_json()["ok"] is False


def test_an_entry_far_away_costs_nothing(log: Path) -> None:
    edit(log, "UPDATE entry SET position = 4000000000000 WHERE position = 6")
    assert ("entry_missing", 6) in found(verify(log))


# Any one byte, anywhere in any row: how to read a value, and how to write it.
COLUMNS = (
    ("SELECT position, salt FROM entry", "UPDATE entry SET salt = ? WHERE position = ?"),
    ("SELECT position, canonical FROM entry", "UPDATE entry SET canonical = ? WHERE position = ?"),
    ("SELECT position, leaf FROM entry", "UPDATE entry SET leaf = ? WHERE position = ?"),
    ("SELECT number, hash FROM subtree", "UPDATE subtree SET hash = ? WHERE number = ?"),
    ("SELECT rowid, leaf FROM consumed_token", "UPDATE consumed_token SET leaf = ? WHERE rowid = ?"),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.sampled_from(COLUMNS), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 255))
def test_one_changed_byte_of_any_row_is_found(
    log: Path, column: tuple[str, str], row: int, place: int, change: int
) -> None:
    read, write = column
    with closing(sqlite3.connect(log)) as connection, closing(Ledger(open_ledger_database(log))) as ledger:
        connection.execute("PRAGMA synchronous = OFF")
        rows = connection.execute(read).fetchall()
        number, value = rows[row % len(rows)]
        edited = bytearray(value)
        edited[place % len(edited)] ^= change
        for stored, is_found in ((bytes(edited), True), (value, False)):
            connection.execute(write, (stored, number))
            connection.commit()
            assert bool(verify_log(ledger.database, organization=NORTH).findings) is is_found


def test_a_file_that_is_no_longer_a_database_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    write_log(path, 400)
    with closing(Ledger(open_ledger_database(path))) as ledger:
        damage(path)
        assert ("file_damaged", None) in found(verify_log(ledger.database, organization=NORTH))


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(8_192)
        file.write(bytes(200_000))
