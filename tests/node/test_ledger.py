"""The disclosure log: durable, single use, and nothing half-written."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.event import listen

from concordat_node.ledger.entry import LogEntry, ReleasedItem, leaf_hash
from concordat_node.ledger.ledger import Ledger, Logged, LogPositionUnknown, LogUnavailable, TokenReplayed
from concordat_node.ledger.tables import LogDamaged, LogTooNew
from concordat_node.registry.engine import open_ledger_database
from concordat_trust.encoding import b64u
from concordat_trust.log_proof import verify_consistency, verify_inclusion
from tests.factories.merkle import naive_root
from tests.factories.network import NOW

SALT = bytes(range(16))


def make_entry(jti: str = "token-1", *, issuer: str = "alma-university", released: int = 1) -> LogEntry:
    item = ReleasedItem("urn:concordat:north-hospital:model:" + "a" * 26, "FULL", ("title",), False, "c" * 43)
    return LogEntry(
        at=NOW,
        organization="north-hospital",
        issuer=issuer,
        token_id=jti,
        token_sha256="t" * 43,
        pseudonym="p-4711",
        presenter="k" * 43,
        operation="search",
        purpose={"code": "GRU"},
        question_hash="q" * 43,
        part_hash="p" * 43,
        status="OK",
        code=None,
        decision_id="d" * 22,
        policy={"baseline": "cd" * 32, "overlay": None},
        bundle={"root": 1},
        total=released,
        released=(item,) * released,
    )


def open_ledger(path: Path) -> Ledger:
    return Ledger(open_ledger_database(path))


def test_the_leaf_is_the_salted_hash_of_the_canonical_entry(tmp_path: Path) -> None:
    entry = make_entry()
    leaf = b64u(open_ledger(tmp_path / "ledger.sqlite").append(entry, salt=SALT).leaf)
    inner = hashlib.sha256(SALT + entry.canonical()).digest()
    assert leaf == b64u(hashlib.sha256(b"\x00" + inner).digest())
    assert leaf == b64u(leaf_hash(entry.canonical(), SALT))


def test_a_salt_of_another_length_is_a_bug() -> None:
    with pytest.raises(RuntimeError):
        leaf_hash(b"{}", b"short")


def test_an_entry_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    leaf = b64u(ledger.append(make_entry(), salt=SALT).leaf)
    (stored,) = ledger.entries()
    assert stored.entry == make_entry().to_json()
    assert (stored.salt, stored.leaf) == (b64u(SALT), leaf)
    assert ledger.entries(after=stored.position) == ()


def test_a_token_is_consumed_once_also_across_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    first = open_ledger(path)
    first.append(make_entry(), salt=SALT)
    with pytest.raises(TokenReplayed):
        first.append(replace(make_entry(), at=NOW + 1), salt=bytes(16))
    first.close()
    again = open_ledger(path)
    with pytest.raises(TokenReplayed):
        again.append(replace(make_entry(), at=NOW + 2), salt=bytes(16))
    assert again.count() == 1


def test_a_replayed_token_leaves_no_entry_behind(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    ledger.append(make_entry(), salt=SALT)
    with pytest.raises(TokenReplayed):
        ledger.append(replace(make_entry(), total=99), salt=bytes(16))
    assert [stored.entry["total"] for stored in ledger.entries()] == [1]


def test_the_same_token_id_of_another_issuer_is_another_token(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    ledger.append(make_entry(), salt=SALT)
    ledger.append(make_entry(issuer="vitalis"), salt=bytes(16))
    assert ledger.count() == 2


def test_of_many_presentations_at_once_exactly_one_is_logged(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")

    def present(number: int) -> bool:
        try:
            ledger.append(replace(make_entry(), at=NOW + number), salt=number.to_bytes(16))
        except TokenReplayed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(present, range(16))) == 1
    assert ledger.count() == 1


def test_a_full_disk_is_log_unavailable_and_ends_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = open_ledger(path)
    ledger.append(make_entry("before"), salt=SALT)
    _pages_max(ledger, 1)
    with pytest.raises(LogUnavailable) as caught:
        ledger.append(make_entry("meanwhile", released=2_000), salt=bytes(16))
    assert caught.value.fields["reason"] == "storage_full"
    _pages_max(ledger, 100_000)
    # Nothing of it was stored, so the same token can be used when there is room again.
    ledger.append(make_entry("meanwhile"), salt=bytes(16))
    assert ledger.count() == 2


def _pages_max(ledger: Ledger, pages: int) -> None:
    with ledger._database.writer.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        connection.rollback()


def test_a_log_whose_file_is_gone_is_log_unavailable(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    ledger.close()
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(LogUnavailable):
        ledger.append(make_entry(), salt=SALT)


def test_a_log_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    open_ledger(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE ledger_schema SET version = 3")
    connection.commit()
    connection.close()
    with pytest.raises(LogTooNew):
        open_ledger(path)


def make_version_1(path: Path, entries: int) -> None:
    """Write a log as version 1 did: positions from 1, and no tree."""
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE ledger_schema (version INTEGER NOT NULL);"
        "INSERT INTO ledger_schema VALUES (1);"
        "CREATE TABLE entry (position INTEGER NOT NULL, at INTEGER NOT NULL, salt BLOB NOT NULL, "
        "canonical BLOB NOT NULL, leaf BLOB NOT NULL, PRIMARY KEY (position), UNIQUE (leaf));"
        "CREATE TABLE consumed_token (issuer VARCHAR(40) NOT NULL, token_id VARCHAR(120) NOT NULL, "
        "leaf BLOB NOT NULL, UNIQUE (issuer, token_id));"
    )
    for number in range(entries):
        entry, salt = make_entry(f"token-{number}"), number.to_bytes(16)
        leaf = leaf_hash(entry.canonical(), salt)
        connection.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", (number + 1, NOW, salt, entry.canonical(), leaf))
        row = ("alma-university", f"token-{number}", leaf)
        connection.execute("INSERT INTO consumed_token VALUES (?, ?, ?)", row)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("entries", [0, 1, 6, 1_001])
def test_a_log_of_version_1_gets_the_tree_that_version_2_would_have_grown(tmp_path: Path, entries: int) -> None:
    make_version_1(tmp_path / "old.sqlite", entries)
    old = open_ledger(tmp_path / "old.sqlite")
    leaves = [leaf_hash(make_entry(f"token-{n}").canonical(), n.to_bytes(16)) for n in range(entries)]
    assert old.state() == (entries, naive_root(leaves))
    assert [stored.position for stored in old.entries(limit=3)] == list(range(min(3, entries)))
    if entries:
        with pytest.raises(TokenReplayed):
            old.append(make_entry("token-0"), salt=SALT)
    logged = old.append(make_entry("new"), salt=SALT)
    assert (logged.index, logged.root) == (entries, naive_root([*leaves, logged.leaf]))
    old.close()
    assert open_ledger(tmp_path / "old.sqlite").count() == entries + 1


@pytest.mark.parametrize(
    ("damage", "position"),
    [
        ("DELETE FROM entry WHERE position = 3", 3),
        ("DELETE FROM entry WHERE position = 1", 1),
        ("UPDATE entry SET salt = 'a text' WHERE position = 2", 2),
        ("UPDATE entry SET canonical = CAST(replace(canonical, 'GRU', 'HMB') AS BLOB) WHERE position = 5", 5),
    ],
)
def test_a_damaged_log_of_version_1_is_refused_and_left_as_it_is(tmp_path: Path, damage: str, position: int) -> None:
    path = tmp_path / "old.sqlite"
    make_version_1(path, 6)
    connection = sqlite3.connect(path)
    connection.execute(damage)
    connection.commit()
    with pytest.raises(LogDamaged) as caught:
        open_ledger(path)
    assert caught.value.fields["position"] == position
    assert connection.execute("SELECT version FROM ledger_schema").fetchone() == (1,)


def test_each_append_gives_the_place_of_its_entry_in_the_tree_of_that_moment(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    leaves: list[bytes] = []
    for number in range(20):
        logged = ledger.append(make_entry(f"token-{number}"), salt=number.to_bytes(16))
        leaves.append(logged.leaf)
        assert (logged.index, logged.size, logged.root) == (number, number + 1, naive_root(leaves))
        verify_inclusion(logged.leaf, index=number, size=number + 1, path=logged.path, root=logged.root)
    for position in range(20):
        placed = ledger.prove(position)
        assert placed.leaf == leaves[position]
        verify_inclusion(placed.leaf, index=position, size=20, path=placed.path, root=naive_root(leaves))
    for old in range(21):
        proof = ledger.continued(old)
        assert (proof.old_root, proof.root) == (naive_root(leaves[:old]), naive_root(leaves))
        verify_consistency(old_size=old, old_root=proof.old_root, size=20, root=proof.root, path=proof.path)


def test_entries_logged_at_once_have_different_places_and_valid_proofs(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")

    def log(number: int) -> Logged:
        return ledger.append(make_entry(f"token-{number}"), salt=number.to_bytes(16))

    with ThreadPoolExecutor(8) as pool:
        logged = list(pool.map(log, range(40)))
    assert sorted(one.index for one in logged) == list(range(40))
    for one in logged:
        verify_inclusion(one.leaf, index=one.index, size=one.size, path=one.path, root=one.root)
        proof = ledger.continued(one.size)
        assert proof.old_root == one.root


def test_an_append_reads_at_most_one_hash_per_level(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    read: list[int] = []
    listen(
        ledger._database.writer, "before_cursor_execute", lambda _c, _u, sql, given, *_: read.append(_read(sql, given))
    )
    for number in range(64):
        read.clear()
        ledger.append(make_entry(f"token-{number}"), salt=number.to_bytes(16))
        assert sum(read) == number.bit_count()


def _read(statement: str, given: Sequence[object]) -> int:
    return len(given) if statement.startswith("SELECT") and " IN " in statement else 0


def test_nothing_is_logged_on_a_tree_that_lacks_a_hash(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    for number in range(6):
        ledger.append(make_entry(f"token-{number}"), salt=number.to_bytes(16))
    with ledger._database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM subtree WHERE number = 3")
    with pytest.raises(LogUnavailable) as caught:
        ledger.append(make_entry("late"), salt=SALT)
    assert caught.value.fields["reason"] == "tree_damaged"


@pytest.mark.parametrize("position", [-1, 2])
def test_what_is_not_in_the_log_cannot_be_proved(tmp_path: Path, position: int) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    for number in range(2):
        ledger.append(make_entry(f"token-{number}"), salt=number.to_bytes(16))
    with pytest.raises(LogPositionUnknown):
        ledger.prove(position)
    with pytest.raises(LogPositionUnknown):
        ledger.continued(position if position < 0 else 3)


def test_the_log_is_written_through_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = open_ledger(path)
    with ledger._database.writer.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
