"""The disclosure log: durable, single use, and nothing half-written."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from concordat_node.ledger.entry import LogEntry, ReleasedItem, leaf_hash
from concordat_node.ledger.ledger import Ledger, LogTooNew, LogUnavailable, TokenReplayed
from concordat_node.registry.engine import open_ledger_database
from concordat_trust.encoding import b64u
from tests.factories.network import NOW

SALT = bytes(range(16))


def make_entry(jti: str = "token-1", *, issuer: str = "alma-university", released: int = 1) -> LogEntry:
    item = ReleasedItem("urn:concordat:north-hospital:model:" + "a" * 26, "FULL", ("title",), False, "c" * 43)
    return LogEntry(
        at=NOW,
        organization="north-hospital",
        issuer=issuer,
        token_id=jti,
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
    leaf = open_ledger(tmp_path / "ledger.sqlite").append(entry, salt=SALT)
    inner = hashlib.sha256(SALT + entry.canonical()).digest()
    assert leaf == b64u(hashlib.sha256(b"\x00" + inner).digest())
    assert leaf == b64u(leaf_hash(entry.canonical(), SALT))


def test_a_salt_of_another_length_is_a_bug() -> None:
    with pytest.raises(RuntimeError):
        leaf_hash(b"{}", b"short")


def test_an_entry_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    leaf = ledger.append(make_entry(), salt=SALT)
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
    connection.execute("UPDATE ledger_schema SET version = 2")
    connection.commit()
    connection.close()
    with pytest.raises(LogTooNew):
        open_ledger(path)


def test_the_log_is_written_through_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = open_ledger(path)
    with ledger._database.writer.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
