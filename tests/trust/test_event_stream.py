"""Events on the wire: written as one line each, read however they are cut."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.wire.event_stream import (
    COMPLETE,
    HEARTBEAT,
    NEXT,
    EventReader,
    ServerEvent,
    encode_event,
    is_event_stream,
)

ONE_LINE = st.binary(max_size=40).map(lambda data: data.replace(b"\r", b"").replace(b"\n", b""))
EVENTS = st.lists(st.tuples(st.sampled_from([NEXT, COMPLETE]), ONE_LINE), max_size=6)


def _read(pieces: list[bytes]) -> list[ServerEvent]:
    reader = EventReader()
    return [event for piece in pieces for event in reader.feed(piece)]


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


@given(EVENTS, st.lists(st.integers(0, 10_000), max_size=8), st.sampled_from([b"\n", b"\r\n", b"\r"]), st.booleans())
def test_what_is_written_is_read_however_it_is_cut(
    events: list[tuple[str, bytes]], places: list[int], line_end: bytes, is_commented: bool
) -> None:
    written = b"".join((HEARTBEAT if is_commented else b"") + encode_event(name, data) for name, data in events)
    pieces = _cut(written.replace(b"\n", line_end), places)
    assert _read(pieces) == [ServerEvent(name, data) for name, data in events]
    assert _read([piece for one in pieces for piece in (one, b"")]) == [ServerEvent(n, d) for n, d in events]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b": comment\n\n", []),
        (b"event: next\n\n", []),  # no data, no event
        (b"data: a\ndata: b\n\n", [ServerEvent("message", b"a\nb")]),
        (b"data:a\n\n", [ServerEvent("message", b"a")]),
        (b"data\n\n", [ServerEvent("message", b"")]),
        (b"data:  a\n\n", [ServerEvent("message", b" a")]),
        (b"id: 7\nretry: 9\nother: x\nevent: next\ndata: {}\n\n", [ServerEvent("next", b"{}")]),
        (b"event: next\ndata: {}\n", []),  # not whole yet
        (b"event: complete\ndata: \n\n", [ServerEvent("complete", b"")]),
        (b"event: next\n\ndata: a\n\n", [ServerEvent("message", b"a")]),  # a name lasts for one event
    ],
)
def test_events_are_those_of_the_html_standard(stream: bytes, expected: list[ServerEvent]) -> None:
    assert _read([stream]) == expected


@pytest.mark.parametrize("data", [b"a\nb", b"a\rb"])
def test_data_that_is_not_one_line_is_a_bug(data: bytes) -> None:
    with pytest.raises(RuntimeError):
        encode_event(NEXT, data)


def test_a_flood_without_a_line_end_costs_what_it_weighs() -> None:
    def seconds(pieces: int) -> float:
        reader, began_at = EventReader(), time.process_time()
        for _ in range(pieces):
            reader.feed(b"x" * 1_024)
        return time.process_time() - began_at

    seconds(200)
    assert seconds(16_000) < 100 * max(seconds(1_000), 0.001)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/event-stream", True),
        ("application/json, Text/Event-Stream; q=0.9", True),
        ("text/event-streams", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_a_stream_is_accepted_by_name(accept: str, expected: bool) -> None:
    assert is_event_stream(accept) is expected
