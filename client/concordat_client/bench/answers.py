"""One round of a measurement: a signed question, and the answers that real nodes would give to exactly this token.

Answers are made and signed once per round and said many times: a coordinator does not consume tokens, nodes do, and
here nodes are not what is measured. Everything a coordinator checks is real.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from concordat_client.bench.network import NETWORK_ID, RELAY, BenchNetwork
from concordat_trust.attestation import (
    Attestation,
    AttestedNotice,
    AttestedView,
    Candidate,
    PolicyRevisions,
    record_commitment,
    sign_attestation,
)
from concordat_trust.bundle import TrustedBundle
from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.encoding import b64u, sha256_hex
from concordat_trust.ids import AssetId, OrgId, tie_key
from concordat_trust.query_token import RequesterClaims, mint_query_token
from concordat_trust.question import Part, Purpose, Question
from concordat_trust.ranking import order_key, query_terms, sort_key
from concordat_trust.request_signature import SignedMessage, authority_of, sign_request
from concordat_trust.sealing import SealingKey
from concordat_trust.vocabulary import FACET_FIELDS, Clearance
from concordat_trust.wire.coordinator_documents import COORDINATOR_ASK_ID

HITS = 20
FACETS = FACET_FIELDS[:5]
DEADLINE_MS = 60_000
_CLAIMS = RequesterClaims("faculty", "researcher", Clearance.REGISTERED)
_TOPICS = ("sepsis", "heart failure", "stroke", "diabetes", "asthma")
_DESCRIPTION = (
    "A model for {topic}, trained on clinical trial data of several sites. It was evaluated on patients whom it had "
    "not seen, with the split by site, and calibrated afterwards. Missing laboratory values were imputed by their "
    "median; the code, the weights and the evaluation protocol are part of the release, number {number}."
)


@dataclass(frozen=True, slots=True)
class BenchRound:
    """A question on its way to everybody, as the home organization signed it."""

    network: BenchNetwork
    question: Question
    token: str
    token_id: str
    body: bytes

    def signed_headers(self, *, created: int, nonce: str) -> dict[str, str]:
        """Return the headers of one request; each has its own signature."""
        home = self.network.organizations[0]
        message = SignedMessage(
            method="POST",
            authority=authority_of(self.network.relay_endpoint),
            path="/graphql",
            content_type="application/json",
            authorization=f"Bearer {self.token}",
            body=self.body,
        )
        return sign_request(message, key=self.network.key(home, "request"), created=created, nonce=nonce)


def make_round(network: BenchNetwork, bundle: TrustedBundle, *, number: int, now: int) -> BenchRound:
    """Return the round of this number."""
    question = Question(
        network=NETWORK_ID,
        operation="search",
        purpose=Purpose("HMB"),
        stats_revision=bundle.statistics.revision,
        text="clinical trial model of sepsis or stroke",
        facets=FACETS,
        page_size=HITS,
    )
    home, part = network.organizations[0], Part()
    token_id = b64u(_bytes(f"token {number}")[:16])
    token = mint_query_token(
        key=network.key(home, "query_token"),
        issuer=home,
        subject="p-bench",
        network=NETWORK_ID,
        question=question.canonical(),
        parts={org: part.canonical() for org in network.organizations},
        claims=_CLAIMS,
        presenter=network.key(RELAY, "request").key_id,
        enc=SealingKey.from_seed(_bytes("sealing")).public,
        token_id=token_id,
        now=now,
    )
    parts: JsonObject = {org: part.canonical().decode() for org in network.organizations}
    variables: JsonObject = {
        "deadlineMs": DEADLINE_MS,
        "parts": canonical_bytes(parts).decode(),
        "question": question.canonical().decode(),
    }
    body = canonical_bytes({"documentId": COORDINATOR_ASK_ID, "variables": variables})
    return BenchRound(network, question, token, token_id, body)


def answer_of(org: OrgId, asked: BenchRound, bundle: TrustedBundle, *, now: int) -> bytes:
    """Return the body with which this organization's node answers."""
    statistics = bundle.statistics
    terms = query_terms(asked.question.text, statistics)
    cards = [_card(org, number) for number in range(HITS)]
    keys = {str(card["id"]): sort_key(asked.question, card, terms, statistics) for card in cards}

    def place(card: JsonObject) -> tuple[bool, int, str, str]:
        name = str(card["id"])
        return order_key(asked.question.sort, keys[name], tie_key(name), name)

    cards.sort(key=place)
    salts = [b64u(_bytes(f"salt {card['id']} {asked.token_id}")[:16]) for card in cards]
    candidates = tuple(
        Candidate(record_commitment(card, salt), keys[str(card["id"])], tie_key(str(card["id"])))
        for card, salt in zip(cards, salts, strict=True)
    )
    attestation = _attestation(org, asked, bundle, candidates, cards, now=now)
    results: list[Json] = [{"salt": salt, "card": card, "asset": None} for card, salt in zip(cards, salts, strict=True)]
    jws = sign_attestation(attestation, key=asked.network.key(org, "attestation"))
    answer: JsonObject = {"data": {"search": {"attestation": jws, "results": results}}}
    return json.dumps(answer, separators=(",", ":")).encode()


def _attestation(
    org: OrgId,
    asked: BenchRound,
    bundle: TrustedBundle,
    candidates: tuple[Candidate, ...],
    cards: list[JsonObject],
    *,
    now: int,
) -> Attestation:
    return Attestation(
        organization=org,
        home=asked.network.organizations[0],
        issued_at=now,
        attestation_id=b64u(_bytes(f"attestation {org} {asked.token_id}")[:16]),
        token_id=asked.token_id,
        question_hash=asked.question.hash(),
        part_hash=Part().hash(),
        status="OK",
        code=None,
        decision_id=b64u(_bytes(f"decision {org}")[:16]),
        policy=PolicyRevisions(baseline="cd" * 32, overlay=None),
        bundle=AttestedView.of(bundle.view),
        agreements=(),
        stats_revision=bundle.statistics.revision,
        total=len(candidates),
        facets={field: Counter(str(card[field]) for card in cards) for field in FACETS},
        candidates=candidates,
        notice=AttestedNotice("none"),
        unknown_fields=(),
        valid_until=None,
        log_leaf=b64u(_bytes(f"leaf {org}")),
    )


def _card(org: OrgId, number: int) -> JsonObject:
    topic = _TOPICS[number % len(_TOPICS)]
    return {
        "id": str(AssetId.new(org, "model", _bytes(f"{org} {number}")[:16])),
        "kind": "model",
        "organization": org,
        "level": "FULL",
        "title": f"Clinical model {number} of {topic}",
        "summary": f"Predicts the outcome of {topic} in a trial of several sites",
        "keywords": [topic, "trial", "outcome"],
        "description": _DESCRIPTION.format(topic=topic, number=number),
        "task": ("classification", "regression")[number % 2],
        "framework": "scikit-learn",
        "modality": ("tabular", "imaging", "text")[number % 3],
        "license": "CC-BY-4.0",
        "origin": "clinical",
        "created": f"2026-03-{number + 1:02}",
        "evaluations": [_evaluation("accuracy", f"0.{90 - number}"), _evaluation("auroc", f"0.{95 - number}")],
        "conditions": {"permission": "DUO:0000042", "disease": None, "modifiers": []},
        "masked_fields": [],
        "missing": [],
        "obligations": [],
        "agreement_ids": [],
        "valid_until": None,
    }


def _evaluation(metric: str, value: str) -> JsonObject:
    return {
        "metric": metric,
        "value": value,
        "unit": None,
        "dataset": "trial",
        "dataset_id": None,
        "split": "test",
        "interval_low": None,
        "interval_high": None,
        "version": "",
    }


def _bytes(label: str) -> bytes:
    return bytes.fromhex(sha256_hex(label.encode()))
