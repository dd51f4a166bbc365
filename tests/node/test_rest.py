"""Registration and change over REST: revisions, preconditions, repetitions, tombstones, the list of changes."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from concordat_node.home.claims import PersonClaims
from concordat_node.home.person import SignIn
from concordat_node.home.sessions import Session
from concordat_node.home.settings import parse_home_settings
from concordat_node.registration import idempotency
from concordat_node.registration.api import DOCUMENT_BYTES_MAX
from concordat_node.registration.errors import NotRegistrar, RegistrarSignInOld
from concordat_node.registration.idempotency import KEPT_MAX, KEPT_S, Answer, Once
from concordat_node.registration.registrar import REGISTRAR_SIGN_IN_S, Registrar, decide_registrar
from concordat_node.registration.registration import LIST_MAX, Asked, etag
from concordat_node.registry.entries import CHANGE_KEPT_S
from concordat_node.registry.entry_tables import IDEMPOTENT_ANSWER, KEY_LENGTH, REGISTRY_CHANGE, REGISTRY_ENTRY
from concordat_node.registry.ndjson_import import ImportReport, import_ndjson
from concordat_node.registry.store import RegistryStore
from concordat_node.search.index_writer import PostingWriter
from tests.factories.answers import demo_network
from tests.factories.home import HOME, home_settings_json
from tests.factories.network import NOW
from tests.factories.registry import agreement_fields, approval_fields, asset_fields, ndjson_line
from tests.factories.rest import (
    AGREEMENTS,
    APPROVALS,
    ASSETS,
    LATER,
    OWNER,
    RestDoor,
    asset_path,
    code_of,
    make_rest_door,
    matching,
    registered,
)
from tests.factories.suspension import after_suspending

STATISTICS = demo_network().bundle.statistics


@pytest.fixture
def door(tmp_path: Path) -> Iterator[RestDoor]:
    made = make_rest_door(tmp_path)
    yield made
    made.close()


@pytest.fixture
async def registrar(door: RestDoor) -> AsyncIterator[httpx.AsyncClient]:
    async with door.client() as client:
        yield client


def imported(door: RestDoor, **changes: Any) -> ImportReport:
    line = ndjson_line(asset_fields(**changes))
    return import_ndjson([line], door.database, owner=OWNER, index=PostingWriter(STATISTICS), now=NOW)


def changes_of(door: RestDoor) -> list[tuple[str, str, str, int]]:
    with door.database.reading() as connection:
        rows = connection.execute(select(REGISTRY_CHANGE).order_by(REGISTRY_CHANGE.c.number)).all()
    return [(row.actor, row.kind, row.action, row.revision) for row in rows]


# ------------------------------------------------------------------------------------------------------- registrars


async def test_nobody_is_a_registrar_by_default(tmp_path: Path) -> None:
    door = make_rest_door(tmp_path, settings=parse_home_settings(home_settings_json()))
    async with door.client() as person:
        assert code_of(await person.post(ASSETS, json=asset_fields())) == (403, "not_registrar")
    door.close()


async def test_only_the_mapped_claim_makes_a_registrar(door: RestDoor) -> None:
    async with door.client(is_registrar=False) as person:
        assert code_of(await person.post(ASSETS, json=asset_fields())) == (403, "not_registrar")
    async with door.at_home.client() as stranger:
        assert code_of(await stranger.post(ASSETS, json=asset_fields())) == (401, "not_signed_in")
    assert changes_of(door) == []


def test_a_registrar_is_made_by_the_decision_alone() -> None:
    session = Session("session-1", "person-1", PersonClaims("staff", "researcher", 2), NOW)
    with pytest.raises(NotRegistrar):
        decide_registrar(session, now=NOW)
    with pytest.raises(RuntimeError):
        Registrar(object(), "person-1")  # type: ignore[arg-type]


async def test_a_registrar_signs_in_again_each_hour(door: RestDoor, registrar: httpx.AsyncClient) -> None:
    for _ in range(2):  # a session that is used does not become idle
        door.at_home.clock.now += REGISTRAR_SIGN_IN_S // 2
        assert (await registrar.get(ASSETS)).status_code == 200
    door.at_home.clock.now += 1
    assert code_of(await registrar.get(ASSETS)) == (403, "registrar_sign_in_old")


def test_a_session_that_does_not_say_when_it_began_makes_no_registrar() -> None:
    session = Session("session-1", "person-1", PersonClaims("staff", "researcher", 2, is_registrar=True), NOW)
    with pytest.raises(RegistrarSignInOld):
        decide_registrar(session, now=NOW)


async def test_a_suspended_organization_keeps_its_own_registry(door: RestDoor, registrar: httpx.AsyncClient) -> None:
    made = await registered(registrar)
    door.at_home.bundles[0] = after_suspending(door.at_home.network, HOME)
    assert (await registrar.get(asset_path())).status_code == 200
    changed = await registrar.put(asset_path(), json=asset_fields(title="New"), headers=matching(made))
    assert changed.status_code == 200
    async with door.client() as again:
        assert (await again.delete(asset_path(), headers=matching(changed))).status_code == 204
        assert code_of(await again.get("/v1/search?q=models&purpose=HMB")) == (403, "organization_suspended")


# ------------------------------------------------------------------------------------------------ whole entries


async def test_a_registered_asset_is_read_back_whole_under_its_revision(registrar: httpx.AsyncClient) -> None:
    made = await registered(registrar, trained_on=...)
    assert made.headers["location"] == asset_path()
    assert made.headers["etag"] == '"1"'
    read = await registrar.get(made.headers["location"])
    assert (read.status_code, read.headers["etag"], read.json()) == (200, '"1"', made.json())
    assert read.json()["title"] == "Clinical trial arm-a"
    assert read.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("path", "fields"), [(AGREEMENTS, agreement_fields()), (APPROVALS, approval_fields())])
async def test_agreements_and_approvals_have_the_same_life(
    registrar: httpx.AsyncClient, path: str, fields: dict[str, Any]
) -> None:
    made = await registrar.post(path, json=fields)
    assert (made.status_code, made.json()) == (201, fields)
    one = made.headers["location"]
    assert one == f"{path}/{fields['id']}"
    revoked = await registrar.put(one, json={**fields, "status": "revoked"}, headers=matching(made))
    assert (revoked.headers["etag"], revoked.json()["status"]) == ('"2"', "revoked")
    gone = await registrar.delete(one, headers=matching(revoked))
    assert (gone.status_code, gone.headers["etag"], gone.content) == (204, '"3"', b"")
    assert code_of(await registrar.get(one)) == (410, "registry_entry_deleted")


async def test_the_rules_are_those_of_an_import_line(registrar: httpx.AsyncClient) -> None:
    refusals = [
        (asset_fields(title=""), (400, "document_malformed")),
        (asset_fields(version="9"), (400, "version_unknown")),
        (asset_fields(note="x"), (400, "document_malformed")),
        (asset_fields(id=str(OWNER.asset_id("model", "x")), local_name=...), (400, "document_malformed")),
        (agreement_fields(), (400, "document_malformed")),
    ]
    for fields, refusal in refusals:
        assert code_of(await registrar.post(ASSETS, json=fields)) == refusal


async def test_a_body_that_is_no_document_is_refused(registrar: httpx.AsyncClient) -> None:
    json_type = {"content-type": "application/json"}
    assert code_of(await registrar.post(ASSETS, content=b"{", headers=json_type)) == (400, "json_malformed")
    assert code_of(await registrar.post(ASSETS, content=b"{}")) == (415, "content_type_unsupported")
    longest = b" " * DOCUMENT_BYTES_MAX
    assert code_of(await registrar.post(ASSETS, content=longest, headers=json_type)) == (400, "json_malformed")
    too_long = await registrar.post(ASSETS, content=longest + b" ", headers=json_type)
    assert code_of(too_long) == (413, "json_too_large")


async def test_an_id_is_registered_once(registrar: httpx.AsyncClient) -> None:
    await registered(registrar)
    assert code_of(await registrar.post(ASSETS, json=asset_fields())) == (409, "registry_entry_exists")


async def test_a_change_is_of_the_revision_that_was_read(registrar: httpx.AsyncClient) -> None:
    made, path = await registered(registrar), asset_path()
    changed = asset_fields(title="Another title")
    assert code_of(await registrar.put(path, json=changed)) == (428, "precondition_required")
    assert code_of(await registrar.delete(path)) == (428, "precondition_required")
    for stale in ('"0"', '"2"', "1", 'W/"1"', "*", ""):
        response = await registrar.put(path, json=changed, headers={"if-match": stale})
        assert code_of(response) in {(412, "revision_changed"), (428, "precondition_required")}, stale
    done = await registrar.put(path, json=changed, headers={"if-match": '"7", ' + made.headers["etag"]})
    assert (done.status_code, done.headers["etag"], done.json()["title"]) == (200, '"2"', "Another title")
    assert code_of(await registrar.delete(path, headers=matching(made))) == (412, "revision_changed")


async def test_an_import_is_a_change_like_any_other(door: RestDoor, registrar: httpx.AsyncClient) -> None:
    made = await registered(registrar)
    assert imported(door).refused == 0
    assert code_of(await registrar.put(asset_path(), json=asset_fields(), headers=matching(made))) == (
        412,
        "revision_changed",
    )
    assert (await registrar.get(asset_path())).headers["etag"] == '"2"'


async def test_the_document_is_of_the_entry_in_the_address(registrar: httpx.AsyncClient) -> None:
    made = await registered(registrar)
    other = await registrar.put(asset_path(), json=asset_fields(local_name="arm-b"), headers=matching(made))
    assert code_of(other) == (400, "document_malformed")
    unknown = asset_path("nowhere")
    for response in (
        await registrar.get(unknown),
        await registrar.put(unknown, json=asset_fields(), headers=matching(made)),
        await registrar.delete(unknown, headers=matching(made)),
        await registrar.post(f"{unknown}/restore", json=asset_fields(), headers=matching(made)),
    ):
        assert code_of(response) == (404, "registry_entry_unknown")


# --------------------------------------------------------------------------------------------------- tombstones


async def test_a_deleted_id_is_never_used_again_unless_it_is_restored(
    door: RestDoor, registrar: httpx.AsyncClient
) -> None:
    made = await registered(registrar)
    gone = await registrar.delete(asset_path(), headers=matching(made))
    assert RegistryStore(door.database).classes() == {}
    assert code_of(await registrar.post(ASSETS, json=asset_fields())) == (410, "registry_entry_deleted")
    put = await registrar.put(asset_path(), json=asset_fields(), headers=matching(gone))
    assert code_of(put) == (410, "registry_entry_deleted")
    report = imported(door)
    assert [(line.ok, line.code) for line in report.lines] == [(False, "registry_entry_deleted")]
    assert RegistryStore(door.database).classes() == {}
    listed = await registrar.get(ASSETS, params={"deleted": "true"})
    assert listed.json() == {"entries": [{"id": str(OWNER.asset_id("dataset", "arm-a")), "revision": 2}], "next": None}
    assert (await registrar.get(ASSETS)).json() == {"entries": [], "next": None}
    early = await registrar.post(f"{asset_path()}/restore", json=asset_fields(), headers=matching(made))
    assert code_of(early) == (412, "revision_changed")
    back = await registrar.post(f"{asset_path()}/restore", json=asset_fields(), headers=matching(gone))
    assert (back.status_code, back.headers["etag"]) == (200, '"3"')
    again = await registrar.post(f"{asset_path()}/restore", json=asset_fields(), headers=matching(back))
    assert code_of(again) == (409, "registry_entry_not_deleted")
    assert imported(door).refused == 0


async def test_a_deleted_line_does_not_take_its_neighbours_with_it(
    door: RestDoor, registrar: httpx.AsyncClient
) -> None:
    await registrar.delete(asset_path(), headers=matching(await registered(registrar)))
    lines = [ndjson_line(asset_fields(local_name=name)) for name in ("arm-b", "arm-a", "arm-c", "arm-a")]
    report = import_ndjson(lines, door.database, owner=OWNER, index=PostingWriter(STATISTICS), now=NOW, batch_lines=2)
    assert [line.ok for line in report.lines] == [True, False, True, False]
    assert len((await registrar.get(ASSETS)).json()["entries"]) == 2


async def test_lists_have_pages(door: RestDoor, registrar: httpx.AsyncClient) -> None:
    lines = [ndjson_line(asset_fields(local_name=f"arm-{number}")) for number in range(LIST_MAX + 1)]
    import_ndjson(lines, door.database, owner=OWNER, index=PostingWriter(STATISTICS), now=NOW)
    first = (await registrar.get(ASSETS)).json()
    assert len(first["entries"]) == LIST_MAX
    rest = (await registrar.get(ASSETS, params={"after": first["next"]})).json()
    ids = [entry["id"] for entry in (*first["entries"], *rest["entries"])]
    assert ids == sorted(ids)
    assert (len(ids), rest["next"]) == (LIST_MAX + 1, None)


@pytest.mark.parametrize("query", ["x=1", "after=a&after=b", "deleted=yes", "after=" + "a" * 121])
async def test_an_unknown_parameter_of_a_list_is_refused(registrar: httpx.AsyncClient, query: str) -> None:
    assert code_of(await registrar.get(f"{ASSETS}?{query}")) == (400, "query_malformed")


# -------------------------------------------------------------------------------------------------------- parts


async def test_versions_are_added_replaced_and_withdrawn_under_the_assets_revision(
    registrar: httpx.AsyncClient,
) -> None:
    made, path = await registered(registrar, version=...), f"{asset_path()}/versions"
    assert code_of(await registrar.post(path, json=LATER)) == (428, "precondition_required")
    added = await registrar.post(path, json=LATER, headers=matching(made))
    assert [item["label"] for item in added.json()["versions"]] == ["2", "1"]
    twice = await registrar.post(path, json=LATER, headers=matching(added))
    assert code_of(twice) == (400, "version_repeated")
    withdrawn = await registrar.put(f"{path}/2", json={**LATER, "status": "withdrawn"}, headers=matching(added))
    listed = await registrar.get(path)
    assert [item["status"] for item in listed.json()["versions"]] == ["withdrawn", "active"]
    assert listed.headers["etag"] == withdrawn.headers["etag"] == '"3"'
    other = await registrar.put(f"{path}/3", json={**LATER, "label": "3"}, headers=matching(withdrawn))
    assert code_of(other) == (404, "registry_entry_unknown")
    renamed = await registrar.put(f"{path}/1", json=LATER, headers=matching(withdrawn))
    assert code_of(renamed) == (400, "document_malformed")


async def test_evaluations_are_added_and_replaced_and_may_name_a_version(registrar: httpx.AsyncClient) -> None:
    made = await registered(registrar, kind="model", local_name="risk")
    path = f"{asset_path('risk', 'model')}/evaluations"
    value = {"metric": "auroc", "value": "0.9", "split": "test", "version": "1"}
    added = await registrar.post(path, json=value, headers=matching(made))
    assert [item["version"] for item in added.json()["evaluations"]] == ["1"]
    wrong = await registrar.post(path, json={**value, "version": "9"}, headers=matching(added))
    assert code_of(wrong) == (400, "version_unknown")
    emptied = await registrar.put(path, json={"evaluations": []}, headers=matching(added))
    assert emptied.json()["evaluations"] == []
    assert (await registrar.get(path)).json() == {"evaluations": []}
    assert code_of(await registrar.put(path, json={"e": []}, headers=matching(emptied))) == (400, "document_malformed")


# -------------------------------------------------------------------------------------------------- repetitions


async def test_a_repeated_request_has_one_effect_and_one_answer(door: RestDoor, registrar: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "7b6e"}
    answers = [await registrar.post(ASSETS, json=asset_fields(), headers=key) for _ in range(3)]
    assert {(a.status_code, a.headers["etag"], a.headers["location"], a.content) for a in answers} == {
        (201, '"1"', asset_path(), answers[0].content)
    }
    gone = [await registrar.delete(asset_path(), headers=matching(answers[0], idempotency_key="d")) for _ in range(2)]
    assert [(a.status_code, a.headers["etag"]) for a in gone] == [(204, '"2"')] * 2
    assert changes_of(door) == [
        ("person:person-1", "asset", "created", 1),
        ("person:person-1", "asset", "deleted", 2),
    ]


async def test_a_key_belongs_to_one_request_of_one_person(door: RestDoor, registrar: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "7b6e"}
    made = await registrar.post(ASSETS, json=asset_fields(), headers=key)
    for response in (
        await registrar.post(ASSETS, json=asset_fields(local_name="arm-b"), headers=key),
        await registrar.post(AGREEMENTS, json=agreement_fields(), headers=key),
        await registrar.delete(asset_path(), headers={**matching(made), **key}),
    ):
        assert code_of(response) == (422, "idempotency_key_reused")
    async with door.client(subject="person-2") as other:
        fresh = await other.post(ASSETS, json=asset_fields(local_name="arm-b"), headers=key)
        assert fresh.status_code == 201


async def test_a_refused_request_does_not_use_its_key_up(registrar: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "7b6e"}
    assert (await registrar.post(ASSETS, json=asset_fields(title=""), headers=key)).status_code == 400
    assert (await registrar.post(ASSETS, json=asset_fields(), headers=key)).status_code == 201


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * (KEY_LENGTH + 1), "é"])
async def test_a_key_has_a_form(registrar: httpx.AsyncClient, key: str) -> None:
    headers = [(b"idempotency-key", key.encode())]
    response = await registrar.post(ASSETS, json=asset_fields(), headers=httpx.Headers(headers))
    assert code_of(response) == (400, "idempotency_key_invalid")


async def test_a_key_has_a_greatest_length_and_stands_once(registrar: httpx.AsyncClient) -> None:
    twice = httpx.Headers([("idempotency-key", "a"), ("idempotency-key", "a")])
    refused = await registrar.post(ASSETS, json=asset_fields(), headers=twice)
    assert code_of(refused) == (400, "idempotency_key_invalid")
    longest = {"idempotency-key": "x" * KEY_LENGTH}
    assert (await registrar.post(ASSETS, json=asset_fields(), headers=longest)).status_code == 201


async def test_kept_answers_end(door: RestDoor, registrar: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "7b6e"}
    await registrar.post(ASSETS, json=asset_fields(), headers=key)
    door.clock.now += KEPT_S - 1
    assert (await registrar.post(ASSETS, json=asset_fields(), headers=key)).status_code == 201
    door.clock.now += 1
    assert (await registrar.post(ASSETS, json=asset_fields(), headers=key)).status_code == 409


def kept_documents(door: RestDoor) -> list[bytes]:
    with door.database.reading() as connection:
        return [body for body in connection.execute(select(IDEMPOTENT_ANSWER.c.body)).scalars() if body]


async def test_what_is_deleted_is_not_kept_as_an_answer_either(door: RestDoor, registrar: httpx.AsyncClient) -> None:
    made = await registrar.post(ASSETS, json=asset_fields(title="Withdrawn"), headers={"idempotency-key": "a"})
    await registrar.post(ASSETS, json=asset_fields(local_name="arm-b"), headers={"idempotency-key": "b"})
    async with door.client(subject="person-2") as other:
        headers = matching(made, idempotency_key="a")
        changed = await other.put(asset_path(), json=asset_fields(title="Withdrawn too"), headers=headers)
        assert len(kept_documents(door)) == 3
        await other.delete(asset_path(), headers=matching(changed, idempotency_key="d"))
    (left,) = kept_documents(door)
    assert b"Withdrawn" not in left
    again = await registrar.post(ASSETS, json=asset_fields(title="Withdrawn"), headers={"idempotency-key": "a"})
    assert code_of(again) == (410, "registry_entry_deleted")


async def test_kept_answers_end_also_when_nobody_sends_a_key(door: RestDoor, registrar: httpx.AsyncClient) -> None:
    await registrar.post(ASSETS, json=asset_fields(), headers={"idempotency-key": "a"})
    door.clock.now += KEPT_S
    await registrar.post(ASSETS, json=asset_fields(local_name="arm-b"))
    assert kept_documents(door) == []


def test_the_newest_answers_of_a_person_are_kept(door: RestDoor) -> None:
    with door.database.writing() as connection:
        for number in range(KEPT_MAX + 1):
            idempotency.keep(connection, "person:1", Once(f"k{number}", "0" * 64), Answer(204, 1), now=NOW + number)
        assert connection.execute(select(func.count()).select_from(IDEMPOTENT_ANSWER)).scalar_one() == KEPT_MAX
        assert idempotency.recall(connection, "person:1", Once("k0", "0" * 64)) is None
        assert idempotency.recall(connection, "person:1", Once("k1", "0" * 64)) == Answer(204, 1)


async def test_the_same_request_at_the_same_moment_has_one_effect(door: RestDoor) -> None:
    session = Session(
        "session-1", "person-1", PersonClaims("staff", "researcher", 2, is_registrar=True), NOW, SignIn(NOW)
    )
    asked = Asked(decide_registrar(session, now=NOW), once=Once("k", "0" * 64))
    answers: list[Answer] = []

    def create() -> None:
        answers.append(door.registration.create(asked, "asset", ndjson_line(asset_fields())))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len(set(answers)) == 1
    assert changes_of(door) == [("person:person-1", "asset", "created", 1)]


# ------------------------------------------------------------------------------------------- the list of changes


async def test_every_change_is_noted_with_who_and_which_revision(door: RestDoor, registrar: httpx.AsyncClient) -> None:
    imported(door)
    read = await registrar.get(asset_path())
    changed = await registrar.put(asset_path(), json=asset_fields(title="New"), headers=matching(read))
    gone = await registrar.delete(asset_path(), headers=matching(changed))
    await registrar.post(f"{asset_path()}/restore", json=asset_fields(), headers=matching(gone))
    person = "person:person-1"
    assert changes_of(door) == [
        ("import", "asset", "created", 1),
        (person, "asset", "changed", 2),
        (person, "asset", "deleted", 3),
        (person, "asset", "restored", 4),
    ]


async def test_a_change_and_its_note_are_one_transaction(door: RestDoor, registrar: httpx.AsyncClient) -> None:
    with door.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE registry_change RENAME TO away")
    response = await registrar.post(ASSETS, json=asset_fields())
    assert response.status_code == 503
    with door.database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(REGISTRY_ENTRY)).scalar_one() == 0
    assert RegistryStore(door.database).classes() == {}


async def test_a_change_is_listed_for_two_years(door: RestDoor, registrar: httpx.AsyncClient) -> None:
    made = await registered(registrar)
    session = Session("s", "person-1", PersonClaims("staff", "researcher", 2, is_registrar=True), NOW, SignIn(NOW))

    def change_after(age_s: int, if_match: str) -> str:
        door.clock.now = NOW + age_s
        asked = Asked(decide_registrar(session, now=NOW), if_match=if_match)
        document = ndjson_line(asset_fields(title=f"After {age_s}"))
        return etag(door.registration.replace(asked, ("asset", asset_path().rpartition("/")[2]), document).revision)

    tag = change_after(CHANGE_KEPT_S - 1, made.headers["etag"])
    assert [change[2] for change in changes_of(door)] == ["created", "changed"]
    change_after(CHANGE_KEPT_S, tag)
    assert [change[2] for change in changes_of(door)] == ["changed", "changed"]
