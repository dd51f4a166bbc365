"""Stored searches: one question that was asked once, what came of it so far, and its events in their order.

Rules of this file:

* A job is bound to session, subject and purpose. It is gone when its session ends, when what it shows is no longer
  valid, and when the session has asked enough newer questions: what was opened from a search (below) goes before any
  search does. Somebody else's job, one that has ended and one that
  never was are the same refusal.
* `running` becomes `done` or `failed`, once. An event is written with the next number of its job before anybody is told
  of it; reading events, from any number on, any number of times, never asks the network again.
* The searches of one person hold at most `BYTES_PER_SUBJECT_MAX`, over all sessions: the oldest that are not running
  make room when one has ended. What runs is bounded elsewhere: by count, and by what a relay may send.
* A job may have an *origin*: a name under which a session asks at most once (a record that is opened from a search).
  Only one that failed makes room under its name, and only for a person who says so (`is_again`): looking asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, func, insert, select, update

from concordat_node.home.database import job_events, jobs, sessions
from concordat_node.home.errors import JobNotFound, NotSignedIn, QuestionInterrupted
from concordat_node.home.sessions import Session
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.encoding import b64u
from concordat_trust.errors import ConcordatError
from concordat_trust.question import Purpose

JOBS_PER_SESSION_MAX = 50
BYTES_PER_SUBJECT_MAX = 256_000_000
JOB_ID_LENGTH_MAX = 64
JobState = Literal["running", "done", "failed"]
EventName = Literal["organization", "done", "failed"]


@dataclass(frozen=True, slots=True)
class NewJob:
    """A question before it is asked. `label` is what its person wrote; `origin` "" has none.

    `is_again`: a person asks for it by an action of their own, so that it takes the place of one that failed.
    """

    purpose: Purpose
    question: bytes
    label: str
    origin: str = ""
    is_again: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One stored search: canonical bytes of question, result, saved answer and failure, as far as there are any."""

    job_id: str
    purpose: bytes
    question: bytes
    label: str
    origin: str
    state: JobState
    result: bytes | None
    answer: bytes | None
    failure: bytes | None
    created_at: int
    ends_at: int


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job; numbers begin with 1."""

    seq: int
    name: EventName
    data: bytes

    @property
    def is_last(self) -> bool:
        return self.name != "organization"


StillShown = Callable[[Sequence[JobEvent]], tuple[JobEvent, ...]]
"""Makes of stored events what may be shown now, one for each."""


class JobStore:
    """The tables of stored searches. Every method is one transaction and blocks; call it off the event loop."""

    def __init__(
        self,
        engine: Engine,
        *,
        entropy: Callable[[int], bytes],
        still: StillShown,
        bytes_max: int = BYTES_PER_SUBJECT_MAX,
    ) -> None:
        self._engine = engine
        self._bytes_max = bytes_max
        self._entropy = entropy
        self._still = still

    def begin(self, new: NewJob, session: Session, *, now: int) -> tuple[str, bool]:
        """Return the id of a running job and whether it is new; what the session opened or asked first makes room.

        Raises: NotSignedIn when the session has ended: nothing is kept for it.
        """
        job_id = b64u(self._entropy(16))
        with self._engine.begin() as connection:
            # The first statement writes: SQLite begins its transaction there, and two beginnings take turns.
            connection.execute(delete(jobs).where(jobs.c.ends_at <= now))
            _require_session(connection, session)
            known = _asked_before(connection, session, new.origin, now, is_again=new.is_again)
            if known is not None:
                return known, False
            connection.execute(delete(jobs).where(_under(session, new.origin)))
            _keep_newest(connection, session.session_id, JOBS_PER_SESSION_MAX - 1)
            connection.execute(
                insert(jobs).values(
                    job_id=job_id,
                    session_id=session.session_id,
                    subject=session.subject,
                    purpose=purpose_bytes(new.purpose),
                    question=new.question,
                    label=new.label,
                    origin=new.origin or job_id,
                    state="running",
                    created_at=now,
                    ends_at=session.ends_at,
                )
            )
        return job_id, True

    def asked_before(self, origin: str, session: Session, *, now: int, is_again: bool = False) -> str | None:
        """Return the job that `begin` would find in the place of a new one, None when it would begin one."""
        with self._engine.connect() as connection:
            return _asked_before(connection, session, origin, now, is_again=is_again)

    def append(self, job_id: str, data: JsonObject) -> None:
        """Note that an organization has answered. Raises: JobNotFound when nobody keeps the job any more."""
        with self._engine.begin() as connection:
            _take(connection, job_id, state="running")
            _write_event(connection, job_id, "organization", canonical_bytes(data))

    def finish(self, job_id: str, *, result: bytes, answer: bytes, ends_at: int) -> None:
        """Store what came of a running job. Raises: JobNotFound when nobody keeps it any more."""
        self._end(job_id, "done", {"result": result, "answer": answer}, result, ends_at)

    def fail(self, job_id: str, error: ConcordatError) -> None:
        """Store why a running job ended without a result. Raises: JobNotFound when nobody keeps it any more."""
        failure = canonical_bytes({**error.to_json()})
        self._end(job_id, "failed", {"failure": failure}, failure, None)

    def interrupt_all(self) -> None:
        """Fail what an earlier process left running: its questions may have been asked, and nobody waits for them."""
        with self._engine.connect() as connection:
            left = connection.execute(select(jobs.c.job_id).where(jobs.c.state == "running")).scalars().all()
        for job_id in left:
            self.fail(job_id, QuestionInterrupted())

    def load(self, job_id: str, session: Session, *, now: int, purpose: Purpose | None = None) -> Job:
        """Return a job of this session and person, and of this purpose if one is named. Raises: JobNotFound."""
        with self._engine.connect() as connection:
            row = _mine(connection, job_id, session, now)
        if purpose is not None and purpose_bytes(purpose) != row.purpose:
            raise JobNotFound
        return _job(row)

    def events(self, job_id: str, session: Session, *, after: int, now: int) -> tuple[JobEvent, ...]:
        """Return the events of a job of this session after number `after`, in order. Raises: JobNotFound."""
        with self._engine.connect() as connection:
            row = _mine(connection, job_id, session, now)
            wanted = (job_events.c.job_id == row.job_id) & (job_events.c.seq > after)
            found = connection.execute(select(job_events).where(wanted).order_by(job_events.c.seq)).all()
        return self._still(tuple(JobEvent(event.seq, event.name, event.data) for event in found))

    def recent(self, session: Session, *, now: int, count: int) -> tuple[Job, ...]:
        """Return the newest searches of a session, without the records that were opened from them."""
        mine = (jobs.c.session_id == session.session_id) & (jobs.c.subject == session.subject)
        asked = mine & (jobs.c.origin == jobs.c.job_id) & (jobs.c.ends_at > now)
        order = (jobs.c.created_at.desc(), jobs.c.job_id)
        with self._engine.connect() as connection:
            rows = connection.execute(select(jobs).where(asked).order_by(*order).limit(count)).all()
        return tuple(_job(row) for row in rows)

    def _end(
        self, job_id: str, name: Literal["done", "failed"], columns: dict[str, bytes], data: bytes, ends_at: int | None
    ) -> None:
        with self._engine.begin() as connection:
            _take(connection, job_id, state=name, **columns)
            if ends_at is not None:
                later = (jobs.c.job_id == job_id) & (jobs.c.ends_at > ends_at)
                connection.execute(update(jobs).where(later).values(ends_at=ends_at))
            _write_event(connection, job_id, name, data)
            _make_room(connection, job_id, self._bytes_max)


def purpose_bytes(purpose: Purpose) -> bytes:
    """Return the canonical bytes under which a job remembers its purpose."""
    return canonical_bytes(purpose.to_json())


def _require_session(connection: Connection, session: Session) -> None:
    mine = select(sessions.c.session_id).where(sessions.c.session_id == session.session_id)
    if connection.execute(mine).one_or_none() is None:
        raise NotSignedIn


def _under(session: Session, origin: str) -> ColumnElement[bool]:
    return (jobs.c.session_id == session.session_id) & (jobs.c.origin == origin)


def _asked_before(connection: Connection, session: Session, origin: str, now: int, *, is_again: bool) -> str | None:
    if not origin:
        return None
    in_place = _under(session, origin) & (jobs.c.ends_at > now)
    if is_again:
        in_place &= jobs.c.state != "failed"
    found: str | None = connection.execute(select(jobs.c.job_id).where(in_place)).scalar_one_or_none()
    return found


def _take(connection: Connection, job_id: str, **values: str | bytes) -> None:
    """Change a running job. Raises: JobNotFound when it is not there or has ended."""
    running = (jobs.c.job_id == job_id) & (jobs.c.state == "running")
    if connection.execute(update(jobs).where(running).values(**values)).rowcount != 1:
        raise JobNotFound


def _write_event(connection: Connection, job_id: str, name: EventName, data: bytes) -> None:
    last = select(func.coalesce(func.max(job_events.c.seq), 0)).where(job_events.c.job_id == job_id)
    seq = connection.execute(last).scalar_one() + 1
    connection.execute(insert(job_events).values(job_id=job_id, seq=seq, name=name, data=data))


def _mine(connection: Connection, job_id: str, session: Session, now: int) -> Row[tuple[object, ...]]:
    if len(job_id) > JOB_ID_LENGTH_MAX:
        raise JobNotFound
    mine = (jobs.c.session_id == session.session_id) & (jobs.c.subject == session.subject)
    row = connection.execute(select(jobs).where(mine & (jobs.c.job_id == job_id))).one_or_none()
    if row is None or row.ends_at <= now:
        raise JobNotFound
    return row


def _job(row: Row[tuple[object, ...]]) -> Job:
    return Job(
        row.job_id,
        row.purpose,
        row.question,
        row.label,
        "" if row.origin == row.job_id else row.origin,
        row.state,
        row.result,
        row.answer,
        row.failure,
        row.created_at,
        row.ends_at,
    )


def _keep_newest(connection: Connection, session_id: str, count: int) -> None:
    mine = select(jobs.c.job_id).where(jobs.c.session_id == session_id)
    searches_first = (jobs.c.origin == jobs.c.job_id).desc()
    kept = mine.order_by(searches_first, jobs.c.created_at.desc(), jobs.c.job_id).limit(count)
    connection.execute(delete(jobs).where((jobs.c.session_id == session_id) & jobs.c.job_id.not_in(kept)))


def _make_room(connection: Connection, job_id: str, bytes_max: int) -> None:
    """Drop the oldest searches of a job's person until the rest fits; neither that job nor any that is running."""
    events = select(func.coalesce(func.sum(func.length(job_events.c.data)), 0)).where(
        job_events.c.job_id == jobs.c.job_id
    )
    blobs = (jobs.c.question, jobs.c.result, jobs.c.answer, jobs.c.failure)
    size = sum((func.coalesce(func.length(blob), 0) for blob in blobs), events.scalar_subquery())
    subject = select(jobs.c.subject).where(jobs.c.job_id == job_id).scalar_subquery()
    stored = select(jobs.c.job_id, jobs.c.state, size.label("size")).where(jobs.c.subject == subject)
    total, dropped = 0, []
    for row in connection.execute(stored.order_by(jobs.c.created_at.desc(), jobs.c.job_id)):
        total += row.size
        if total > bytes_max and row.state != "running" and row.job_id != job_id:
            total -= row.size
            dropped.append(row.job_id)
    connection.execute(delete(jobs).where(jobs.c.job_id.in_(dropped)))
