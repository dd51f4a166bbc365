"""Importing a file: good lines are stored, bad ones reported, and nothing is lost in between."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from concordat_node.registry import ndjson_import
from concordat_node.registry.engine import Database
from concordat_node.registry.errors import ImportUnreadable, StorageFull
from concordat_node.registry.ndjson_import import ImportReport, bounded_lines, run_import
from concordat_node.registry.rules import LINE_BYTES_MAX
from concordat_node.registry.store import RegistryStore
from concordat_node.search.index import ClassView, IndexQuery, IndexResult
from concordat_node.search.posting_index import SqlPostingIndex
from concordat_trust.ranking import query_terms
from concordat_trust.vocabulary import Level
from tests.factories.registry import (
    NOW,
    OWNER,
    STATISTICS,
    Databases,
    agreement_fields,
    approval_fields,
    asset_fields,
    asset_id,
    import_fields,
    make_agreement,
    make_approval,
    make_statistics,
    ndjson_line,
    policy_fields,
)


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    held = Databases(tmp_path_factory.mktemp("import"))
    yield held
    held.close()


@pytest.fixture
def database(databases: Databases) -> Database:
    return databases.emptied("import")


def write(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"\n".join(lines))
    return path


def run(path: Path, database: Database) -> ImportReport:
    return run_import(path, database, owner=OWNER, statistics=STATISTICS, clock=lambda: NOW)


def search(database: Database, words: str = "") -> IndexResult:
    view = {key: ClassView(key, Level.FULL) for key in RegistryStore(database).classes()}
    query = IndexQuery(terms=query_terms(words, STATISTICS))
    return SqlPostingIndex(database).search(query, view, STATISTICS)


def test_good_lines_are_stored_and_bad_ones_reported_by_line_code_and_field(tmp_path: Path, database: Database) -> None:
    lines = [
        ndjson_line(asset_fields()),
        b"{not json",
        b"",
        ndjson_line(asset_fields(local_name="arm-b", cohort_size=-3)),
        ndjson_line(agreement_fields()),
        ndjson_line(asset_fields(local_name="arm-c", policy=policy_fields(permission="HMB"))),
        ndjson_line(approval_fields()) + b"\r",
    ]
    report = run(write(tmp_path / "in.ndjson", *lines), database)
    assert [(line.line, line.ok, line.id or line.code, line.field) for line in report.lines] == [
        (1, True, str(asset_id("arm-a")), None),
        (2, False, "json_malformed", None),
        (4, False, "document_malformed", "cohort_size"),
        (5, True, "dua-trial-2026", None),
        (6, False, "duo_code_unknown", "policy.permission"),
        (7, True, "irb-2026-17", None),
    ]
    assert (report.imported, report.refused) == (3, 3)
    store = RegistryStore(database)
    assert list(store.assets([asset_id("arm-a"), asset_id("arm-b")])) == [asset_id("arm-a")]
    assert store.agreements() == {"dua-trial-2026": make_agreement()}
    assert store.approvals() == {"irb-2026-17": make_approval()}


def test_a_report_is_json_and_repeats_nothing_of_a_bad_line(tmp_path: Path, database: Database) -> None:
    secret = "patient-name-4711"
    lines = [ndjson_line(asset_fields(policy=policy_fields(permission=secret))), ndjson_line({secret: 1})]
    lines.append(ndjson_line(asset_fields(local_name="b", created=secret)))
    report = json.dumps(run(write(tmp_path / "in.ndjson", *lines), database).to_json())
    assert secret not in report
    assert json.loads(report)["refused"] == 3


def test_a_registered_asset_can_be_found_at_once(database: Database) -> None:
    import_fields(database, [asset_fields(), asset_fields("model", "risk-model", title="Risk of stroke")])
    assert [hit.id for hit in search(database, "stroke").hits] == [asset_id("risk-model", "model")]


def test_importing_again_replaces_the_asset_and_its_class(database: Database) -> None:
    import_fields(database, [asset_fields(title="Renal study", description="")])
    before = set(RegistryStore(database).classes())
    closed = policy_fields(sensitivity=3)
    import_fields(database, [asset_fields(title="Cardiac study", description="", keywords=[], policy=closed)])
    assert search(database, "renal").total == 0
    assert search(database, "cardiac").total == 1
    after = RegistryStore(database).classes()
    assert len(after) == 1
    assert before.isdisjoint(after)


def test_of_two_lines_with_one_id_the_last_one_holds(database: Database) -> None:
    report = import_fields(database, [asset_fields(title="First"), asset_fields(title="Second")])
    assert report.imported == 2
    assert RegistryStore(database).assets([asset_id("arm-a")])[asset_id("arm-a")].title == "Second"
    assert search(database).total == 1


def test_importing_the_same_file_twice_changes_nothing_but_the_revision(database: Database) -> None:
    lines = [asset_fields(), asset_fields("model", "m", trained_on=["arm-a"]), agreement_fields(), approval_fields()]
    import_fields(database, lines)
    first = everything(database)
    revision = RegistryStore(database).revision()
    import_fields(database, lines)
    assert everything(database) == first
    assert RegistryStore(database).revision() > revision


def everything(database: Database) -> list[Any]:
    store = RegistryStore(database)
    ids = [asset_id("arm-a"), asset_id("m", "model")]
    found = search(database, "clinical trial")
    return [store.classes(), store.assets(ids), store.agreements(), store.approvals(), found, found.work]


def test_a_replaced_asset_leaves_no_row_behind(database: Database) -> None:
    fields = asset_fields(
        "model", "m", trained_on=["arm-a"], evaluations=[{"metric": "auc", "value": "0.9", "split": "test"}]
    )
    import_fields(database, [fields])
    counts = row_counts(database)
    import_fields(database, [fields, fields])
    import_fields(database, [fields | {"policy": policy_fields(sensitivity=2)}])
    # The list of changes keeps one row for each transaction that wrote it, and nothing else grows.
    assert row_counts(database) == {**counts, "registry_change": 3}


def row_counts(database: Database) -> dict[str, int]:
    with database.reading() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        return {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in names}  # noqa: S608


def test_batches_do_not_show_in_the_result(database: Database) -> None:
    lines = [asset_fields(local_name=f"set-{number}") for number in range(7)]
    assert import_fields(database, lines, batch_lines=3).imported == 7
    assert search(database).total == 7


def test_a_full_disk_stops_the_import_and_keeps_what_was_stored(databases: Databases) -> None:
    database = databases.new()
    import_fields(database, [asset_fields(local_name="before")])
    with database.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    with database.writer.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    large = " ".join(f"word{number}" for number in range(2_000))
    lines = [asset_fields(local_name="small"), asset_fields(local_name="large", description=large)]
    with pytest.raises(StorageFull):
        import_fields(database, lines, batch_lines=1)
    assert search(database, "word7").total == 0
    assert RegistryStore(database).assets([asset_id("large")]) == {}
    assert asset_id("before") in RegistryStore(database).assets([asset_id("before")])
    with database.writer.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    import_fields(database, [asset_fields(local_name="large", description=large)])
    assert search(database, "word7").total == 1


def test_a_batch_is_stored_whole_or_not_at_all(databases: Databases) -> None:
    class Failing:
        def remove(self, *_: object) -> None: ...

        def add(self, *_: object) -> None:
            raise RuntimeError("the index broke")

    database = databases.new()
    with pytest.raises(RuntimeError):
        ndjson_import.import_ndjson([ndjson_line(asset_fields())], database, owner=OWNER, index=Failing(), now=NOW)
    assert RegistryStore(database).classes() == {}
    assert RegistryStore(database).revision() == 0


def test_a_line_without_an_end_is_one_refused_line(tmp_path: Path, database: Database) -> None:
    lines = [ndjson_line(asset_fields()), b"x" * (5 * LINE_BYTES_MAX), ndjson_line(asset_fields(local_name="arm-b"))]
    report = run(write(tmp_path / "in.ndjson", *lines), database)
    assert [(line.line, line.code) for line in report.lines] == [(1, None), (2, "json_too_large"), (3, None)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize(("size", "expected"), [(10, 10), (11, 11), (12, 11), (13, 11), (24, 11), (25, 11), (36, 11)])
def test_a_line_is_read_up_to_one_byte_past_its_limit(size: int, expected: int, end: bytes) -> None:
    file = io.BytesIO(b"x" * size + end + (b"y" if end else b""))
    lines = list(bounded_lines(file, bytes_max=10))
    assert [len(line) for line in lines] == [expected] + ([1] if end else [])


def test_lines_past_the_limit_are_refused_by_name(database: Database) -> None:
    report = import_fields(database, [asset_fields(local_name=f"set-{number}") for number in range(4)], lines_max=2)
    assert [(line.line, line.code) for line in report.lines] == [(1, None), (2, None), (3, "import_lines_max")]
    assert search(database).total == 2


def test_a_file_that_cannot_be_read_is_an_operator_error(tmp_path: Path, database: Database) -> None:
    for path in (tmp_path / "absent.ndjson", tmp_path):
        with pytest.raises(ImportUnreadable):
            run(path, database)


def test_an_import_under_new_statistics_builds_the_index_again_first(tmp_path: Path, database: Database) -> None:
    import_fields(database, [asset_fields()])
    other = make_statistics(unseen_weight=170)
    path = write(tmp_path / "in.ndjson", ndjson_line(asset_fields(local_name="arm-b")))
    run_import(path, database, owner=OWNER, statistics=other, clock=lambda: NOW)
    view = {key: ClassView(key, Level.FULL) for key in RegistryStore(database).classes()}
    found = SqlPostingIndex(database).search(IndexQuery(terms=query_terms("clinical", other)), view, other)
    assert found.total == 2
