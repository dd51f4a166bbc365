"""Good node answers, signed over given cards by the real keys of a network; and a good saved answer made of them.

    network = demo_network()
    cards = [make_card("north-hospital", "sepsis")]
    answer = make_answer(network, cards, org="north-hospital")           # ready for verify_node_answer
    answer = make_answer(network, cards, org="north-hospital", total=5)  # any attested member can be made wrong

Everything is deterministic. Ids and salts come from names, so a card is the same in every test.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from concordat_trust.answer import (
    NodeAnswer,
    OpenResult,
    OpenSealed,
    SavedAnswer,
    SavedNodeAnswer,
    VerifiedAnswer,
    verify_node_answer,
)
from concordat_trust.attestation import (
    Attestation,
    AttestedNotice,
    AttestedView,
    Candidate,
    PolicyRevisions,
    record_commitment,
    sign_attestation,
)
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.checkpoint import Checkpoint, sign_checkpoint
from concordat_trust.delivery import DeliveredAnswer, Delivery, sign_delivery
from concordat_trust.encoding import b64u, sha256_b64u, unb64u
from concordat_trust.ids import AssetId, AssetKind, OrgId, tie_key
from concordat_trust.jose import Signer
from concordat_trust.log_proof import grow, node_hash
from concordat_trust.merge import Reported, merge
from concordat_trust.query_token import RequesterClaims, mint_query_token
from concordat_trust.question import Part, Purpose, Question, candidate_count
from concordat_trust.ranking import impacts_of_card, matches_text, named_key, order_key, query_terms, sort_key
from concordat_trust.receipt import Receipt
from concordat_trust.records import ASSET_FIELDS
from concordat_trust.sealed_part import SealedPart
from concordat_trust.sealing import SealContext, SealingKey, open_text, seal_text
from concordat_trust.vocabulary import Clearance
from tests.factories.network import COORDINATOR, NETWORK_ID, NOW, TestNetwork, make_network

HOME = OrgId.parse("alma-university")
NORTH = OrgId.parse("north-hospital")
VITALIS = OrgId.parse("vitalis")
RELAY = OrgId.parse(COORDINATOR)
PART = Part()
CLAIMS = RequesterClaims("researcher", "analyst", Clearance.CONTROLLED)


def digest16(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()[:16]


TOKEN_ID = b64u(digest16("query token"))
SEALING_KEY = SealingKey.from_seed(hashlib.sha256(b"sealing key").digest())


@lru_cache
def demo_network() -> TestNetwork:
    """Return the default network, founded once for all tests: nothing in it can be changed."""
    return make_network()


def make_question(network: TestNetwork | None = None, **changes: Any) -> Question:
    """Return a text search with two facets; `changes` are fields of `Question`."""
    statistics = (network or demo_network()).bundle.statistics
    fields: dict[str, Any] = {
        "network": NETWORK_ID,
        "operation": "search",
        "purpose": Purpose("HMB"),
        "stats_revision": statistics.revision,
        "text": "clinical trial",
        "facets": ("kind", "task"),
    }
    return Question(**(fields | changes))


def make_assets_question(network: TestNetwork | None = None) -> Question:
    return make_question(network, operation="assets", projection="asset", text="", facets=())


def asset_id(org: str, name: str, kind: AssetKind = "model") -> str:
    return str(AssetId.new(OrgId.parse(org), kind, digest16(f"{org} {name}")))


def make_card(
    org: str = "north-hospital", name: str = "sepsis", *, kind: AssetKind = "model", **changes: Any
) -> JsonObject:
    """Return a good FULL card that the default question matches; `changes` replace whole fields."""
    card: JsonObject = {
        "id": asset_id(org, name, kind),
        "kind": kind,
        "organization": org,
        "level": "FULL",
        "title": f"Clinical {name} model",
        "summary": f"Predicts {name} in a multi-site trial",
        "keywords": [name, "trial"],
        "description": f"A model of {name}, trained on clinical trial data of three sites.",
        "task": "classification",
        "framework": "scikit-learn",
        "modality": "tabular",
        "license": "CC-BY-4.0",
        "origin": "simulated",
        "created": "2026-03-01",
        "evaluations": [make_evaluation()],
        "conditions": {"permission": "DUO:0000042", "disease": None, "modifiers": []},
        "masked_fields": [],
        "missing": [],
        "obligations": [],
        "agreement_ids": [],
        "valid_until": None,
    }
    return card | changes


def make_asset(org: str = "north-hospital", name: str = "sepsis", **changes: Any) -> JsonObject:
    """Return a good asset; `changes` replace whole fields."""
    more: JsonObject = dict.fromkeys(ASSET_FIELDS)
    more |= {"version": "1", "trained_on": [], "agreements": [], "sensitivity": 1}
    return more | make_card(org, name) | changes


def make_evaluation(metric: str = "accuracy", value: str = "0.94", split: str = "test") -> JsonObject:
    return {
        "metric": metric,
        "value": value,
        "unit": None,
        "dataset": "trial",
        "dataset_id": None,
        "split": split,
        "interval_low": None,
        "interval_high": None,
        "version": "",
    }


def salt_of(record: Mapping[str, Json]) -> str:
    return b64u(digest16(f"salt of {record['id']}"))


def in_order(network: TestNetwork, question: Question, records: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the records that match the text, in the order of an answer."""
    statistics = network.bundle.statistics
    terms = query_terms(question.text, statistics)
    found = [record for record in records if not terms or matches_text(terms, impacts_of_card(record, statistics))]

    def key(record: JsonObject) -> tuple[bool, int, str, str]:
        name = str(record["id"])
        return order_key(question.sort, _key(question, record, network), tie_key(name), name)

    return sorted(found, key=key)


def _key(question: Question, record: JsonObject, network: TestNetwork) -> int | None:
    # These nodes answer by id only what the part names.
    if question.operation == "lineage":
        return named_key(question, is_named=True)
    statistics = network.bundle.statistics
    return sort_key(question, record, query_terms(question.text, statistics), statistics)


def make_attestation(
    network: TestNetwork,
    records: Sequence[JsonObject],
    *,
    org: str,
    question: Question | None = None,
    part: Part = PART,
    **changes: Any,
) -> Attestation:
    """Return what an honest node states about these matching records; `changes` are fields of `Attestation`."""
    question = question or make_question(network)
    ordered = in_order(network, question, records)
    released = ordered if question.operation == "assets" else ordered[: candidate_count(question)]
    statistics = network.bundle.statistics
    good = Attestation(
        organization=OrgId.parse(org),
        home=HOME,
        issued_at=NOW,
        attestation_id=b64u(digest16(f"attestation of {org}")),
        token_id=TOKEN_ID,
        question_hash=question.hash(),
        part_hash=part.hash(),
        status="OK",
        code=None,
        decision_id=b64u(digest16(f"decision of {org}")),
        policy=PolicyRevisions(baseline="cd" * 32, overlay=None),
        bundle=AttestedView.of(network.bundle.view),
        agreements=(),
        stats_revision=statistics.revision,
        total=len(ordered),
        facets={field: Counter(str(r[field]) for r in ordered if r[field]) for field in question.facets},
        candidates=tuple(
            Candidate(
                record_commitment(record, salt_of(record)),
                _key(question, record, network),
                tie_key(str(record["id"])),
            )
            for record in released
        ),
        notice=AttestedNotice("none"),
        unknown_fields=(),
        valid_until=None,
        log_leaf=sha256_b64u(org.encode()),
    )
    return replace(good, **changes)


def make_answer(
    network: TestNetwork,
    records: Sequence[JsonObject],
    *,
    org: str,
    question: Question | None = None,
    part: Part = PART,
    sealed: frozenset[str] = frozenset(),
    **changes: Any,
) -> NodeAnswer:
    """Return an honest, signed answer over these records.

    `sealed` are ids of records that no relay may read: with one of them only SEALING_KEY opens what follows from any.
    `changes` are attested members that are made wrong. The keys that sign are those of `org`, whatever `changes` say.
    """
    question = question or make_question(network)
    attestation = make_attestation(network, records, org=org, question=question, part=part, **changes)
    released = in_order(network, question, records)[: len(attestation.candidates)]
    results = tuple(OpenResult(salt_of(record), record) for record in released)
    if sealed.isdisjoint(str(record["id"]) for record in records):
        return signed_answer(network, attestation, results, org=org)
    return sealed_answer(network, attestation, results, org=org)


def sealed_answer(
    network: TestNetwork,
    whole: Attestation,
    results: Sequence[OpenResult],
    *,
    org: str,
    to: str = SEALING_KEY.public,
    cursors: str | None = None,
    **outside: Any,
) -> NodeAnswer:
    """Return the same answer sealed to a key; `outside` are attested members that stand beside the sealed part."""
    part = sealed_part_of(whole, results, cursors)
    text = part.to_text()
    said: dict[str, Any] = {"sealed": sha256_b64u(text), **NOTHING_OUTSIDE, **outside}
    place = SealContext(whole.organization, whole.token_id, whole.question_hash)
    answer = signed_answer(network, replace(whole, **said), (), org=org)
    return replace(answer, sealed=seal_text(text, to=to, context=place))


NOTHING_OUTSIDE: Mapping[str, Any] = {
    "total": None,
    "facets": {},
    "candidates": (),
    "agreements": (),
    "valid_until": None,
    "cursor": None,
}


def sealed_part_of(whole: Attestation, results: Sequence[OpenResult], cursor: str | None = None) -> SealedPart:
    """Return the part that says what `whole` states of records."""
    return SealedPart(
        fresh=b64u(digest16(f"fresh of {whole.organization}")),
        total=whole.total,
        facets=whole.facets,
        candidates=whole.candidates,
        agreements=whole.agreements,
        valid_until=whole.valid_until,
        cursor=cursor,
        results=tuple(results),
    )


def signed_answer(
    network: TestNetwork, attestation: Attestation, results: Sequence[OpenResult], *, org: str
) -> NodeAnswer:
    """Return the answer of `org`, signed by its key, with exactly these results."""
    organization = OrgId.parse(org)
    key = network.keys[organization]["attestation"]
    jws = sign_attestation(attestation, key=key)
    return NodeAnswer(organization, jws, tuple(results), make_receipt(attestation, org=organization, key=key).to_text())


def make_receipt(attestation: Attestation, *, org: OrgId, key: Signer, **changes: Any) -> Receipt:
    """Return an honest receipt: the answer is the fourth entry of its log. `changes` are fields of `Checkpoint`."""
    leaf = unb64u(attestation.log_leaf)
    older = [hashlib.sha256(f"entry {number} of {org}".encode()).digest() for number in range(3)]
    grown = grow([node_hash(older[0], older[1]), older[2]], 3, leaf)
    good = Checkpoint(org, NETWORK_ID, 4, grown.root, attestation.issued_at)
    jws = sign_checkpoint(replace(good, **changes), key=key)
    return Receipt(attestation.log_leaf, 3, 4, grown.path, jws)


def verified(
    network: TestNetwork,
    answer: NodeAnswer,
    *,
    question: Question | None = None,
    part: Part = PART,
    **changes: Any,
) -> VerifiedAnswer:
    """Verify an answer as the home node does; `changes` are arguments of `verify_node_answer`."""
    arguments: dict[str, Any] = {
        "org": answer.org,
        "question": question or make_question(network),
        "part": part,
        "token_id": TOKEN_ID,
        "home": HOME,
        "bundle": network.bundle,
        "open_sealed": None,
        "asked_at": NOW,
    }
    return verify_node_answer(answer, **(arguments | changes))


def open_with(key: SealingKey) -> OpenSealed:
    """Return what the home node opens sealed parts with."""
    return lambda sealed, place: open_text(sealed, key=key, context=place)


def make_token(network: TestNetwork, question: Question, orgs: Sequence[OrgId], **changes: Any) -> str:
    """Return a query token of HOME's trial analyst, presented by the coordinator."""
    arguments: dict[str, Any] = {
        "key": network.keys[HOME]["query_token"],
        "issuer": HOME,
        "subject": "p-4711",
        "network": NETWORK_ID,
        "question": question.canonical(),
        "parts": {org: PART.canonical() for org in orgs},
        "claims": CLAIMS,
        "presenter": network.keys[RELAY]["request"].key_id,
        "enc": SEALING_KEY.public,
        "token_id": TOKEN_ID,
        "now": NOW,
    }
    return mint_query_token(**(arguments | changes))


def make_delivery(
    network: TestNetwork,
    question: Question,
    answers: Sequence[NodeAnswer],
    reported: Mapping[OrgId, Reported],
    /,
    **changes: Any,
) -> str:
    """Return the coordinator's signed delivery of these answers and reports."""
    given = [DeliveredAnswer(a.org, "OK", None, sha256_b64u(a.attestation.encode()), "<100ms") for a in answers]
    failed = [DeliveredAnswer(org, r.status, r.code, None, ">=5s") for org, r in reported.items()]  # type: ignore[arg-type]  # reports of a relay only
    delivery = Delivery(
        coordinator=RELAY,
        home=HOME,
        issued_at=NOW + 2,
        delivery_id=b64u(digest16("delivery")),
        token_id=TOKEN_ID,
        question_hash=question.hash(),
        answers=tuple(sorted([*given, *failed], key=lambda answer: answer.organization)),
    )
    return sign_delivery(replace(delivery, **changes), key=network.keys[RELAY]["delivery"])


def make_saved(
    network: TestNetwork | None = None,
    records: Mapping[OrgId, Sequence[JsonObject]] | None = None,
    reported: Mapping[OrgId, Reported] | None = None,
) -> SavedAnswer:
    """Return a good saved answer: two organizations answered, one timed out, unless told otherwise."""
    network = network or demo_network()
    question = make_question(network)
    if records is None:
        records = {
            HOME: [make_card(HOME, "diabetes")],
            NORTH: [make_card(NORTH, "sepsis"), make_card(NORTH, "heart failure")],
        }
    reported = {VITALIS: Reported("TIMEOUT", "peer_timeout")} if reported is None else reported
    answers = [make_answer(network, cards, org=org, question=question) for org, cards in records.items()]
    checked = [verified(network, answer, question=question) for answer in answers]
    orgs = sorted({*records, *reported})
    bundle = network.bundle
    return SavedAnswer(
        network=NETWORK_ID,
        root_sha256=network.root_sha256,
        question=question,
        parts=dict.fromkeys(orgs, PART),
        token=make_token(network, question, orgs),
        tokens=None,
        delivery=make_delivery(network, question, answers, reported),
        answers={answer.org: _saved(answer) for answer in answers},
        reported=reported,
        result=merge(question, checked, reported, bundle.organizations, bundle.statistics).to_json(),
        saved_at=NOW + 60,
    )


def _saved(answer: NodeAnswer) -> SavedNodeAnswer:
    return SavedNodeAnswer(answer.attestation, answer.results, answer.receipt)
