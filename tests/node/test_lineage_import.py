"""Lineage in an import: what a line may say, what closes a circle, and what an older database becomes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from concordat_node.registration.documents import document, read_document
from concordat_node.registry.engine import Database, open_database
from concordat_node.registry.errors import LineageCycle, LineageTooDeep
from concordat_node.registry.lineage_check import LineageCheck
from concordat_node.registry.migrate import REGISTRY_MIGRATIONS, upgrade
from concordat_node.registry.ndjson_import import ImportReport, import_ndjson
from concordat_node.registry.records import AssetRecord
from concordat_node.registry.rules import ImportedAsset, read_line
from concordat_node.registry.store import RegistryStore
from concordat_node.search.index_writer import PostingWriter, ensure_index
from concordat_trust.canonical import canonical_bytes
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.lineage import EDGES_MAX, AssertedEdge, LineageEdge
from tests.factories.node import asset_id as an_id
from tests.factories.node import make_asset
from tests.factories.registry import NOW, OWNER, STATISTICS, asset_fields, ndjson_line, policy_fields

ALMA = OrgId.parse("alma-university")
BASE, MADE = an_id("base", org=ALMA), an_id("made", org=ALMA)
TUNED = OWNER.asset_id("model", "tuned")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "registry.db")
    upgrade(opened)
    ensure_index(opened, STATISTICS)
    yield opened
    opened.close()


def model(name: str, *lineage: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return asset_fields("model", name, **{"lineage": list(lineage), **changes})


def read(fields: dict[str, Any]) -> AssetRecord:
    item = read_line(ndjson_line(fields), OWNER)
    assert isinstance(item, ImportedAsset)
    return item.record


def tuned_from(name: str) -> dict[str, Any]:
    return {"relation": "fine_tuned_from", "local_name": name}


def load(database: Database, *lines: dict[str, Any], batch_lines: int = 500) -> ImportReport:
    return import_ndjson(
        [ndjson_line(line) for line in lines],
        database,
        owner=OWNER,
        index=PostingWriter(STATISTICS),
        now=NOW,
        batch_lines=batch_lines,
    )


def test_an_edge_names_an_asset_of_anybody_and_since_when_it_is_asserted() -> None:
    record = read(
        model(
            "tuned",
            {"relation": "fine_tuned_from", "id": str(BASE), "asserted_on": "2026-05-06"},
            tuned_from("sibling"),
            {"relation": "base_model_of", "id": str(MADE)},
        )
    )
    sibling = OWNER.asset_id("model", "sibling")
    assert record.lineage == (
        AssertedEdge(LineageEdge("fine_tuned_from", TUNED, BASE), "2026-05-06"),
        AssertedEdge(LineageEdge("fine_tuned_from", TUNED, sibling), "2026-05-04"),
        AssertedEdge(LineageEdge("fine_tuned_from", MADE, TUNED), "2026-05-04"),
    )


def test_what_a_model_was_trained_and_measured_on_are_edges_too() -> None:
    evaluation = {"metric": "accuracy", "value": "0.9", "split": "test", "dataset_id": "arm-b"}
    record = read(model("tuned", trained_on=["arm-a"], evaluations=[evaluation, evaluation]))
    found = {(item.edge.relation, item.edge.target) for item in record.edges}
    arm = {name: OWNER.asset_id("dataset", name) for name in ("arm-a", "arm-b")}
    assert found == {("trained_on", arm["arm-a"]), ("evaluated_on", arm["arm-b"])}
    assert len(record.edges) == 2


@pytest.mark.parametrize(
    ("entry", "code", "field"),
    [
        ({"relation": "sibling_of", "id": str(BASE)}, "document_malformed", "relation"),
        ({"relation": "trained_on", "local_name": "arm-a"}, "document_malformed", "relation"),
        ({"relation": "evaluated_on", "local_name": "arm-a"}, "document_malformed", "relation"),
        ({"relation": "derived_from", "local_name": "arm-a"}, "document_malformed", "relation"),
        ({"relation": "fine_tuned_from"}, "document_malformed", "id"),
        ({"relation": "fine_tuned_from", "id": str(BASE), "local_name": "x"}, "document_malformed", "id"),
        ({"relation": "fine_tuned_from", "id": "urn:concordat:alma"}, "asset_id_invalid", "lineage.id"),
        ({"relation": "fine_tuned_from", "id": str(an_id("d", "dataset"))}, "document_malformed", "id"),
        ({"relation": "fine_tuned_from", "id": str(BASE), "since": "2026"}, "document_malformed", "since"),
        ({"relation": "fine_tuned_from", "id": str(BASE), "asserted_on": "2026"}, "document_malformed", "asserted_on"),
        ({"relation": "fine_tuned_from", "local_name": "tuned"}, "lineage_self", "lineage"),
        ({"relation": "base_model_of", "local_name": "sibling"}, "lineage_inverted", "lineage"),
        ({"relation": "training_data_of", "id": str(MADE)}, "document_malformed", "relation"),
    ],
)
def test_a_wrong_entry_is_refused(entry: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(RefusedDocument) as caught:
        read(model("tuned", entry))
    assert (caught.value.code, caught.value.fields["field"]) == (code, field)


def test_the_same_thing_is_not_said_twice() -> None:
    with pytest.raises(RefusedDocument) as caught:
        read(model("tuned", tuned_from("base"), {**tuned_from("base"), "asserted_on": "2026-01-01"}))
    assert caught.value.fields["field"] == "lineage"


def test_all_fields_together_assert_at_most_so_many_edges() -> None:
    def line(entries: int) -> dict[str, Any]:
        return model("tuned", *(tuned_from(f"b{n}") for n in range(entries)), trained_on=["arm-a"])

    assert len(read(line(EDGES_MAX - 1)).edges) == EDGES_MAX
    with pytest.raises(RefusedDocument) as caught:
        read(line(EDGES_MAX))
    assert caught.value.code == "lineage_edges_max"


def test_what_is_written_is_what_is_read(database: Database) -> None:
    evaluation = {"metric": "accuracy", "value": "0.9", "split": "test", "dataset_id": "arm-b"}
    line = model(
        "tuned",
        {"relation": "fine_tuned_from", "id": str(BASE)},
        {"relation": "base_model_of", "id": str(MADE)},
        trained_on=["arm-b", "arm-a"],
        evaluations=[evaluation],
        policy=policy_fields(lineage="complete"),
    )
    assert load(database, line).refused == 0
    store = RegistryStore(database)
    assert store.assets([TUNED])[TUNED].edges == read(line).edges
    assert store.assets([TUNED])[TUNED] == read(line)
    assert [held.lineage for held in store.classes().values()] == ["complete"]
    assert load(database, model("tuned")).refused == 0
    assert store.assets([TUNED])[TUNED].edges == ()


def test_the_document_of_an_asset_says_its_lineage_again() -> None:
    line = model(
        "tuned",
        {"relation": "fine_tuned_from", "id": str(BASE), "asserted_on": "2026-05-06"},
        {"relation": "base_model_of", "id": str(MADE)},
        policy=policy_fields(lineage="open"),
    )
    item = read_line(ndjson_line(line), OWNER)
    assert read_document(canonical_bytes(document(item)), "asset", OWNER) == item


@pytest.mark.parametrize("batch_lines", [500, 1])
def test_a_line_that_closes_a_circle_is_refused_alone(database: Database, batch_lines: int) -> None:
    lines = (model("a", tuned_from("c")), model("b", tuned_from("a")), model("c", tuned_from("b")), model("d"))
    report = load(database, *lines, batch_lines=batch_lines)
    assert [line.code for line in report.lines] == [None, None, "lineage_cycle", None]
    assert OWNER.asset_id("model", "c") not in RegistryStore(database).assets([OWNER.asset_id("model", "c")])


def test_a_later_line_of_a_batch_counts_and_not_the_stored_one(database: Database) -> None:
    assert load(database, model("a", tuned_from("b"))).refused == 0
    report = load(database, model("a"), model("b", tuned_from("a")))
    assert report.refused == 0
    again = load(database, model("a", tuned_from("b")))
    assert [line.code for line in again.lines] == ["lineage_cycle"]


def test_a_circle_over_an_asset_of_others_is_theirs_to_see(database: Database) -> None:
    line = model("a", {"relation": "fine_tuned_from", "id": str(BASE)}, {"relation": "base_model_of", "id": str(BASE)})
    assert load(database, line).refused == 0


def test_so_many_ancestors_are_looked_through_and_no_more() -> None:
    chain = [make_asset(f"m{n}", lineage=_edge(n)).record for n in range(4)]
    check = LineageCheck(lambda ids: {}, ancestors_max=2)
    for record in chain[:3]:
        check.admit(record)
    with pytest.raises(LineageTooDeep):
        check.admit(chain[3])
    check.committed()
    check.admit(chain[3])


def _edge(number: int) -> tuple[AssertedEdge, ...]:
    if number == 0:
        return ()
    return (AssertedEdge(LineageEdge("fine_tuned_from", an_id(f"m{number}"), an_id(f"m{number - 1}")), "2026-01-01"),)


def test_a_refused_line_is_not_in_the_batch() -> None:
    check = LineageCheck(lambda ids: {})
    one = make_asset("m1", lineage=_edge(1)).record
    back = AssertedEdge(LineageEdge("fine_tuned_from", an_id("m0"), an_id("m1")), "2026-01-01")
    check.admit(one)
    with pytest.raises(LineageCycle):
        check.admit(make_asset("m0", lineage=(back,)).record)
    check.admit(make_asset("m0").record)


def test_a_database_from_before_keeps_its_classes_and_its_edges(tmp_path: Path) -> None:
    database = open_database(tmp_path / "registry.db")
    config = Config()
    config.set_main_option("script_location", str(REGISTRY_MIGRATIONS))
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        _fill_old(connection)
    upgrade(database)
    store = RegistryStore(database)
    found = store.assets([AssetId.parse(OLD["asset"])])[AssetId.parse(OLD["asset"])]
    assert [str(item) for item in found.trained_on] == [OLD["dataset"]]
    assert {item.edge.relation for item in found.edges} == {"trained_on", "evaluated_on"}
    assert store.damaged_classes() == ()
    assert [held.lineage for held in store.classes().values()] == ["closed"]
    with database.reading() as connection:
        stored = connection.execute(text("SELECT edge_id FROM lineage_edge ORDER BY position")).scalars().all()
    assert stored == [item.edge.id for item in found.edges]
    assert ensure_index(database, STATISTICS)
    database.close()


OLD = {"asset": str(an_id("old")), "dataset": str(an_id("arm", "dataset"))}


def _fill_old(connection: Any) -> None:
    record = make_asset("old")
    held = record.policy
    connection.execute(
        text(
            "INSERT INTO policy_class VALUES (:id, 1, 'model', 0, :permission, '', 'none', false, true, :day, 'active')"
        ),
        {"id": held.class_id, "permission": held.permission, "day": held.embargo_until},
    )
    connection.execute(
        text(
            "INSERT INTO asset VALUES (:asset, :id, 'Old', '', '', '', '', '', '', '', '2026-01-01', '', NULL, '', 1)"
        ),
        {**OLD, "id": held.class_id},
    )
    connection.execute(text("INSERT INTO trained_on VALUES (:asset, 0, :dataset)"), OLD)
    connection.execute(
        text("INSERT INTO evaluation VALUES (:asset, 0, 'accuracy', '0.9', 'test', NULL, '', :dataset, NULL, NULL)"),
        OLD,
    )
