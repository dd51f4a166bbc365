"""A coordinator's answer read while it arrives, as if it were hostile: only its form, nothing of it is believed here.

Rules of this file:

* Every event is a `next` with one GraphQL result: an organization's answer, or the handover that ends the stream. What
  comes after the handover is not read.
* A refusal is a well-formed GraphQL error with a code. Any other event is `peer_answer_invalid`, and a stream that ends
  without its handover is `peer_stream_broken`: without the signed delivery blame cannot be placed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from concordat_trust.canonical import Json, JsonObject, parse_object
from concordat_trust.errors import PeerFailure, RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.question import CURSOR_LENGTH_MAX
from concordat_trust.receipt import RECEIPT_CHARS_MAX
from concordat_trust.sealing import SEALED_CHARS_MAX
from concordat_trust.shape import Shape
from concordat_trust.wire.event_stream import NEXT, EventReader, ServerEvent
from concordat_trust.wire.transport import PeerAnswerInvalid

FIELD = "askProgress"
RESULTS_MAX = 50
TEXT_MAX = 400_000
MERGED_MAX = 8_000_000
_CODE = re.compile(r"[a-z][a-z0-9_]{2,63}")


class PeerRefused(PeerFailure):
    code = "peer_refused"
    sentence = "{endpoint} refused the question: {reason}."
    hint = "The documentation lists the refusals; most concern clocks, keys or versions of the trust bundle."


class PeerStreamBroken(PeerFailure):
    code = "peer_stream_broken"
    sentence = "The answer of {endpoint} ended before its signed delivery."
    hint = "The coordinator, or something in front of it, cuts answers off; its operator must look at it."


@dataclass(frozen=True, slots=True)
class RelayedAnswer:
    """What was handed over for one organization; results as they stand on the wire."""

    organization: OrgId
    attestation: str | None
    results: tuple[JsonObject, ...]
    receipt: str | None
    cursor: str | None = None
    sealed: str | None = None


@dataclass(frozen=True, slots=True)
class ToldAnswer:
    """One organization's answer with the status that the coordinator gives it; nothing of it is believed."""

    status: str
    code: str | None
    answer: RelayedAnswer

    @property
    def organization(self) -> OrgId:
        return self.answer.organization


@dataclass(frozen=True, slots=True)
class Handover:
    """The end of a coordinator's answer: what it signs for, and its own merge."""

    delivery: str
    merged: str


class AnswerStream:
    """Takes the pieces of one coordinator's answer and tells of each organization as soon as its event is whole."""

    def __init__(self, endpoint: str, tell: Callable[[ToldAnswer], None], *, bytes_max: int) -> None:
        self._endpoint = endpoint
        self._tell = tell
        self._bytes_max = bytes_max
        self._events = EventReader()
        self._handover: Handover | None = None

    def feed(self, piece: bytes) -> bool:
        """Take the next piece; True after the handover. Raises: PeerRefused, PeerAnswerInvalid."""
        for event in self._events.feed(piece):
            try:
                self._read(event)
            except RefusedDocument as error:
                raise PeerAnswerInvalid(endpoint=self._endpoint) from error
            if self._handover is not None:
                return True
        return False

    def handover(self) -> Handover:
        """Return the end of the stream. Raises: PeerStreamBroken."""
        if self._handover is None:
            raise PeerStreamBroken(endpoint=self._endpoint)
        return self._handover

    def _read(self, event: ServerEvent) -> None:
        if event.name != NEXT:
            raise PeerStreamBroken(endpoint=self._endpoint)
        document = parse_object(event.data, bytes_max=self._bytes_max)
        shape = Shape(field_of(document, self._endpoint, FIELD), FIELD)
        if shape.value("answer") is not None:
            self._tell(_told(shape.object("answer")))
        else:
            delivery = shape.text("delivery", length_max=TEXT_MAX)
            self._handover = Handover(delivery, shape.text("merged", length_max=MERGED_MAX))


def field_of(document: JsonObject, endpoint: str, field: str) -> Json:
    """Return the one field of a GraphQL result. Raises: PeerRefused, PeerAnswerInvalid."""
    reason = _refusal(document)
    if reason is not None:
        raise PeerRefused(endpoint=endpoint, reason=reason)
    data = document.get("data")
    if "errors" in document or not isinstance(data, dict) or field not in data:
        raise PeerAnswerInvalid(endpoint=endpoint)
    return data[field]


def _refusal(document: Mapping[str, Json]) -> str | None:
    errors = document.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    extensions = first.get("extensions") if isinstance(first, dict) else None
    code = extensions.get("code") if isinstance(extensions, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _told(shape: Shape) -> ToldAnswer:
    organization = OrgId.parse(shape.text("organization", length_max=40))
    attestation = shape.optional_text("attestation", length_max=TEXT_MAX)
    results = results_of(shape) if shape.has("results") else ()
    answer = RelayedAnswer(organization, attestation, results, receipt_of(shape), cursor_of(shape), sealed_of(shape))
    return ToldAnswer(shape.text("status", length_max=40), shape.optional_text("code", length_max=64), answer)


def cursor_of(shape: Shape) -> str | None:
    """Return the cursor of an answer, None where nothing can follow. Raises: DocumentMalformed."""
    return shape.optional_text("cursor", length_max=CURSOR_LENGTH_MAX)


def sealed_of(shape: Shape) -> str | None:
    """Return the sealed part of an answer, None where everything is open. Raises: DocumentMalformed."""
    return shape.optional_text("sealed", length_max=SEALED_CHARS_MAX)


def receipt_of(shape: Shape) -> str | None:
    """Return the receipt of an answer, None where there is none. Raises: DocumentMalformed."""
    return shape.optional_text("receipt", length_max=RECEIPT_CHARS_MAX)


def results_of(shape: Shape) -> tuple[JsonObject, ...]:
    """Return the results of an answer, none where there are none. Raises: DocumentMalformed."""
    items = shape.value("results")
    if items is None:
        return ()
    if not isinstance(items, list) or len(items) > RESULTS_MAX:
        raise shape.refuse("results", f"is not a list of at most {RESULTS_MAX} results")
    results: list[JsonObject] = []
    for item in items:
        if not isinstance(item, dict):
            raise shape.refuse("results", "has an entry that is not an object")
        results.append(item)
    return tuple(results)
