"""Answers as a stream of events: GraphQL over SSE, distinct connections mode, and the `text/event-stream` it needs.

Rules of this file:

* Pure. A stream is `next` events, each with one GraphQL result as JSON on one line, and one `complete` event. Comments
  keep the connection open and mean nothing.
* The reader takes lines as the HTML standard (section 9.2.6) ends them, in pieces cut anywhere, and works in time that
  is linear in the bytes. It keeps no more than the event that is not whole yet; who feeds it counts the bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EVENT_STREAM = "text/event-stream"
HEARTBEAT = b":\n\n"
NEXT = "next"
COMPLETE = "complete"
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event; several `data` lines are joined by a line feed."""

    name: str
    data: bytes


def encode_event(name: str, data: bytes) -> bytes:
    """Return the event with its data, which must be one line, as encoded JSON is."""
    if b"\n" in data or b"\r" in data:
        raise RuntimeError("the data of an event is one line here")
    return b"event: %s\ndata: %s\n\n" % (name.encode("ascii"), data)


def is_event_stream(content_type: str) -> bool:
    """Say whether a media type, or one of an `accept` header's, is that of an event stream."""
    return any(item.split(";")[0].strip().lower() == EVENT_STREAM for item in content_type.split(","))


class EventReader:
    """Makes events of the pieces of a stream."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._ends_with_return = False
        self._name = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """Return the events that are whole with this piece."""
        if not piece:
            return []
        if self._ends_with_return and piece[:1] == b"\n":
            piece = piece[1:]  # the second half of a line end whose first half came with the piece before
        self._ends_with_return = piece[-1:] == b"\r"
        if _LINE_END.search(piece) is None:
            self._rest += piece
            return []
        *lines, rest = _LINE_END.split(bytes(self._rest) + piece)
        self._rest = bytearray(rest)
        return [event for event in map(self._line, lines) if event is not None]

    def _line(self, line: bytes) -> ServerEvent | None:
        if not line:
            return self._dispatched()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            self._name = value
        elif field == b"data":
            self._data.append(value)
        return None

    def _dispatched(self) -> ServerEvent | None:
        name, data = self._name, self._data
        self._name, self._data = b"", []
        if not data:
            return None
        return ServerEvent(name.decode("ascii", "replace") or "message", b"\n".join(data))
