"""A coordinator's answer as the stream of events it arrives in, for parties that make it in one piece."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from concordat_trust.canonical import JsonObject
from concordat_trust.wire.event_stream import (
    COMPLETE,
    EVENT_STREAM,
    NEXT,
    EventReader,
    encode_event,
    is_event_stream,
)
from concordat_trust.wire.transport import Feed, WireResponse

STREAM_HEADERS = {"content-type": f"{EVENT_STREAM}; charset=utf-8"}


def next_event(event: JsonObject) -> bytes:
    return encode_event(NEXT, json.dumps({"data": {"askProgress": event}}).encode())


def events_of(ask: JsonObject) -> list[bytes]:
    """Return what the object of `Query.ask` is as the events of `Subscription.askProgress`."""
    answers = ask["answers"]
    assert isinstance(answers, list)
    told = [next_event({"answer": answer, "delivery": None, "merged": None}) for answer in answers]
    last = next_event({"answer": None, "delivery": ask["delivery"], "merged": ask["merged"]})
    return [*told, last, encode_event(COMPLETE, b"")]


def stream_of(ask: JsonObject) -> WireResponse:
    return WireResponse(200, STREAM_HEADERS, b"".join(events_of(ask)))


def fed(response: WireResponse, feed: Feed) -> WireResponse:
    """Return the answer as `StreamingTransport.stream` does, fed in one piece if it is a stream."""
    if response.status != 200 or not is_event_stream(response.headers.get("content-type", "")):
        return response
    feed(response.body)
    return WireResponse(response.status, response.headers, b"")


def results_in(stream: bytes) -> list[Any]:
    """Return the GraphQL results of a whole stream; the last event must be its end."""
    events = EventReader().feed(stream)
    assert events[-1].name == COMPLETE
    assert {event.name for event in events[:-1]} <= {NEXT}
    return [json.loads(event.data) for event in events[:-1]]


async def read_whole(pieces: WireResponse | AsyncIterator[bytes]) -> bytes:
    assert not isinstance(pieces, WireResponse), pieces
    return b"".join([piece async for piece in pieces])
