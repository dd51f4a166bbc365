"""Stored searches: the result and the saved answer of one question, kept for the session that asked.

A job is bound to session, subject and purpose. It is gone when its session ends, when what it shows is no longer
valid, and when the session has asked enough newer questions. Reading it again never asks the network again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, insert, select

from concordat_node.home.database import jobs, sessions
from concordat_node.home.errors import JobNotFound, NotSignedIn
from concordat_node.home.sessions import Session
from concordat_trust.canonical import canonical_bytes
from concordat_trust.encoding import b64u
from concordat_trust.question import Purpose

JOBS_PER_SESSION_MAX = 50
JOB_ID_LENGTH_MAX = 64


@dataclass(frozen=True, slots=True)
class Job:
    """One stored search: canonical bytes of the result and of the saved answer."""

    job_id: str
    purpose: bytes
    result: bytes
    answer: bytes
    ends_at: int


class JobStore:
    """The table of stored searches. Every method is one transaction and blocks; call it off the event loop."""

    def __init__(self, engine: Engine, *, entropy: Callable[[int], bytes]) -> None:
        self._engine = engine
        self._entropy = entropy

    def new_id(self) -> str:
        """Return an id for a job to be stored: 128 random bits."""
        return b64u(self._entropy(16))

    def store(self, job: Job, session: Session, *, now: int) -> None:
        """Store a job; the oldest ones of the session make room.

        Raises: NotSignedIn when the session ended while the question was under way: nothing is kept for it.
        """
        ends_at = min(job.ends_at, session.ends_at)
        with self._engine.begin() as connection:
            mine = select(sessions.c.session_id).where(sessions.c.session_id == session.session_id)
            if connection.execute(mine).one_or_none() is None:
                raise NotSignedIn
            connection.execute(delete(jobs).where(jobs.c.ends_at <= now))
            _keep_newest(connection, session.session_id, JOBS_PER_SESSION_MAX - 1)
            connection.execute(
                insert(jobs).values(
                    job_id=job.job_id,
                    session_id=session.session_id,
                    subject=session.subject,
                    purpose=job.purpose,
                    result=job.result,
                    answer=job.answer,
                    created_at=now,
                    ends_at=ends_at,
                )
            )

    def load(self, job_id: str, session: Session, *, now: int, purpose: Purpose | None = None) -> Job:
        """Return a job of this session and person, and of this purpose if one is named. Raises: JobNotFound."""
        if len(job_id) > JOB_ID_LENGTH_MAX:
            raise JobNotFound
        with self._engine.connect() as connection:
            mine = (jobs.c.session_id == session.session_id) & (jobs.c.subject == session.subject)
            row = connection.execute(select(jobs).where(mine & (jobs.c.job_id == job_id))).one_or_none()
        if row is None or row.ends_at <= now:
            raise JobNotFound
        if purpose is not None and purpose_bytes(purpose) != row.purpose:
            raise JobNotFound
        return Job(row.job_id, row.purpose, row.result, row.answer, row.ends_at)


def purpose_bytes(purpose: Purpose) -> bytes:
    """Return the canonical bytes under which a job remembers its purpose."""
    return canonical_bytes(purpose.to_json())


def _keep_newest(connection: Connection, session_id: str, count: int) -> None:
    mine = select(jobs.c.job_id).where(jobs.c.session_id == session_id)
    kept = mine.order_by(jobs.c.created_at.desc()).limit(count)
    connection.execute(delete(jobs).where((jobs.c.session_id == session_id) & jobs.c.job_id.not_in(kept)))
