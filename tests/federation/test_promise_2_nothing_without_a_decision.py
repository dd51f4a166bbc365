"""Promise 2: nothing leaves a node without a decision.

Every asset of these tests carries one word in every field that can. Whatever breaks (the policy, the log, the
registry, the program itself), that word is in no byte of any answer, nor in what the door writes to its own log.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import httpx
import pytest

from concordat_node.answering.given import GivenAnswer
from concordat_node.api.http import node_app
from concordat_node.ledger.entry import LogEntry
from concordat_node.ledger.ledger import Ledger, Logged, LogUnavailable
from concordat_node.policy.engine import Mask, PolicyUnavailable
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.registry.errors import StorageFailed
from concordat_node.registry.records import EvaluationRecord
from concordat_node.registry.store import RegistryStore
from concordat_trust.attestation import verify_attestation
from concordat_trust.canonical import JsonObject
from concordat_trust.filters import Equals, TrainedOn
from concordat_trust.question import Purpose, Sort
from concordat_trust.vocabulary import MASKABLE_FIELDS
from concordat_trust.wire.transport import WireRequest, WireResponse
from tests.factories.network import NOW, make_network
from tests.factories.node import (
    ANALYST,
    Asking,
    PrescribedEngine,
    TestNode,
    answer_of,
    asking,
    asset_id,
    attributes_of,
    make_asset,
    make_assets_question,
    make_node,
    make_question,
    memory_database,
    permit,
    refused_code,
)

T = TypeVar("T")

NETWORK = make_network()
WORD = "zqxcanary"
IDS = (str(asset_id(WORD)), str(asset_id(WORD, "dataset")))
OPEN = attributes_of()
PERMIT: JsonObject = {
    "verdict": "permit",
    "level": "FULL",
    "masks": {},
    "obligations": [],
    "reasons": [],
    "missing": [],
    "agreement_ids": [],
    "relay_may_read": True,
    "valid_until": None,
}
DENY: JsonObject = {**PERMIT, "verdict": "deny", "level": "NONE"}
ADMITTED: JsonObject = {"admitted": True, "code": None, "notice": {"mode": "none", "code": None, "contact": None}}


def canary(policy: Any = OPEN, *, kind: Any = "model", **changes: Any) -> Any:
    """Return an asset that says the word in every field that holds text."""
    texts = ("title", "summary", "description", "task", "framework", "modality", "license", "origin", "version")
    values: dict[str, Any] = {name: f"{WORD} {name}" for name in (*texts, "contact")}
    values |= {"task": WORD, "framework": WORD, "keywords": (WORD,), "cohort_size": 987_654}
    values["evaluations"] = (EvaluationRecord("accuracy", "0.95", "test", dataset=WORD),) if kind == "model" else ()
    return make_asset(WORD, policy, kind=kind, **{**values, **changes})


def both(sensitivity: int = 0) -> tuple[Any, Any]:
    """Return a data set and a model that was trained on it."""
    dataset = canary(attributes_of("dataset", sensitivity=sensitivity), kind="dataset")
    return dataset, canary(attributes_of(sensitivity=sensitivity), trained_on=(dataset.record.id,))


def doors() -> Iterator[Asking]:
    """Yield a question for every door of a node, each with a token of its own."""
    facets = ("kind", "task", "framework", "modality", "license", "origin")
    questions = (
        make_question(NETWORK, facets=facets),
        make_question(NETWORK, text=WORD, facets=facets),
        make_question(NETWORK, text=WORD, sort=Sort("created", order="desc")),
        make_question(NETWORK, sort=Sort("metric", metric="accuracy", order="desc"), facets=("task",)),
        make_question(NETWORK, filter=Equals("task", WORD), facets=("framework",)),
        make_question(NETWORK, filter=TrainedOn(WORD)),
        make_question(NETWORK, purpose=Purpose("POA")),
        make_question(NETWORK, text=WORD, stats_revision="0" * 64),
    )
    asked = [asking(NETWORK, question) for question in questions]
    asked.append(asking(NETWORK, make_assets_question(NETWORK), ids=IDS))
    asked.append(asking(NETWORK, make_assets_question(NETWORK), document="search", ids=IDS))
    for number, one in enumerate(asked):
        yield Asking(**{**_members(one), "claims": ANALYST, "token_id": f"{number:022d}"})


def _members(asked: Asking) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in Asking.__dataclass_fields__}


def everything_said(response: WireResponse) -> str:
    """Return all that leaves: status, headers, body, and what the body's signed statements claim inside."""
    body = response.body.decode()
    inside = [_decoded(part) for part in body.replace('"', ".").split(".") if part.startswith("eyJ")]
    return " ".join([str(response.status), *response.headers, *response.headers.values(), body, *inside]).lower()


def _decoded(part: str) -> str:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode("utf-8", errors="replace")


async def said_at_every_door(node: TestNode) -> list[str]:
    return [everything_said(await node.handle(asked.request())) for asked in doors()]


async def nothing_of_a_record_leaves(node: TestNode, caplog: pytest.LogCaptureFixture) -> list[str]:
    with caplog.at_level(logging.DEBUG):
        said = await said_at_every_door(node)
    assert [text for text in said if WORD in text or "987654" in text] == []
    assert WORD not in caplog.text.lower()
    return said


async def test_promise_2_the_doors_of_these_tests_are_open_when_policy_permits() -> None:
    """The control: without it, all the rest could pass because nothing is ever said."""
    node = make_node(NETWORK, "north-hospital", both(), engine=PrescribedEngine(lambda _, held: permit(held)))
    said = await said_at_every_door(node)
    assert [WORD in text for text in said] == [True] * 6 + [False] * 2 + [True, False]


async def test_promise_2_what_policy_denies_leaves_through_no_door(caplog: pytest.LogCaptureFixture) -> None:
    node = make_node(NETWORK, "north-hospital", both(sensitivity=3))
    said = await nothing_of_a_record_leaves(node, caplog)
    assert [text for text in said if IDS[0] in text or IDS[1] in text] == []


async def test_promise_2_a_hidden_field_leaves_through_no_door(caplog: pytest.LogCaptureFixture) -> None:
    """Everything that can be masked is masked: the records are listed, and of their content no door says a byte."""
    engine = PrescribedEngine(lambda _, held: permit(held, masks={name: Mask() for name in MASKABLE_FIELDS}))
    node = make_node(NETWORK, "north-hospital", both(), engine=engine)
    said = await nothing_of_a_record_leaves(node, caplog)
    # Listed where nothing hidden is asked for (doors 0, 3 and 8), and found nowhere by what is hidden.
    assert [IDS[0] in text for text in said] == [number in (0, 3, 8) for number in range(len(said))]


class Says:
    """A policy engine behind which every rule has the same value; `scope` may be decided well before."""

    revision = "00" * 32

    def __init__(self, value: object, *, is_scope_good: bool) -> None:
        self._value = value
        self._is_scope_good = is_scope_good

    async def evaluate(self, rule: str, document: JsonObject) -> object:
        if self._is_scope_good and rule.endswith("scope"):
            return ADMITTED
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


_CLASS = OPEN.class_id
WRONG: dict[str, object] = {
    "dead": PolicyUnavailable(cause="unreachable"),
    "late": PolicyUnavailable(cause="timeout"),
    "a bug": RuntimeError("a bug of the engine"),
    "nothing": None,
    "an empty object": {},
    "an empty list": [],
    "yes": True,
    "a word": "permit",
    "a number": 1,
    "permit without a canary": {_CLASS: PERMIT},
    "everything permitted": {_CLASS: PERMIT, "canary": PERMIT},
    "an empty decision": {_CLASS: {}, "canary": DENY},
    "null for a decision": {_CLASS: None, "canary": DENY},
    "true for a decision": {_CLASS: True, "canary": DENY},
    "no decision": {"canary": DENY},
    "a decision without masks": {_CLASS: {k: v for k, v in PERMIT.items() if k != "masks"}, "canary": DENY},
    "masks of another type": {_CLASS: {**PERMIT, "masks": []}, "canary": DENY},
    "a mask nobody knows": {_CLASS: {**PERMIT, "masks": {"titel": {"op": "hide"}}}, "canary": DENY},
    "a contradiction": {_CLASS: {**PERMIT, "verdict": "deny"}, "canary": DENY},
    "a level as a number": {_CLASS: {**PERMIT, "level": 3}, "canary": DENY},
    "an ended permission": {_CLASS: {**PERMIT, "valid_until": NOW}, "canary": DENY},
    "permitted, then no page": {_CLASS: PERMIT, "canary": DENY},
    "a page for classes": [PERMIT, DENY],
}


@pytest.mark.parametrize("is_scope_good", [True, False])
@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
async def test_promise_2_a_policy_that_says_nothing_opens_no_door(
    value: object, is_scope_good: bool, caplog: pytest.LogCaptureFixture
) -> None:
    engine = OpaPolicyEngine(Says(value, is_scope_good=is_scope_good))
    node = make_node(NETWORK, "north-hospital", (canary(),), engine=engine)
    said = await nothing_of_a_record_leaves(node, caplog)
    assert all(IDS[0] not in text for text in said)


@pytest.mark.parametrize("method", ["classes", "assets", "class_attributes", "agreements"])
@pytest.mark.parametrize("error", [StorageFailed(reason="ioerr"), RuntimeError("a bug of the registry")])
async def test_promise_2_a_registry_that_fails_opens_no_door(
    method: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(store: RegistryStore) -> RegistryStore:
        def fail(*_: object) -> Any:
            raise error

        setattr(store, method, fail)
        return store

    await nothing_of_a_record_leaves(make_node(NETWORK, "north-hospital", (canary(),), registry=broken), caplog)


class Unwritable(Ledger):
    """A log whose entry cannot be committed."""

    def __init__(self, error: Exception) -> None:
        super().__init__(memory_database())
        self._error = error

    def append(self, entry: LogEntry, *, salt: bytes) -> Logged:
        raise self._error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LogUnavailable(reason="storage_full"), "log_unavailable"),
        (StorageFailed(reason="ioerr"), "node_failed"),
        (OSError("no space left"), "node_failed"),
    ],
)
async def test_promise_2_without_a_log_entry_nothing_leaves_but_a_code(
    error: Exception, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    node = make_node(NETWORK, "north-hospital", (canary(),), ledger=Unwritable(error))
    await nothing_of_a_record_leaves(node, caplog)
    *most, mismatched = [await node.handle(asked.request()) for asked in doors()]
    assert {refused_code(response) for response in most} == {code}
    assert refused_code(mismatched) == "document_mismatch"
    assert all(b"attestation" not in response.body for response in most)


class Held:
    """Runs blocking calls in place, but keeps the log's from starting until the test lets it."""

    def __init__(self) -> None:
        self.may_write = asyncio.Event()

    async def __call__(self, call: Callable[[], T]) -> T:
        if isinstance(call, partial) and getattr(call.func, "__name__", "") == "append":
            await self.may_write.wait()
        return call()


async def test_promise_2_no_answer_before_its_log_entry_is_committed() -> None:
    held = Held()
    node = make_node(NETWORK, "north-hospital", (canary(),), run_blocking=held, questions_max=50)
    waiting = [asyncio.create_task(node.handle(asked.request())) for asked in doors()][:-1]
    for _ in range(200):
        await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    assert node.ledger.count() == 0
    held.may_write.set()
    responses = await asyncio.gather(*waiting)
    assert {response.status for response in responses} == {200}
    logged = {stored.leaf for stored in node.ledger.entries()}
    assert {_leaf(response) for response in responses} == logged
    assert len(logged) == len(responses)


def _leaf(response: WireResponse) -> str:
    operation = "search" if b'"search"' in response.body else "assets"
    jws = str(answer_of(response, operation)["attestation"])
    return verify_attestation(jws, bundle=NETWORK.bundle, at=NOW).log_leaf


class GivesRaw:
    """An answering that forgot the gate."""

    async def answer(self, _admitted: object) -> GivenAnswer:
        raw: Any = (canary().record,)
        return GivenAnswer("a.b.c", raw, "{}")


async def test_promise_2_a_raw_record_leaves_through_no_door(caplog: pytest.LogCaptureFixture) -> None:
    node = make_node(NETWORK, "north-hospital", (canary(),))
    node.door._answering = GivesRaw()  # type: ignore[assignment]  # what mypy refuses must be refused at run time too
    await nothing_of_a_record_leaves(node, caplog)
    assert {refused_code(await node.handle(asked.request())) for asked in doors()} == {"node_failed"}


async def test_promise_2_over_http_an_error_says_no_more_than_its_code(caplog: pytest.LogCaptureFixture) -> None:
    node = make_node(NETWORK, "north-hospital", (canary(),))
    node.door._answering = GivesRaw()  # type: ignore[assignment]  # as above
    app = node_app(node.door, is_ready=lambda: True, request_bytes_max=131_072)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://north-hospital.example") as client:
        with caplog.at_level(logging.DEBUG):
            for asked in doors():
                response = await client.send(_over_http(client, asked.request()))
                assert response.status_code == 500
                shown = f"{response.text} {response.headers}".lower()
                assert WORD not in shown
                assert "title" not in shown
            for path in ("/", "/docs", "/openapi.json", "/graphql", f"/assets/{asset_id(WORD)}", "/readyz", "/livez"):
                assert WORD not in (await client.get(path)).text.lower()
    assert f"{WORD} title" not in caplog.text.lower()


def _over_http(client: httpx.AsyncClient, request: WireRequest) -> httpx.Request:
    return client.build_request(request.method, request.path, headers=dict(request.headers), content=request.body)
