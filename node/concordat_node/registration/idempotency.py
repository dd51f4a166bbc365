"""Answers kept under an Idempotency-Key, so that a repeated request has one effect and one answer.

Rules of this file:

* The answer is kept in the transaction of its effect: either both are there or neither. Only effects are kept; a
  refused request changed nothing, and its key may come again with the corrected one.
* A key belongs to one person. The same key with another request is refused, also while the first one's answer is kept.
* Bounded: an answer is kept for a day, and the newest thousand of a person.
* What is deleted is nowhere: with an entry go the kept answers that hold its document.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from concordat_node.registration.errors import IdempotencyKeyInvalid, IdempotencyKeyReused
from concordat_node.registry.entry_tables import IDEMPOTENT_ANSWER, KEY_LENGTH
from concordat_trust.canonical import Json, canonical_bytes, parse_object

KEPT_S = 86_400
KEPT_MAX = 1_000
FORGET_BATCH = 20
_KEY = re.compile(rf"[\x21-\x7e]{{1,{KEY_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a change is answered with; `body` is canonical JSON, empty for none."""

    status: int
    revision: int
    body: bytes = b""
    location: str = ""


@dataclass(frozen=True, slots=True)
class Once:
    """A key and the hash of the request it was sent with."""

    key: str
    request_sha256: str


def once(key: str | None, *, method: str, path: str, if_match: str, body: bytes) -> Once | None:
    """Return the key of a request with the request's hash; None without a key. Raises: IdempotencyKeyInvalid."""
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise IdempotencyKeyInvalid(length_max=KEY_LENGTH)
    head = "\n".join((method, path, if_match, "")).encode()
    return Once(key, hashlib.sha256(head + body).hexdigest())


def sweep(connection: Connection, *, now: int) -> None:
    """Drop the answers that have been kept long enough."""
    connection.execute(delete(IDEMPOTENT_ANSWER).where(IDEMPOTENT_ANSWER.c.at <= now - KEPT_S))


def forget(connection: Connection, entry_id: str) -> None:
    """Drop the kept answers that hold the document of an entry."""
    columns = IDEMPOTENT_ANSWER.c
    named = canonical_bytes(entry_id)
    kept = connection.execute(select(columns.actor, columns.key, columns.body)).yield_per(FORGET_BATCH)
    holding = [(row.actor, row.key) for row in kept if named in row.body and _document_id(row.body) == entry_id]
    for actor, key in holding:
        connection.execute(delete(IDEMPOTENT_ANSWER).where((columns.actor == actor) & (columns.key == key)))


def _document_id(body: bytes) -> Json:
    return parse_object(body, bytes_max=len(body)).get("id")


def recall(connection: Connection, actor: str, asked: Once) -> Answer | None:
    """Return the answer that this request already had. Raises: IdempotencyKeyReused."""
    mine = (IDEMPOTENT_ANSWER.c.actor == actor) & (IDEMPOTENT_ANSWER.c.key == asked.key)
    row = connection.execute(select(IDEMPOTENT_ANSWER).where(mine)).one_or_none()
    if row is None:
        return None
    if row.request_sha256 != asked.request_sha256:
        raise IdempotencyKeyReused
    return Answer(row.status, row.revision, row.body, row.location)


def keep(connection: Connection, actor: str, asked: Once, answer: Answer, *, now: int) -> None:
    """Keep the answer of a request; the oldest ones of the person make room."""
    connection.execute(
        insert(IDEMPOTENT_ANSWER).values(
            actor=actor,
            key=asked.key,
            request_sha256=asked.request_sha256,
            status=answer.status,
            revision=answer.revision,
            location=answer.location,
            body=answer.body,
            at=now,
        )
    )
    mine = select(IDEMPOTENT_ANSWER.c.key).where(IDEMPOTENT_ANSWER.c.actor == actor)
    newest = mine.order_by(IDEMPOTENT_ANSWER.c.at.desc(), IDEMPOTENT_ANSWER.c.key).limit(KEPT_MAX)
    older = (IDEMPOTENT_ANSWER.c.actor == actor) & IDEMPOTENT_ANSWER.c.key.not_in(newest)
    connection.execute(delete(IDEMPOTENT_ANSWER).where(older))
