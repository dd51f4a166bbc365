"""What a relay checks of a home node's request: one good request, and one thing broken at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from concordat_coordinator.admission import Ask, admit, read_signed
from concordat_coordinator.cost import Limits
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from concordat_trust.question import Part
from concordat_trust.wire.coordinator_documents import COORDINATOR_ASK_ID
from concordat_trust.wire.documents import DOCUMENT_IDS
from concordat_trust.wire.transport import WireRequest
from tests.coordinator.asks import AskDraft, default_parts, network
from tests.factories.network import NOW
from tests.factories.node import HOME, NORTH, RELAY, make_question

VITALIS = OrgId.parse("vitalis")


def _admit(request: WireRequest, *, now: int = NOW, limits: Limits | None = None) -> Ask:
    bundle, limits = network().bundle, limits or Limits()
    signed = read_signed(request, me=RELAY, document_id=COORDINATOR_ASK_ID, bundle=bundle, now=now, limits=limits)
    key_id = network().keys[RELAY]["request"].key_id
    return admit(signed, me=RELAY, relay=key_id, bundle=bundle, now=now, limits=limits)


def _code(request: WireRequest, *, now: int = NOW, limits: Limits | None = None) -> str:
    with pytest.raises(ConcordatError) as caught:
        _admit(request, now=now, limits=limits)
    return caught.value.code


def test_a_good_request_is_admitted_with_its_exact_bytes() -> None:
    draft = AskDraft()
    ask = _admit(draft.request())
    assert (ask.home, ask.deadline_ms) == (HOME, 1_000)
    assert set(ask.tokens.texts.values()) == {draft.token()}
    assert ask.question_bytes == draft.question.canonical()
    assert ask.parts == default_parts()


def test_a_changed_body_is_found_before_it_is_parsed() -> None:
    request = AskDraft().request()
    assert _code(replace(request, body=b"[" * 1_000)) == "content_digest_mismatch"


def test_a_request_for_another_coordinator_is_refused() -> None:
    assert _code(AskDraft(receiver=NORTH).request()) == "request_signature_invalid"


def test_a_request_that_is_a_minute_old_is_refused() -> None:
    assert _code(AskDraft().request(), now=NOW + 61) == "request_signature_time"


def test_a_key_that_belongs_to_nobody_is_refused() -> None:
    request = AskDraft().request()
    stranger = request.headers["signature-input"].replace(
        network().keys[HOME]["request"].key_id, network().keys[HOME]["query_token"].key_id
    )
    assert _code(replace(request, headers={**request.headers, "signature-input": stranger})) == "presenter_unknown"


def test_an_organization_cannot_have_anothers_question_relayed() -> None:
    assert _code(AskDraft(signer=VITALIS).request()) == "relay_home_mismatch"


def test_a_token_for_another_coordinator_is_not_carried() -> None:
    assert _code(AskDraft(presenter=VITALIS).request()) == "token_presenter"


def test_a_token_under_another_scheme_is_none() -> None:
    assert _code(AskDraft(scheme="Basic ").request()) == "token_malformed"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "json_malformed"),
        (b"[]", "json_malformed"),
        (b'{"query":"{ __schema { types { name } } }"}', "document_malformed"),
        (b'{"documentId":"00","variables":{}}', "relay_document_unknown"),
        (b'{"documentId":"' + DOCUMENT_IDS["search"].encode() + b'","variables":{}}', "relay_document_unknown"),
        (b'{"documentId":"' + DOCUMENT_IDS["ask"].encode() + b'","variables":{}}', "document_malformed"),
        (b'{"documentId":"' + DOCUMENT_IDS["ask"].encode() + b'"}', "document_malformed"),
    ],
)
def test_only_the_trusted_document_with_its_variables_is_understood(body: bytes, code: str) -> None:
    assert _code(AskDraft().request(body=body)) == code


def test_an_unknown_member_of_the_request_is_refused() -> None:
    assert _code(AskDraft(more={"query": "{ ask }"}).request()) == "document_malformed"


@pytest.mark.parametrize("deadline_ms", [0, -1, 49, 60_001])
def test_a_deadline_out_of_range_is_refused(deadline_ms: int) -> None:
    assert _code(AskDraft(deadline_ms=deadline_ms).request()) == "relay_deadline_out_of_range"


def test_a_deadline_that_is_no_number_is_refused() -> None:
    assert _code(AskDraft(deadline_ms="1000").request()) == "document_malformed"


def test_another_question_than_the_one_signed_is_refused() -> None:
    other = make_question(network(), text="another").canonical()
    assert _code(AskDraft(token_question=other).request()) == "token_question_mismatch"


def test_a_question_that_is_not_canonical_is_refused() -> None:
    text = AskDraft().question.canonical().decode().replace(":", ": ", 1)
    assert _code(AskDraft(question_text=text).request()) == "question_not_canonical"


def test_a_question_for_another_network_is_refused() -> None:
    question = replace(make_question(network()), network="another-network")
    assert _code(AskDraft(question=question).request()) == "relay_network_foreign"


def test_a_part_that_was_not_signed_is_refused() -> None:
    parts = {**default_parts(), NORTH: Part(("urn:concordat:north-hospital:model:" + "a" * 26,)).canonical()}
    assert _code(AskDraft(parts=parts, token_parts=default_parts()).request()) == "token_part_mismatch"


def test_parts_that_are_not_exactly_the_audience_are_refused() -> None:
    parts = default_parts()
    without = {org: part for org, part in parts.items() if org != NORTH}
    assert _code(AskDraft(parts=without, token_parts=parts).request()) == "token_audience"
    assert _code(AskDraft(parts=parts, token_parts=without).request()) == "token_audience"


def test_a_part_that_no_node_would_read_is_refused_before_anybody_is_asked() -> None:
    parts = dict.fromkeys(default_parts(), b'{"ids":[]}')
    assert _code(AskDraft(parts=parts).request()) == "document_malformed"


@pytest.mark.parametrize("text", ["", "[]", "null", '{"North":"x"}', '{"north-hospital":1}', '{"a-b":"x","a-b":"y"}'])
def test_parts_that_are_no_object_of_texts_are_refused(text: str) -> None:
    assert _code(AskDraft(parts_text=text).request()) == "relay_parts_malformed"


def test_an_expired_token_is_refused() -> None:
    draft = AskDraft()
    request = replace(draft, now=NOW + 200).request(token=draft.token())
    assert _code(request, now=NOW + 200) == "token_expired"


@pytest.mark.parametrize(
    "limits",
    [
        Limits(request_bytes_max=100),
        Limits(question_bytes_max=100),
        Limits(parts_bytes_max=100),
        Limits(part_bytes_max=10),
        Limits(organizations_max=2),
        Limits(page_size_max=5),
    ],
)
def test_a_question_past_a_limit_is_refused(limits: Limits) -> None:
    assert _code(AskDraft().request(), limits=limits) == "relay_ask_too_large"
