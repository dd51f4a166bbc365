"""From an admitted request to a logged and attested answer: what is said, when, and when nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from concordat_node.ledger.entry import LogEntry
from concordat_node.ledger.ledger import Ledger, Logged, LogUnavailable
from concordat_node.policy.engine import DecisionRequest, NodePolicy, PolicyUnavailable, Scope
from concordat_node.registry.engine import open_ledger_database
from concordat_node.registry.errors import StorageFailed
from concordat_node.registry.rules import Imported
from concordat_node.registry.store import RegistryStore
from concordat_trust.attestation import Attestation, record_commitment, verify_attestation
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.encoding import sha256_b64u, unb64u
from concordat_trust.ids import tie_key
from concordat_trust.question import Part, Purpose, Question
from concordat_trust.wire.transport import WireResponse
from tests.factories.network import NOW, make_network
from tests.factories.node import (
    ANALYST,
    NORTH,
    Asking,
    Clock,
    PrescribedEngine,
    TestNode,
    answer_of,
    asking,
    asset_id,
    attributes_of,
    comparable_given,
    make_asset,
    make_assets_question,
    make_node,
    make_question,
    memory_database,
    refused_code,
)

T = TypeVar("T")

NETWORK = make_network()
SECRET = attributes_of(sensitivity=3)
FULL_HOUSE = (make_asset("a"), make_asset("b", attributes_of(sensitivity=2, discoverable="summary")))


def node_with(*records: Imported, **options: Any) -> TestNode:
    return make_node(NETWORK, "north-hospital", records, **{"engine": PrescribedEngine(), **options})


def good(question: Question | None = None, **changes: Any) -> Asking:
    return asking(NETWORK, question or make_question(NETWORK), **changes)


def attested(answer: JsonObject) -> Attestation:
    return verify_attestation(str(answer["attestation"]), bundle=NETWORK.bundle, at=NOW)


async def ask(node: TestNode, asked: Asking | None = None, field: str = "search") -> tuple[JsonObject, Attestation]:
    answer = answer_of(await node.handle((asked or good()).request()), field)
    return answer, attested(answer)


def results(answer: JsonObject) -> list[Any]:
    found = answer["results"]
    assert isinstance(found, list)
    return found


def comparable(answer: JsonObject) -> bytes:
    return comparable_given(answer)


async def test_an_answer_is_bound_to_question_part_token_home_and_bundle() -> None:
    asked = good(make_question(NETWORK, facets=("task",)))
    _, attestation = await ask(node_with(*FULL_HOUSE), asked)
    assert (attestation.organization, attestation.home) == (NORTH, asked.home)
    assert attestation.token_id == asked.token_id
    assert attestation.question_hash == sha256_b64u(asked.question)
    assert attestation.part_hash == sha256_b64u(asked.part)
    assert (attestation.status, attestation.code, attestation.total) == ("OK", None, 2)
    assert attestation.facets == {"task": {"classification": 2}}
    assert attestation.issued_at == NOW
    assert attestation.bundle.snapshot_sha256 == NETWORK.bundle.view.snapshot_sha256
    assert attestation.stats_revision == NETWORK.bundle.statistics.revision
    assert attestation.policy.baseline == PrescribedEngine().revision


async def test_every_record_that_is_sent_is_attested_in_its_place() -> None:
    answer, attestation = await ask(node_with(*FULL_HOUSE))
    assert len(results(answer)) == len(attestation.candidates) == 2
    for result, candidate in zip(results(answer), attestation.candidates, strict=True):
        assert record_commitment(result["card"], result["salt"]) == candidate.commitment
        assert tie_key(result["card"]["id"]) == candidate.tie


async def test_zero_hits_are_attested_too() -> None:
    answer, attestation = await ask(node_with())
    assert results(answer) == []
    assert (attestation.status, attestation.total, attestation.candidates) == ("OK", 0, ())


async def test_a_purpose_the_node_does_not_admit_is_denied_before_any_class_is_read() -> None:
    engine = PrescribedEngine()
    answer, attestation = await ask(
        node_with(*FULL_HOUSE, engine=engine), good(make_question(NETWORK, purpose=Purpose("POA")))
    )
    assert (attestation.status, attestation.code) == ("DENIED", "purpose_not_admitted")
    assert attestation.total is None
    assert results(answer) == []
    assert (engine.class_calls, engine.page_calls) == ([], [])


async def test_a_denial_does_not_depend_on_what_the_node_holds() -> None:
    question = make_question(NETWORK, purpose=Purpose("POA"))
    full, _ = await ask(node_with(*FULL_HOUSE), good(question))
    empty, _ = await ask(node_with(), good(question))
    assert comparable(full) == comparable(empty)


async def test_a_dead_policy_is_an_attested_denial() -> None:
    answer, attestation = await ask(node_with(*FULL_HOUSE, engine=PrescribedEngine(is_dead=True)))
    assert (attestation.status, attestation.code) == ("DENIED", "policy_unavailable")
    assert results(answer) == []


async def test_a_policy_that_dies_after_scope_is_an_attested_denial() -> None:
    class DiesLater(PrescribedEngine):
        async def scope(self, request: DecisionRequest) -> Scope:
            scope = await super().scope(request)
            self.is_dead = True
            return scope

    answer, attestation = await ask(node_with(*FULL_HOUSE, engine=DiesLater()))
    assert (attestation.status, attestation.code, attestation.total) == ("DENIED", "policy_unavailable", None)
    assert results(answer) == []


async def test_a_registry_that_cannot_be_read_is_an_attested_denial() -> None:
    class Broken(RegistryStore):
        def classes(self) -> Any:
            raise StorageFailed(reason="ioerr")

    node = node_with(*FULL_HOUSE, registry=lambda store: Broken(store._database))
    _, attestation = await ask(node)
    assert (attestation.status, attestation.code) == ("DENIED", "storage_failed")


def changed_question(**changes: Any) -> bytes:
    return canonical_bytes({**make_question(NETWORK).to_json(), **changes})


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (b"not json", "json_malformed"),
        (b"{}", "document_malformed"),
        (make_question(NETWORK).canonical() + b" ", "question_not_canonical"),
        (changed_question(surprise=1), "document_malformed"),
        (changed_question(filter={"op": "eq", "field": "shoe_size", "value": "44"}), "field_unsupported"),
        (changed_question(filter={"op": "like", "field": "task", "value": "x"}), "field_unsupported"),
        (changed_question(sort={"by": "popularity"}), "field_unsupported"),
        (changed_question(facets=["owner"]), "field_unsupported"),
        (changed_question(operation="join"), "field_unsupported"),
        (changed_question(operation="lineage"), "document_malformed"),
        (changed_question(network="another-network"), "question_network_unknown"),
        (changed_question(stats_revision="0" * 64), "statistics_unknown"),
    ],
)
async def test_what_the_node_does_not_understand_is_unsupported_and_never_dropped(question: bytes, code: str) -> None:
    node = node_with(*FULL_HOUSE)
    answer, attestation = await ask(node, replace(good(), question=question))
    assert (attestation.status, attestation.code, attestation.total) == ("UNSUPPORTED", code, None)
    assert results(answer) == []
    assert node.ledger.count() == 1


@pytest.mark.parametrize(
    "part", [b"{}", Part(("urn:concordat:x",)).canonical(), b'{"cursor":"x","ids":[],"part_version":1}']
)
async def test_a_part_the_node_does_not_understand_is_unsupported(part: bytes) -> None:
    _, attestation = await ask(node_with(*FULL_HOUSE), replace(good(), part=part))
    assert attestation.status == "UNSUPPORTED"


async def test_a_document_that_does_not_fit_the_question_consumes_no_token() -> None:
    """The presenter chose the document, not the requester: the token stays good and nothing is attested."""
    node = node_with(*FULL_HOUSE)
    assert refused_code(await node.handle(replace(good(), document="assets").request())) == "document_mismatch"
    assert node.ledger.count() == 0
    await ask(node)


async def test_a_hidden_and_a_nonexistent_asset_give_the_same_bytes() -> None:
    node_a, node_b = node_with(make_asset("h", SECRET)), node_with()
    hidden = good(make_assets_question(NETWORK), ids=(str(asset_id("h")),))
    first, attestation = await ask(node_a, hidden, "assets")
    second, _ = await ask(node_b, hidden, "assets")
    assert comparable(first) == comparable(second)
    assert (attestation.status, attestation.total) == ("OK", 0)


async def test_with_the_same_randomness_hidden_records_change_no_byte_but_the_log() -> None:
    """Not only what is comparable: the whole attestation is equal, apart from the leaf that stands for the entry."""
    node_a, node_b = node_with(*FULL_HOUSE, make_asset("h", SECRET)), node_with(*FULL_HOUSE)
    first, attested_a = await ask(node_a)
    second, attested_b = await ask(node_b)
    assert results(first) == results(second)
    assert attested_a == attested_b


async def test_the_entry_is_committed_before_the_attestation_exists() -> None:
    order: list[str] = []

    class Watched(Ledger):
        def append(self, entry: LogEntry, *, salt: bytes) -> Logged:
            logged = super().append(entry, salt=salt)
            assert self.count() == 1
            order.append("log")
            return logged

    class Key:
        key_id = NETWORK.keys[NORTH]["attestation"].key_id
        public_jwk = NETWORK.keys[NORTH]["attestation"].public_jwk

        def sign(self, data: bytes) -> bytes:
            order.append("sign")
            return NETWORK.keys[NORTH]["attestation"].sign(data)

    node = node_with(*FULL_HOUSE, ledger=Watched(memory_database()))
    node.door._answering._key = Key()
    _, attestation = await ask(node)
    assert order == ["log", "sign", "sign"]  # the checkpoint and the attestation
    (stored,) = node.ledger.entries()
    assert attestation.log_leaf == stored.leaf


class Unwritable(Ledger):
    def append(self, entry: LogEntry, *, salt: bytes) -> Logged:
        raise LogUnavailable(reason="storage_full")


@pytest.mark.parametrize("purpose", ["GRU", "POA"])
async def test_nothing_is_sent_when_the_entry_cannot_be_written(purpose: str) -> None:
    node = node_with(*FULL_HOUSE, ledger=Unwritable(memory_database()))
    response = await node.handle(good(make_question(NETWORK, purpose=Purpose(purpose))).request())
    assert refused_code(response) == "log_unavailable"
    assert b"attestation" not in response.body


async def test_a_full_disk_refuses_and_ends_by_itself(tmp_path: Path) -> None:
    database = open_ledger_database(tmp_path / "ledger.sqlite")
    node = node_with(*(make_asset(f"n{i}") for i in range(20)), ledger=Ledger(database))
    pages = "PRAGMA max_page_count"
    with database.writer.connect() as connection:
        connection.exec_driver_sql(f"{pages}=1")
        connection.rollback()
    assert refused_code(await node.handle(good().request())) == "log_unavailable"
    with database.writer.connect() as connection:
        connection.exec_driver_sql(f"{pages}=100000")
        connection.rollback()
    await ask(node)


async def test_a_token_is_answered_once_also_across_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    first = node_with(*FULL_HOUSE, ledger=Ledger(open_ledger_database(path)))
    await ask(first)
    assert refused_code(await first.handle(good().request())) == "token_replayed"
    first.ledger.close()
    again = node_with(*FULL_HOUSE, ledger=Ledger(open_ledger_database(path)))
    response = await again.handle(good().request())
    assert refused_code(response) == "token_replayed"
    assert b"attestation" not in response.body


async def test_a_denied_or_unsupported_answer_consumes_its_token_too() -> None:
    node = node_with(*FULL_HOUSE)
    denied = good(make_question(NETWORK, purpose=Purpose("POA")))
    await ask(node, denied)
    assert refused_code(await node.handle(denied.request())) == "token_replayed"


async def test_the_log_says_what_left_to_whom_and_for_what() -> None:
    node = node_with(*FULL_HOUSE)
    asked = good(make_question(NETWORK, text="clinical secrets"), claims=ANALYST)
    answer, attestation = await ask(node, asked)
    (stored,) = node.ledger.entries()
    entry = stored.entry
    assert (entry["issuer"], entry["pseudonym"], entry["token_id"]) == (asked.home, asked.subject, asked.token_id)
    assert entry["purpose"] == Purpose("GRU").to_json()
    assert (entry["status"], entry["total"], entry["decision_id"]) == ("OK", 2, attestation.decision_id)
    released: Any = entry["released"]
    assert [item["asset_id"] for item in released] == [result["card"]["id"] for result in results(answer)]
    assert [item["commitment"] for item in released] == [item.commitment for item in attestation.candidates]
    assert "title" in released[0]["fields"]
    assert "secrets" not in str(entry)
    assert len(unb64u(stored.leaf)) == 32


async def test_a_standing_notice_is_said_whatever_is_asked_and_held() -> None:
    policy = NodePolicy(("GRU",), "standing", "ask_us", "data@north.example")
    for records, question in (
        (FULL_HOUSE, make_question(NETWORK)),
        ((), make_question(NETWORK, text="nothing at all")),
        ((), make_question(NETWORK, purpose=Purpose("POA"))),
    ):
        _, attestation = await ask(node_with(*records, node_policy=policy), good(question))
        assert (attestation.notice.mode, attestation.notice.code) == ("standing", "ask_us")
        assert attestation.notice.contact == "data@north.example"


async def test_the_policy_sees_what_token_and_bundle_say_and_the_nodes_clock() -> None:
    engine = PrescribedEngine()
    await ask(node_with(*FULL_HOUSE, engine=engine, clock=Clock(NOW)), good(claims=ANALYST))
    (request,) = engine.scope_calls
    assert request.now == NOW
    assert request.requester.to_json() == {
        "acr": None,
        "affiliation": "faculty",
        "auth_time": None,
        "clearance": 2,
        "country": "FR",
        "organization": "alma-university",
        "organization_type": "nonprofit",
        "pseudonym": "p-4711",
        "role": "analyst",
        "visas": [],
    }


async def test_a_question_is_answered_through_the_given_worker() -> None:
    calls = 0

    async def counted(call: Callable[[], T]) -> T:
        nonlocal calls
        calls += 1
        return call()

    await ask(node_with(*FULL_HOUSE, run_blocking=counted))
    assert calls == 4  # facts, the requester's grants, index and records, log


async def test_a_failure_of_scope_is_no_permission() -> None:
    class Refusing(PrescribedEngine):
        async def scope(self, request: DecisionRequest) -> Scope:
            raise PolicyUnavailable(cause="undefined")

    _, attestation = await ask(node_with(*FULL_HOUSE, engine=Refusing()))
    assert (attestation.status, attestation.code) == ("DENIED", "policy_unavailable")


async def test_response_is_graphql_over_http() -> None:
    response: WireResponse = await node_with(*FULL_HOUSE).handle(good().request())
    assert response.status == 200
    assert response.headers["content-type"] == "application/graphql-response+json"
    assert response.headers["cache-control"] == "no-store"
