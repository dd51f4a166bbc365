"""Sessions of the home organization's people: opaque, stored hashed, ended by idleness, by age and by signing out.

A token is 256 random bits that mean nothing; what it stands for is kept here under its hash. What is unknown, expired,
ended or of the other kind is one refusal, `not_signed_in`: a program's bearer token opens no page, and a browser's
cookie is no bearer token. Ending a session ends its stored searches in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Engine, Row, delete, insert, or_, select, update

from concordat_node.home.claims import PersonClaims
from concordat_node.home.database import hashed, sessions
from concordat_node.home.errors import NotSignedIn
from concordat_node.home.person import NO_PASSPORT, UNKNOWN_SIGN_IN, Passport, Person, SignIn, person_bytes, read_person
from concordat_trust.encoding import b64u

TOKEN_BYTES = 32
TOKEN_LENGTH_MAX = 64
SESSIONS_PER_SUBJECT_MAX = 20
SessionKind = Literal["program", "browser"]
USED_AT_STEP_S = 10
"""`used_at` is written at most this often, so that reading pages does not become a stream of writes."""


@dataclass(frozen=True, slots=True)
class Session:
    """Who is asking. `session_id` names the session inside this node and is no secret."""

    session_id: str
    subject: str
    claims: PersonClaims
    ends_at: int
    sign_in: SignIn = UNKNOWN_SIGN_IN
    passport: Passport = NO_PASSPORT


class SessionStore:
    """The table of sessions. Every method is one transaction and blocks; call it off the event loop."""

    def __init__(self, engine: Engine, *, idle_s: int, absolute_s: int, entropy: Callable[[int], bytes]) -> None:
        self._engine = engine
        self._idle_s = idle_s
        self._absolute_s = absolute_s
        self._entropy = entropy

    def open(
        self, person: Person, *, now: int, kind: SessionKind = "program", lifetime_s: int | None = None
    ) -> tuple[str, Session]:
        """Return a new token, to be shown once, and its session; `lifetime_s` can only make it shorter."""
        absolute_s = self._absolute_s if lifetime_s is None else min(lifetime_s, self._absolute_s)
        token = b64u(self._entropy(TOKEN_BYTES))
        session = _session(b64u(self._entropy(16)), person, now + absolute_s)
        with self._engine.begin() as connection:
            self._sweep(connection, now)
            _keep_newest(connection, person.subject, SESSIONS_PER_SUBJECT_MAX - 1)
            connection.execute(
                insert(sessions).values(
                    token_hash=hashed(token),
                    session_id=session.session_id,
                    kind=kind,
                    subject=session.subject,
                    person=person_bytes(person),
                    created_at=now,
                    used_at=now,
                    ends_at=session.ends_at,
                )
            )
        return token, session

    def resolve(self, token: str, *, now: int, kind: SessionKind = "program") -> Session:
        """Return the session of a token and note its use. Raises: NotSignedIn."""
        if not token or len(token) > TOKEN_LENGTH_MAX:
            raise NotSignedIn
        with self._engine.begin() as connection:
            row = connection.execute(select(sessions).where(sessions.c.token_hash == hashed(token))).one_or_none()
            if row is None or row.kind != kind or self._is_over(row, now):
                raise NotSignedIn
            if now - row.used_at >= USED_AT_STEP_S:
                mine = sessions.c.token_hash == row.token_hash
                connection.execute(update(sessions).where(mine).values(used_at=now))
        return _session(row.session_id, read_person(row.person), row.ends_at)

    def close(self, token: str, *, kind: SessionKind = "program") -> str:
        """End the session of a token and its stored searches; return its id. Raises: NotSignedIn when there is none."""
        mine = (sessions.c.token_hash == hashed(token)) & (sessions.c.kind == kind)
        with self._engine.begin() as connection:
            ended: str | None = connection.execute(
                delete(sessions).where(mine).returning(sessions.c.session_id)
            ).scalar_one_or_none()
        if ended is None:
            raise NotSignedIn
        return ended

    def _is_over(self, row: Row[tuple[object, ...]], now: int) -> bool:
        ends_at: int = row.ends_at
        used_at: int = row.used_at
        return now >= ends_at or now - used_at >= self._idle_s

    def _sweep(self, connection: Connection, now: int) -> None:
        over = or_(sessions.c.ends_at <= now, sessions.c.used_at <= now - self._idle_s)
        connection.execute(delete(sessions).where(over))


def _session(session_id: str, person: Person, ends_at: int) -> Session:
    return Session(session_id, person.subject, person.claims, ends_at, person.sign_in, person.passport)


def _keep_newest(connection: Connection, subject: str, count: int) -> None:
    mine = select(sessions.c.token_hash).where(sessions.c.subject == subject)
    kept = mine.order_by(sessions.c.created_at.desc()).limit(count)
    older = (sessions.c.subject == subject) & sessions.c.token_hash.not_in(kept)
    connection.execute(delete(sessions).where(older))
