"""A job's events as server-sent events (WHATWG HTML §9.2): a replay, never a reason to ask anybody.

The stream begins after `Last-Event-ID` and ends with the job's last event. A client that comes back after that gets
204, which tells an EventSource to stop for good.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping

from starlette.responses import Response, StreamingResponse

from concordat_node.home.job_runner import JobRunner
from concordat_node.home.jobs import JobEvent
from concordat_node.home.sessions import Session

RETRY_MS = 2_000
HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}
_NUMBER = re.compile(r"[0-9]{1,9}")


def last_event_id(headers: Mapping[str, str]) -> int:
    """Return the number after which events are wanted; anything that is no number of ours is 0."""
    text = headers.get("last-event-id", "")
    return int(text) if _NUMBER.fullmatch(text) else 0


async def event_stream(
    runner: JobRunner,
    job_id: str,
    session: Session,
    *,
    after: int,
    write: Callable[[JobEvent], str] = lambda event: event.data.decode("utf-8"),
    headers: Mapping[str, str] = HEADERS,
) -> Response:
    """Return the events after number `after`, each with the one line of data that `write` makes of it."""
    events = runner.follow(job_id, session, after=after)
    first = await anext(events, None)
    if first is None:
        return Response(status_code=204, headers=dict(headers))
    return StreamingResponse(_lines(first, events, write), media_type="text/event-stream", headers=dict(headers))


async def _lines(
    first: JobEvent, others: AsyncIterator[JobEvent], write: Callable[[JobEvent], str]
) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n{_event(first, write)}"
    async for event in others:
        yield _event(event, write)


def _event(event: JobEvent, write: Callable[[JobEvent], str]) -> str:
    data = write(event)
    if "\n" in data or "\r" in data:
        raise RuntimeError("the data of an event is one line")
    return f"id: {event.seq}\nevent: {event.name}\ndata: {data}\n\n"
