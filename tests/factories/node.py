"""A node in memory with its real registry, index, gate, log and door; and signed questions to ask it.

Deterministic: keys come from the network factory, randomness from a counter, time from `now`. Decisions are those of
the table that is compared with the real OPA (`TableEngine`) unless a test brings another engine.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import StaticPool, create_engine

from concordat_node.access.cursor import CursorSeal
from concordat_node.access.decisions import ClassDecisions, Registry, RunBlocking
from concordat_node.access.gate import Gate
from concordat_node.answering.answer import Answering
from concordat_node.api.door import NodeDoor
from concordat_node.ledger.ledger import Ledger
from concordat_node.policy.engine import (
    NodePolicy,
    PolicyEngine,
)
from concordat_node.registry.engine import Database
from concordat_node.registry.migrate import upgrade
from concordat_node.registry.records import NO_EMBARGO, AssetRecord, PolicyAttributes
from concordat_node.registry.rules import Imported, ImportedAsset
from concordat_node.registry.store import RegistryStore
from concordat_node.registry.writing import write_batch
from concordat_node.search.index import SearchIndex
from concordat_node.search.index_writer import PostingWriter, ensure_index
from concordat_node.search.posting_index import SqlPostingIndex
from concordat_trust.attestation import ATTESTATION_BYTES_MAX, comparable_answer
from concordat_trust.bundle import TrustedBundle
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.encoding import b64u
from concordat_trust.ids import AssetId, AssetKind, OrgId
from concordat_trust.jose import unverified_claims
from concordat_trust.query_token import RequesterClaims, mint_query_token
from concordat_trust.question import Part, Purpose, Question
from concordat_trust.request_signature import SignedMessage, authority_of, sign_request
from concordat_trust.sealing import TEXT_BYTES_MAX, SealContext, SealingKey, open_text
from concordat_trust.text import TermStatistics
from concordat_trust.vocabulary import Clearance
from concordat_trust.wire.documents import DOCUMENT_IDS
from concordat_trust.wire.transport import WireRequest, WireResponse
from tests.factories.deciding import SUMMARY_MASKS, PrescribedEngine, Prescription, by_clearance, permit, review
from tests.factories.network import NOW, TestNetwork
from tests.factories.policy import TableEngine

__all__ = [
    "ANALYST",
    "GUEST",
    "HOME",
    "NORTH",
    "RELAY",
    "SEALING_KEY",
    "SUMMARY_MASKS",
    "Asking",
    "Clock",
    "Entropy",
    "PrescribedEngine",
    "Prescription",
    "TableEngine",
    "TestNode",
    "answer_of",
    "asking",
    "asset_id",
    "attributes_of",
    "by_clearance",
    "comparable_given",
    "make_asset",
    "make_assets_question",
    "make_lineage_question",
    "make_node",
    "make_question",
    "memory_database",
    "opened_part",
    "permit",
    "refused_code",
    "review",
    "run_directly",
    "told_of",
]

PATIENT_MS = 60_000
"""How long nodes and homes of tests wait for an answer: a busy machine must not turn an answer into a timeout."""

T = TypeVar("T")

HOME = OrgId.parse("alma-university")
NORTH = OrgId.parse("north-hospital")
RELAY = OrgId.parse("relay-one")
SEALING_KEY = SealingKey.from_seed(hashlib.sha256(b"sealing").digest())
GUEST = RequesterClaims("researcher", "guest", Clearance.PUBLIC)
ANALYST = RequesterClaims("faculty", "analyst", Clearance.CONTROLLED)


class Entropy:
    """Bytes from a counter: the same calls give the same bytes."""

    def __init__(self, seed: str = "node") -> None:
        self._seed = seed
        self._calls = 0

    def __call__(self, count: int) -> bytes:
        self._calls += 1
        return hashlib.shake_128(f"{self._seed} {self._calls}".encode()).digest(count)


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


async def run_directly(call: Callable[[], T]) -> T:
    """Run a blocking call in place, as the simulation does."""
    return call()


def attributes_of(kind: AssetKind = "model", **changes: object) -> PolicyAttributes:
    """Return the policy attributes of a public, active asset, with changes."""
    values: dict[str, object] = {
        "kind": kind,
        "sensitivity": 0,
        "permission": "DUO:0000042",
        "disease": None,
        "modifiers": (),
        "agreements": (),
        "approvals": (),
        "discoverable": "none",
        "summary_metrics": False,
        "relay_may_read": True,
        "embargo_until": NO_EMBARGO,
        "status": "active",
    }
    return PolicyAttributes(**{**values, **changes}).in_order()  # type: ignore[arg-type]  # names are the class's own


def asset_id(name: str, kind: AssetKind = "model", org: OrgId = NORTH) -> AssetId:
    return AssetId.new(org, kind, hashlib.sha256(name.encode()).digest()[:16])


def make_asset(
    name: str,
    policy: PolicyAttributes | None = None,
    *,
    kind: AssetKind = "model",
    org: OrgId = NORTH,
    **changes: object,
) -> ImportedAsset:
    """Return an asset of `org` whose id comes from its name, with the attributes of its class."""
    held = attributes_of(kind) if policy is None else policy
    values: dict[str, object] = {
        "id": asset_id(name, kind, org),
        "title": f"{name} title",
        "class_id": held.class_id,
        "created": "2026-03-01",
        "summary": f"A clinical {kind} about {name}.",
        "description": f"Long words about {name}.",
        "keywords": ("clinical", "trial"),
        "task": "classification",
        "framework": "scikit-learn",
        "modality": "tabular",
        "license": "CC-BY-4.0",
        "origin": "simulated",
        "version": "1.0.0",
        "cohort_size": 240,
        "contact": f"data@{org}.example",
    }
    return ImportedAsset(AssetRecord(**{**values, **changes}), held)  # type: ignore[arg-type]  # names are the class's own


def memory_database(image: bytes = b"") -> Database:
    """Return a database in memory, on one connection: empty, or with the content of a database file."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        if image:
            connection.deserialize(image)
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    engine = create_engine("sqlite://", poolclass=StaticPool, creator=connect)
    return Database(engine, engine)


_IMAGES: dict[str, bytes] = {}


def _registry_image(statistics: TermStatistics) -> bytes:
    """Return a migrated registry without records; a migration takes longer than a test."""
    if statistics.revision not in _IMAGES:
        _IMAGES[statistics.revision] = _migrated(statistics)
    return _IMAGES[statistics.revision]


def _migrated(statistics: TermStatistics) -> bytes:
    database = memory_database()
    upgrade(database)
    ensure_index(database, statistics)
    connection = database.writer.raw_connection()
    try:
        driver = connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        return driver.serialize()
    finally:
        connection.close()


@dataclass
class TestNode:
    """A node in memory. `handle` is its door; what lies behind is there for a test to look at or to change."""

    __test__ = False

    organization: OrgId
    door: NodeDoor
    gate: Gate
    ledger: Ledger
    registry: RegistryStore
    database: Database
    engine: PolicyEngine
    clock: Clock
    bundle: TrustedBundle | None

    async def handle(self, request: WireRequest) -> WireResponse:
        return await self.door.handle(request)

    def write(self, records: Sequence[Imported]) -> None:
        """Import more records, as the import command does."""
        assert self.bundle is not None
        with self.database.writing() as connection:
            write_batch(connection, records, PostingWriter(self.bundle.statistics), now=self.clock())


def make_node(
    network: TestNetwork,
    org: str,
    records: Sequence[Imported] = (),
    *,
    engine: PolicyEngine | None = None,
    node_policy: NodePolicy | None = None,
    clock: Clock | None = None,
    entropy: Callable[[int], bytes] | None = None,
    ledger: Ledger | None = None,
    registry: Callable[[RegistryStore], Registry] = lambda store: store,
    index: Callable[[SqlPostingIndex], SearchIndex] = lambda index: index,
    run_blocking: RunBlocking = run_directly,
    decisions_remembered_s: int = 30,
    answer_timeout_ms: int = PATIENT_MS,
    questions_max: int = 8,
) -> TestNode:
    """Return a node of `org` that holds `records`; `registry` and `index` may wrap the real ones."""
    organization = OrgId.parse(org)
    clock = Clock() if clock is None else clock
    entropy = Entropy(org) if entropy is None else entropy
    database = memory_database(_registry_image(network.bundle.statistics))
    store = RegistryStore(database)
    policy_engine = TableEngine() if engine is None else engine
    ledger = Ledger(memory_database()) if ledger is None else ledger
    decisions = ClassDecisions(
        engine=policy_engine,
        registry=registry(store),
        run_blocking=run_blocking,
        remembered_s=decisions_remembered_s,
    )
    gate = Gate(
        organization=organization,
        registry=registry(store),
        index=index(SqlPostingIndex(database)),
        engine=policy_engine,
        decisions=decisions,
        run_blocking=run_blocking,
        entropy=entropy,
    )
    node: TestNode
    answering = Answering(
        organization=organization,
        node_policy=node_policy or NodePolicy(purposes_admitted=("GRU", "HMB", "DS", "MDS")),
        engine=policy_engine,
        decisions=decisions,
        gate=gate,
        ledger=ledger,
        cursors=CursorSeal(hashlib.sha256(f"cursors {org}".encode()).digest()),
        key=network.keys[organization]["attestation"],
        bundle=lambda: node.bundle,
        run_blocking=run_blocking,
        clock=clock,
        entropy=entropy,
    )
    door = NodeDoor(
        organization=organization,
        bundle=lambda: node.bundle,
        answering=answering,
        clock=clock,
        request_bytes_max=131_072,
        answer_timeout_ms=answer_timeout_ms,
        questions_max=questions_max,
    )
    node = TestNode(organization, door, gate, ledger, store, database, policy_engine, clock, network.bundle)
    node.write(records)
    return node


def make_question(network: TestNetwork, **changes: object) -> Question:
    """Return a search for everything, for general research, with changes."""
    values: dict[str, object] = {
        "network": network.bundle.network.id,
        "operation": "search",
        "purpose": Purpose("GRU"),
        "stats_revision": network.bundle.statistics.revision,
    }
    return Question(**{**values, **changes})  # type: ignore[arg-type]  # names are those of Question


def make_assets_question(network: TestNetwork, **changes: object) -> Question:
    return make_question(network, **{"operation": "assets", "projection": "asset", **changes})


def make_lineage_question(network: TestNetwork, **changes: object) -> Question:
    """Return the question what the ids of the part came from, with changes."""
    lineage = {"operation": "lineage", "projection": "lineageVertex", "direction": "up"}
    return make_question(network, **{**lineage, **changes})


@dataclass(frozen=True)
class Asking:
    """A signed question under construction: change one thing with `replace`, then `request()`."""

    network: TestNetwork
    question: bytes
    to: OrgId = NORTH
    part: bytes = Part().canonical()
    home: OrgId = HOME
    presenter: OrgId = RELAY
    claims: RequesterClaims = GUEST
    subject: str = "p-4711"
    token_id: str = b64u(hashlib.sha256(b"token").digest()[:16])
    document: str = "search"
    now: int = NOW
    timeout_ms: str | None = None

    def token(self) -> str:
        keys = self.network.keys
        return mint_query_token(
            key=keys[self.home]["query_token"],
            issuer=self.home,
            subject=self.subject,
            network=self.network.bundle.network.id,
            question=self.question,
            parts={self.to: self.part},
            claims=self.claims,
            presenter=keys[self.presenter]["request"].key_id,
            enc=SEALING_KEY.public,
            token_id=self.token_id,
            now=self.now,
        )

    def body(self) -> bytes:
        variables: JsonObject = {"part": self.part.decode(), "question": self.question.decode()}
        return canonical_bytes({"documentId": DOCUMENT_IDS[self.document], "variables": variables})

    def request(self, *, token: str | None = None, body: bytes | None = None) -> WireRequest:
        return self.signed(self.token() if token is None else token, self.body() if body is None else body)

    def signed(self, token: str, body: bytes) -> WireRequest:
        message = SignedMessage(
            method="POST",
            authority=authority_of(self.network.bundle.member(self.to).endpoint),
            path="/graphql",
            content_type="application/json",
            authorization=f"Bearer {token}",
            body=body,
        )
        key = self.network.keys[self.presenter]["request"]
        headers = sign_request(message, key=key, created=self.now, nonce=b64u(hashlib.sha256(body).digest()[:16]))
        if self.timeout_ms is not None:
            headers["concordat-timeout-ms"] = self.timeout_ms
        return WireRequest("POST", "/graphql", headers, body)


def asking(network: TestNetwork, question: Question, *, ids: Sequence[str] = (), **changes: object) -> Asking:
    """Return the asking of `question`, with the ids in the part."""
    values: dict[str, object] = {
        "network": network,
        "question": question.canonical(),
        "part": Part(tuple(ids)).canonical(),
        "document": question.operation,
    }
    return Asking(**{**values, **changes})  # type: ignore[arg-type]  # names are those of Asking


def refused_code(response: WireResponse) -> str:
    """Return the code of an unsigned refusal."""
    body = parse_object(response.body, bytes_max=100_000)
    assert response.status >= 400
    assert "data" not in body
    errors = body["errors"]
    assert isinstance(errors, list)
    assert isinstance(errors[0], dict)
    return str(errors[0]["message"])


def answer_of(response: WireResponse, field_name: str = "search") -> JsonObject:
    """Return the NodeAnswer of a given answer."""
    assert response.status == 200, response.body
    data = parse_object(response.body, bytes_max=4_000_000)["data"]
    assert isinstance(data, dict)
    answer = data[field_name]
    assert isinstance(answer, dict)
    return answer


def opened_part(answer: Mapping[str, Json], key: SealingKey = SEALING_KEY) -> JsonObject | None:
    """Return what a sealed answer says inside, None when it is open."""
    if answer.get("sealed") is None:
        return None
    claims = unverified_claims(str(answer["attestation"]), bytes_max=ATTESTATION_BYTES_MAX)
    place = SealContext(OrgId.parse(str(claims["iss"])), str(claims["tid"]), str(claims["qh"]))
    return parse_object(open_text(str(answer["sealed"]), key=key, context=place), bytes_max=TEXT_BYTES_MAX)


def told_of(answer: Mapping[str, Json]) -> dict[str, Any]:
    """Return what an answer states in all: the claims of its attestation, and over them what is sealed for home."""
    claims = unverified_claims(str(answer["attestation"]), bytes_max=ATTESTATION_BYTES_MAX)
    return {**claims, "results": answer["results"], **(opened_part(answer) or {})}


def comparable_given(answer: Mapping[str, Json], *, key: SealingKey = SEALING_KEY, proof: bool = True) -> bytes:
    """Return an answer as the non-interference tests compare it, with its sealed part opened."""
    results = answer["results"]
    assert isinstance(results, list)
    return comparable_answer(
        str(answer["attestation"]),
        [item for item in results if isinstance(item, dict)],
        str(answer["receipt"]) if proof else None,
        sealed=None if answer["sealed"] is None else str(answer["sealed"]),
        opened=opened_part(answer, key),
    )
