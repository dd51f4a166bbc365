"""The database under the registry: one writer, readers that cannot write, a whole history, failures with names."""

from __future__ import annotations

import re
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, create_mock_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.schema import CreateTable

from concordat_node.registry.engine import BUSY_TIMEOUT_MS, Database, open_database, open_ledger_database
from concordat_node.registry.entries import Entry, read_entries
from concordat_node.registry.errors import SchemaNewer, StorageBusy, StorageFailed
from concordat_node.registry.migrate import REGISTRY_MIGRATIONS, upgrade
from concordat_node.registry.records import VersionRecord
from concordat_node.registry.store import read_assets
from concordat_node.registry.tables import METADATA
from concordat_node.search import tables as search_tables
from tests.factories.registry import asset_id

SCHEMA = text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "registry.db")
    yield opened
    opened.close()


def pragma(database: Database, name: str) -> object:
    with database.writing() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_the_file_belongs_to_its_owner_alone(tmp_path: Path, database: Database) -> None:
    upgrade(database)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes
    assert set(modes.values()) == {0o600}


def test_the_registry_is_quick_and_the_ledger_is_durable(tmp_path: Path, database: Database) -> None:
    ledger = open_ledger_database(tmp_path / "ledger.db")
    assert (pragma(database, "journal_mode"), pragma(database, "synchronous")) == ("wal", 1)
    assert (pragma(ledger, "journal_mode"), pragma(ledger, "synchronous")) == ("wal", 2)
    assert (pragma(database, "foreign_keys"), pragma(database, "busy_timeout")) == (1, BUSY_TIMEOUT_MS)
    ledger.close()


def test_a_reader_cannot_write(database: Database) -> None:
    upgrade(database)
    with pytest.raises(StorageFailed, match="readonly"), database.reading() as connection:
        connection.execute(text("DELETE FROM asset"))


def test_a_reader_sees_one_snapshot_while_the_writer_commits(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    count = text("SELECT count(*) FROM t")
    with database.reading() as reader:
        assert reader.execute(count).scalar_one() == 0
        with database.writing() as writer:
            writer.execute(text("INSERT INTO t VALUES (1)"))
        assert reader.execute(count).scalar_one() == 0
    with database.reading() as reader:
        assert reader.execute(count).scalar_one() == 1


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    upgrade(database)

    def write_and_break() -> None:
        with database.writing() as connection:
            connection.execute(text("INSERT INTO index_manifest VALUES (1, 'x', 1)"))
            connection.execute(text("INSERT INTO registry_state VALUES (2, 1)"))

    with pytest.raises(IntegrityError):
        write_and_break()
    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM index_manifest")).scalar_one() == 0


def test_a_failed_statement_does_not_quote_its_values(database: Database) -> None:
    upgrade(database)
    insert = text("INSERT INTO registry_state VALUES (:id, :revision)")
    with database.writing() as connection:
        connection.execute(insert, {"id": 1, "revision": 4_711})
        with pytest.raises(IntegrityError) as failed:
            connection.execute(insert, {"id": 1, "revision": 4_711})
    assert "4711" not in str(failed.value)


def test_a_write_transaction_takes_its_lock_at_the_beginning(database: Database, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "registry.db", timeout=0, isolation_level=None)
    with database.writing(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.close()


def test_a_lock_of_another_process_is_named(tmp_path: Path) -> None:
    database = open_database(tmp_path / "registry.db", busy_timeout_ms=50)
    other = sqlite3.connect(tmp_path / "registry.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageBusy), database.writing():
        pass
    other.close()
    database.close()


def test_writers_wait_for_each_other(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))

    def add() -> None:
        for _ in range(20):
            with database.writing() as connection:
                found = connection.execute(text("SELECT count(*) FROM t")).scalar_one()
                connection.execute(text("INSERT INTO t VALUES (:x)"), {"x": found})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as connection:
        assert connection.execute(text("SELECT x FROM t ORDER BY x")).scalars().all() == list(range(80))


@pytest.mark.parametrize("content", [b"this is no database at all" * 100])
def test_a_file_that_is_no_database_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "registry.db").write_bytes(content)
    with pytest.raises(StorageFailed, match="notadb"):
        open_database(tmp_path / "registry.db")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="ENOENT"):
        open_database(tmp_path / "absent" / "registry.db")


def test_a_file_name_with_special_characters_is_a_file_name(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory#1 %41.db"
    database = open_database(path)
    upgrade(database)
    database.close()
    assert path.stat().st_size > 0


def test_the_migrations_make_exactly_the_tables_of_this_program(database: Database) -> None:
    upgrade(database)
    fresh = create_engine("sqlite://")
    METADATA.create_all(fresh)
    with fresh.connect() as wanted, database.reading() as found:
        assert schema(found.execute(SCHEMA).all()) == schema(wanted.execute(SCHEMA).all())
    fresh.dispose()


def schema(rows: object) -> dict[str, list[str]]:
    assert isinstance(rows, list)
    return {name: schema_parts(sql) for name, sql in rows}


def schema_parts(sql: str) -> list[str]:
    """Return the columns and constraints of one CREATE TABLE; a column added later stands behind the constraints."""
    head, _, rest = sql.partition("(")
    body, _, tail = rest.rpartition(")")
    parts = re.split(r",(?![^(]*\))", body)
    return [head.strip(), *sorted(" ".join(part.split()) for part in parts), tail.strip()]


def test_the_one_version_label_of_an_old_record_becomes_its_first_version(database: Database) -> None:
    with database.writing() as connection:
        config = Config()
        config.set_main_option("script_location", str(REGISTRY_MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text(OLD_CLASS))
        for name, version in (("a", "2.1"), ("b", "")):
            connection.execute(text(OLD_ASSET), {"id": str(asset_id(name)), "version": version})
        connection.execute(text(OLD_EVALUATION), {"id": str(asset_id("a"))})
    upgrade(database)
    with database.reading() as connection:
        found = {record.id: record for record in read_assets(connection, [str(asset_id("a")), str(asset_id("b"))])}
        entries = read_entries(connection, "asset", [str(asset_id("a")), str(asset_id("b")), str(asset_id("c"))])
    assert found[asset_id("a")].versions == (VersionRecord("2.1", "2026-05-04"),)
    assert found[asset_id("a")].current_version == "2.1"
    assert [item.version for item in found[asset_id("a")].evaluations] == [""]
    assert found[asset_id("b")].versions == ()
    assert entries == dict.fromkeys((str(asset_id("a")), str(asset_id("b"))), Entry(1, is_deleted=False))


OLD_CLASS = (
    "INSERT INTO policy_class VALUES ('c', 1, 'dataset', 0, 'DUO:0000004', '', 'none', 0, 0, '0001-01-01', 'active')"
)
OLD_ASSET = (
    "INSERT INTO asset VALUES (:id, 'c', 'title', '', '', '', '', '', '', '', '2026-05-04', :version, NULL, '', 0)"
)
OLD_EVALUATION = (
    "INSERT INTO evaluation (asset_id, position, metric, value, split, dataset) "
    "VALUES (:id, 0, 'auroc', '0.9', 'test', '')"
)


def test_an_upgrade_of_a_current_database_changes_nothing(database: Database) -> None:
    upgrade(database)
    with database.writing() as connection:
        connection.execute(text("INSERT INTO registry_state VALUES (1, 7)"))
    upgrade(database)
    with database.reading() as connection:
        assert connection.execute(text("SELECT revision FROM registry_state")).scalar_one() == 7


def test_a_newer_schema_is_refused(database: Database) -> None:
    upgrade(database)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaNewer) as caught:
        upgrade(database)
    assert caught.value.fields == {"found": "9999"}


def test_a_migration_that_fails_leaves_the_schema_it_found(database: Database, tmp_path: Path) -> None:
    with database.writing() as connection:
        # In the way of the last table, so that everything before it was already made.
        connection.execute(text("CREATE TABLE search_edge (x INTEGER)"))
    with pytest.raises((OperationalError, StorageFailed)):
        upgrade(database)
    with database.reading() as connection:
        assert connection.execute(text("SELECT name FROM sqlite_master")).scalars().all() == ["search_edge"]


def test_every_table_can_be_made_in_postgresql() -> None:
    dialect = create_mock_engine("postgresql://", lambda *_: None).dialect
    assert search_tables.SEARCH_ROW in METADATA.sorted_tables
    for table in METADATA.sorted_tables:
        assert "WITHOUT" not in str(CreateTable(table).compile(dialect=dialect))
