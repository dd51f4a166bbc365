"""A node's answer read as if the node were hostile: one good answer, and every way to break it."""

from __future__ import annotations

import json
import time

import pytest

from concordat_coordinator.node_call import code_of, status_of
from concordat_coordinator.payload import NodePayload, read_payload
from concordat_trust.canonical import Json, canonical_bytes
from concordat_trust.errors import PeerFailure, RefusedDocument
from concordat_trust.sealing import SEALED_CHARS_MAX
from concordat_trust.wire.transport import WireResponse
from tests.coordinator.wire_records import answer_body, make_card, make_question, open_result, refusal, response

GOOD = open_result(make_card())
ENDPOINT = "https://north.example"


def _read(answer: WireResponse, **question: object) -> NodePayload:
    return read_payload(answer, question=make_question(**question), endpoint=ENDPOINT)


def _outcome(answer: WireResponse) -> tuple[str, str]:
    with pytest.raises((PeerFailure, RefusedDocument)) as caught:
        _read(answer)
    error = caught.value
    assert isinstance(error, PeerFailure | RefusedDocument)
    return status_of(error), code_of(error)


def test_a_good_answer_is_passed_on_exactly() -> None:
    payload = _read(response(answer_body([GOOD])))
    assert payload == NodePayload("a.b.c", (GOOD,))


def test_an_unknown_field_of_a_record_is_kept_because_it_is_hashed() -> None:
    card = make_card(newer_field="kept")
    assert _read(response(answer_body([open_result(card)]))).results[0]["card"] == card


def test_a_sealed_answer_is_read_as_it_came_and_up_to_a_limit() -> None:
    def body(sealed: str) -> bytes:
        return canonical_bytes({"data": {"search": {"attestation": "a.b.c", "results": [], "sealed": sealed}}})

    assert _read(response(body("abc"))) == NodePayload("a.b.c", (), sealed="abc")
    assert _read(response(body("A" * SEALED_CHARS_MAX))).sealed == "A" * SEALED_CHARS_MAX
    assert _outcome(response(body("A" * (SEALED_CHARS_MAX + 1)))) == ("INVALID", "document_malformed")


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"", None, "node_answer_empty"),
        (b"", "application/json", "node_answer_empty"),
        (b" \n", "application/json", "node_answer_empty"),
        (b'{"data":null}', "application/json", "document_malformed"),
        (b'{"data":{"search":null}}', "application/json", "node_answer_empty"),
        (b"<html><body>It works!</body></html>", "text/html", "node_answer_content_type"),
        (b"<html><body>It works!</body></html>", "application/json", "json_malformed"),
        (b"\xff\xfe\x00", "application/json", "json_malformed"),
        (b"[]", "application/json", "json_malformed"),
        (b'{"data":{"search":{"attestation":"a","results":[]}}} more', "application/json", "json_malformed"),
        (b'{"data":{"search":{"attestation":NaN,"results":[]}}}', "application/json", "number_not_canonical"),
        (b'{"data":{"search":{"attestation":"a","results":[1e308]}}}', "application/json", "number_not_canonical"),
        (b'{"data":{"search":{"attestation":"a","attestation":"b"}}}', "application/json", "json_duplicate_key"),
        (b'{"data":' + b"[" * 100_000, "application/json", "json_too_deep"),
        (b'{"data":{"search":{"attestation":"a"}}}', "application/json", "document_malformed"),
        (b'{"data":{"search":{"attestation":null,"results":[]}}}', "application/json", "document_malformed"),
        (b'{"data":{"search":{"attestation":"","results":[]}}}', "application/json", "document_malformed"),
        (b'{"data":{"search":{"attestation":"a","results":{}}}}', "application/json", "document_malformed"),
        (b'{"data":{"search":{"attestation":"a","results":[1]}}}', "application/json", "document_malformed"),
        (b'{"data":{"assets":{"attestation":"a","results":[]}}}', "application/json", "document_malformed"),
        (b'{"data":null,"errors":[{"message":"x"}]}', "application/json", "node_answer_errors"),
    ],
)
def test_each_kind_of_garbage_has_its_code(body: bytes, content_type: str | None, code: str) -> None:
    assert _outcome(response(body, content_type=content_type)) == ("INVALID", code)


def test_a_nan_score_inside_a_record_is_not_a_number() -> None:
    body = answer_body([GOOD]).replace(b'"valid_until": null', b'"valid_until": NaN')
    assert _outcome(response(body)) == ("INVALID", "number_not_canonical")


@pytest.mark.parametrize(
    "result",
    [
        {"salt": None, "card": None, "asset": None},
        {**GOOD, "salt": None},
        {**GOOD, "card": None, "asset": GOOD["card"]},
        {**GOOD, "asset": GOOD["card"]},
        {"salt": GOOD["salt"], "card": None, "asset": None},
    ],
)
def test_a_result_is_one_record_with_its_salt(result: Json) -> None:
    assert _outcome(response(answer_body([result]))) == ("INVALID", "node_result_ambiguous")


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ({**GOOD, "salt": "c2hvcnQ"}, "document_malformed"),
        ({**GOOD, "salt": "c2hvcnQ="}, "encoding_invalid"),
        ({**GOOD, "extra": 1}, "document_malformed"),
        (open_result(make_card(title=7)), "record_malformed"),
        (open_result(make_card(organization="vitalis")), "record_malformed"),
        (open_result(make_card(id="urn:concordat:x")), "asset_id_invalid"),
    ],
)
def test_a_malformed_result_has_its_code(result: Json, code: str) -> None:
    assert _outcome(response(answer_body([result]))) == ("INVALID", code)


def test_as_many_results_as_candidates_are_allowed_and_one_more_is_not() -> None:
    results = [open_result(make_card(number=n)) for n in range(21)]
    assert len(_read(response(answer_body(results[:20]))).results) == 20
    assert _outcome(response(answer_body(results))) == ("INVALID", "node_answer_too_many_results")


def test_a_well_formed_refusal_is_quoted_with_its_code() -> None:
    assert _outcome(refusal("token_replayed")) == ("REFUSED", "token_replayed")
    assert _outcome(refusal("log_unavailable", status=503)) == ("REFUSED", "log_unavailable")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refusal("node_overloaded", status=503), ("OVERLOADED", "peer_overloaded")),
        (refusal("answer_timeout", status=504), ("TIMEOUT", "peer_timeout")),
        (response(b"", status=503, content_type=None), ("OVERLOADED", "peer_overloaded")),
        (response(b"slow down", status=429, content_type="text/plain"), ("OVERLOADED", "peer_overloaded")),
        (response(b"<html>", status=502, content_type="text/html"), ("UNREACHABLE", "peer_unreachable")),
        (response(b"<html>", status=500, content_type="text/html"), ("INVALID", "node_answer_http_status")),
        (response(b"", status=302, content_type=None), ("INVALID", "node_answer_http_status")),
        (refusal("Not A Code", status=403), ("INVALID", "node_answer_http_status")),
        (refusal("x" * 80, status=403), ("INVALID", "node_answer_http_status")),
    ],
)
def test_a_status_without_a_refusal_is_judged_by_itself(answer: WireResponse, expected: tuple[str, str]) -> None:
    assert _outcome(answer) == expected


def test_an_unterminated_text_full_of_escaped_quotes_is_refused_at_once() -> None:
    body = b'{"data":"' + b'\\"' * 300_000
    started = time.perf_counter()
    assert _outcome(response(body)) == ("INVALID", "json_malformed")
    assert time.perf_counter() - started < 2


def test_the_body_is_never_quoted_in_an_error() -> None:
    body = json.dumps({"data": {"search": {"attestation": "a", "results": [{"salt": "CANARY"}]}}}).encode()
    with pytest.raises((PeerFailure, RefusedDocument)) as caught:
        _read(response(body))
    assert "CANARY" not in str(caught.value)
