"""What goes into the registry comes out the same, and damage or disorder in the database closes instead of opening."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Executable, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from concordat_node.registry.engine import Database
from concordat_node.registry.records import Agreement, Approval, EvaluationRecord, Modifier
from concordat_node.registry.rules import Imported
from concordat_node.registry.store import CHUNK, RegistryStore
from concordat_node.registry.tables import (
    AGREEMENT,
    AGREEMENT_MEMBER,
    APPROVAL_HOLDER,
    ASSET,
    EVALUATION,
    POLICY_CLASS,
    POLICY_CLASS_AGREEMENT,
    POLICY_CLASS_APPROVAL,
    POLICY_CLASS_MODIFIER,
    POLICY_CLASS_PARAMETER,
)
from concordat_node.registry.writing import delete_assets, write_batch
from concordat_node.search.index_writer import PostingWriter
from concordat_trust.ids import OrgId
from tests.factories.registry import (
    NOW,
    STATISTICS,
    Databases,
    asset_id,
    make_agreement,
    make_approval,
    make_asset,
    make_policy,
)

WRITER = PostingWriter(STATISTICS)
RICH_POLICY = make_policy(
    "model",
    sensitivity=2,
    permission="DUO:0000007",
    disease="MONDO:0007254",
    modifiers=(
        Modifier("DUO:0000022", (("country", "DE"), ("country", "FR"))),
        Modifier("DUO:0000021"),
        Modifier("DUO:0000025", (("until", "2027-01-01"),)),
    ),
    agreements=("dua-b", "dua-a"),
    approvals=("irb-b", "irb-a"),
    discoverable="summary",
    summary_metrics=True,
    relay_may_read=True,
    embargo_until="2026-12-31",
    status="draft",
)


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    held = Databases(tmp_path_factory.mktemp("store"))
    yield held
    held.close()


@pytest.fixture
def database(databases: Databases) -> Database:
    return databases.emptied("store")


def put(database: Database, *items: Imported) -> RegistryStore:
    with database.writing() as connection:
        write_batch(connection, items, WRITER, now=NOW)
    return RegistryStore(database)


def test_an_asset_and_its_policy_come_back_as_they_were(database: Database) -> None:
    evaluations = (
        EvaluationRecord("accuracy", "0.940", "test", "", "Arm A", asset_id("arm-a"), "0.90", "0.97"),
        EvaluationRecord("accuracy", "0.99", "train"),
    )
    item = make_asset(
        "risk",
        kind="model",
        policy=RICH_POLICY,
        summary="s",
        description="d\nlast",
        keywords=("b", "a"),
        cohort_size=0,
        contact="c",
        evaluations=evaluations,
        trained_on=(asset_id("arm-b"), asset_id("arm-a")),
    )
    store = put(database, item)
    assert store.assets([item.record.id]) == {item.record.id: item.record}
    assert store.class_attributes([item.record.id]) == {item.record.id: RICH_POLICY}
    assert store.classes() == {RICH_POLICY.class_id: RICH_POLICY}
    assert store.damaged_classes() == ()


def test_agreements_and_approvals_come_back_as_they_were(database: Database) -> None:
    alma, vitalis = OrgId.parse("alma-university"), OrgId.parse("vitalis")
    agreement = make_agreement(
        id="dua-2", members=((alma, None), (alma, "p-1"), (vitalis, "p-1")), parties=(alma, vitalis)
    )
    approval = make_approval(id="irb-2", holders=((alma, None),), status="revoked")
    store = put(database, agreement, make_agreement(), approval, make_approval())
    assert store.agreements() == {"dua-2": agreement, "dua-trial-2026": make_agreement()}
    assert store.approvals() == {"irb-2": approval, "irb-2026-17": make_approval()}


def test_a_revoked_agreement_replaces_the_active_one(database: Database) -> None:
    put(database, make_agreement())
    revoked = make_agreement(status="revoked", members=((OrgId.parse("alma-university"), "p-1"),), purposes=("GRU",))
    assert put(database, revoked).agreements() == {revoked.id: revoked}


def test_unknown_ids_are_simply_absent(database: Database) -> None:
    store = put(database, make_asset())
    wanted = [asset_id("arm-a"), asset_id("nobody")]
    assert set(store.assets(wanted)) == set(store.class_attributes(wanted)) == {asset_id("arm-a")}


def test_more_ids_than_one_statement_carries_are_read_in_pieces(database: Database) -> None:
    items = [make_asset(f"set-{number}") for number in range(CHUNK + 3)]
    store = put(database, *items)
    assert store.assets(item.record.id for item in items) == {item.record.id: item.record for item in items}


def test_a_class_without_assets_is_gone(database: Database) -> None:
    store = put(database, make_asset(), make_asset("risk", kind="model", policy=RICH_POLICY))
    with database.writing() as connection:
        delete_assets(connection, [asset_id("risk", "model"), asset_id("nobody")], WRITER)
    assert set(store.classes()) == {make_policy().class_id}
    assert store.assets([asset_id("risk", "model")]) == {}


def test_every_change_moves_the_revision(database: Database) -> None:
    store = RegistryStore(database)
    seen = [store.revision()]
    put(database, make_asset())
    seen.append(store.revision())
    put(database, make_approval())
    seen.append(store.revision())
    with database.writing() as connection:
        delete_assets(connection, [asset_id("arm-a")], WRITER)
    seen.append(store.revision())
    assert seen == sorted(set(seen))


@pytest.mark.parametrize(
    "damage",
    [
        update(POLICY_CLASS).values(sensitivity=0),
        update(POLICY_CLASS).values(status="active"),
        update(POLICY_CLASS).values(embargo_until="0001-01-01"),
        POLICY_CLASS_APPROVAL.delete(),
        POLICY_CLASS_APPROVAL.delete().where(POLICY_CLASS_APPROVAL.c.approval_id == "irb-a"),
        insert(POLICY_CLASS_APPROVAL).values(class_id=RICH_POLICY.class_id, approval_id="irb-c"),
        POLICY_CLASS_AGREEMENT.delete().where(POLICY_CLASS_AGREEMENT.c.agreement_id == "dua-a"),
        POLICY_CLASS_MODIFIER.delete().where(POLICY_CLASS_MODIFIER.c.code == "DUO:0000021"),
        POLICY_CLASS_PARAMETER.delete().where(POLICY_CLASS_PARAMETER.c.value == "FR"),
    ],
    ids=lambda statement: str(statement).split(" WHERE", maxsplit=1)[0][:60],
)
def test_a_class_changed_behind_the_registry_is_visible_to_nobody(database: Database, damage: Executable) -> None:
    item = make_asset("risk", kind="model", policy=RICH_POLICY)
    store = put(database, item, make_asset())
    with database.writing() as connection:
        connection.execute(damage)
    assert set(store.classes()) == {make_policy().class_id}
    assert store.class_attributes([item.record.id]) == {}
    assert store.damaged_classes() == (RICH_POLICY.class_id,)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("sensitivity", 4),
        ("sensitivity", -1),
        ("sensitivity", "low"),
        ("sensitivity", None),
        ("kind", "notebook"),
        ("status", "public"),
        ("status", None),
        ("permission", "GRU"),
        ("permission", None),
        ("disease", None),
        ("discoverable", "full"),
        ("embargo_until", "soon"),
        ("summary_metrics", 7),
        ("summary_metrics", None),
        ("relay_may_read", "yes"),
    ],
)
def test_the_database_refuses_a_policy_value_outside_its_type(database: Database, column: str, value: object) -> None:
    put(database, make_asset())
    with pytest.raises(IntegrityError), database.writing() as connection:
        connection.execute(text(f"UPDATE policy_class SET {column} = :value"), {"value": value})  # noqa: S608


def test_the_database_refuses_grants_and_splits_outside_their_lists(database: Database) -> None:
    put(
        database,
        make_agreement(),
        make_approval(),
        make_asset("m", kind="model", evaluations=(EvaluationRecord("auc", "0.9", "test"),)),
    )
    for statement in (
        update(AGREEMENT).values(status="maybe"),
        update(AGREEMENT).values(valid_until=AGREEMENT.c.valid_from),
        update(EVALUATION).values(split="holdout"),
        update(ASSET).values(cohort_size=-1),
        update(ASSET).values(class_id="none"),
        insert(AGREEMENT_MEMBER).values(
            agreement_id="absent", organization="x", pseudonym="", is_whole_organization=True
        ),
        update(AGREEMENT_MEMBER).values(is_whole_organization=False),
        update(AGREEMENT_MEMBER).values(pseudonym="p-1"),
        update(APPROVAL_HOLDER).values(is_whole_organization=True),
        update(APPROVAL_HOLDER).values(pseudonym=""),
    ):
        with pytest.raises(IntegrityError), database.writing() as connection:
            connection.execute(statement)


@pytest.mark.parametrize(
    "damage",
    [
        AGREEMENT_MEMBER.delete(),
        APPROVAL_HOLDER.delete(),
        update(AGREEMENT_MEMBER).values(pseudonym=""),
        update(APPROVAL_HOLDER).values(pseudonym=""),
        update(AGREEMENT_MEMBER).values(is_whole_organization=True),
        update(APPROVAL_HOLDER).values(is_whole_organization=True),
    ],
    ids=str,
)
def test_a_damaged_grant_names_nobody_instead_of_everybody(database: Database, damage: Executable) -> None:
    person = ((OrgId.parse("alma-university"), "p-1"),)
    store = put(database, make_agreement(members=person), make_approval(holders=person))
    with database.writing() as connection:
        # A file that was damaged or put together by hand obeys no check.
        connection.exec_driver_sql("PRAGMA ignore_check_constraints=ON")
        try:
            connection.execute(damage)
        finally:
            connection.exec_driver_sql("PRAGMA ignore_check_constraints=OFF")
    named = [grant.members for grant in store.agreements().values()]
    named += [grant.holders for grant in store.approvals().values()]
    assert sorted(named) == [(), person]


def test_what_belongs_to_a_replaced_agreement_goes_with_it(database: Database) -> None:
    put(database, make_agreement())
    fewer = make_agreement(members=((OrgId.parse("alma-university"), "p-2"),))
    put(database, fewer)
    with database.reading() as connection:
        assert connection.execute(select(AGREEMENT_MEMBER.c.pseudonym)).scalars().all() == ["p-2"]


def test_the_class_id_is_the_hash_of_the_canonical_attributes() -> None:
    # A frozen vector: another release, another language or another node must find the same class.
    assert make_policy().class_id == "5d85987fea2c2084ff3afcd4b9e296ac"
    assert make_policy(sensitivity=1).class_id != make_policy().class_id


def test_grants_say_in_json_what_policy_reads() -> None:
    agreement: Agreement = make_agreement()
    approval: Approval = make_approval()
    assert agreement.to_json()["members"] == [{"organization": "alma-university", "pseudonym": None}]
    assert approval.to_json()["holders"] == [{"organization": "alma-university", "pseudonym": "p-analyst"}]
