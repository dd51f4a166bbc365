"""Uses of tokens that their issuers have yet to be told of: rows of the log's own database, written with the entry.

Rules of this file:

* A use is due exactly when an answer was logged: one row in the transaction of the entry, whatever the answer holds.
* Bounded: of more than OUTBOX_MAX the oldest go first, and a use that could not be told within KEPT_S is given up. The
  disclosure log has the whole entry anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Column, Connection, Integer, String, Table, delete, insert, select

from concordat_node.ledger.entry import LogEntry
from concordat_node.ledger.tables import METADATA
from concordat_node.registry.engine import Database
from concordat_trust.ids import OrgId
from concordat_trust.token_use import USES_MAX, TokenUse
from concordat_trust.vocabulary import ProvedStatus

OUTBOX_MAX = 100_000
KEPT_S = 24 * 3_600
ISSUERS_MAX = 200

USE = Table(
    "token_use",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("issuer", String(40), nullable=False, index=True),
    Column("token_id", String(120), nullable=False),
    Column("token_sha256", String(43), nullable=False),
    Column("status", String(20), nullable=False),
    Column("at", Integer, nullable=False),
    sqlite_autoincrement=True,
)
_INSERT = insert(USE)


@dataclass(frozen=True, slots=True)
class DueUses:
    """What one issuer is to be told next; `numbers` name the rows."""

    issuer: OrgId
    numbers: tuple[int, ...]
    uses: tuple[TokenUse, ...]


def insert_use(connection: Connection, entry: LogEntry) -> None:
    """Note that the issuer of an entry's token is to be told of its use."""
    row = {
        "issuer": entry.issuer,
        "token_id": entry.token_id,
        "token_sha256": entry.token_sha256,
        "status": entry.status,
        "at": entry.at,
    }
    inserted = connection.execute(_INSERT, row).inserted_primary_key
    number = 0 if inserted is None else int(inserted[0])
    if number > OUTBOX_MAX:
        connection.execute(delete(USE).where(USE.c.number <= number - OUTBOX_MAX))


class UseOutbox:
    """The rows that wait, in the database of the log. Its methods block and raise the storage failures."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def issuers(self) -> tuple[OrgId, ...]:
        """Return who is to be told of something, in the order of their ids."""
        rows = select(USE.c.issuer).distinct().order_by(USE.c.issuer).limit(ISSUERS_MAX)
        with self._database.reading() as connection:
            return tuple(OrgId.parse(issuer) for issuer in connection.execute(rows).scalars())

    def due(self, issuer: OrgId) -> DueUses:
        """Return the oldest uses of an issuer's tokens, as many as fit into one message."""
        rows = select(USE).where(USE.c.issuer == issuer).order_by(USE.c.number).limit(USES_MAX)
        with self._database.reading() as connection:
            found = connection.execute(rows).all()
        uses = tuple(TokenUse(r.token_id, r.token_sha256, cast("ProvedStatus", r.status), r.at) for r in found)
        return DueUses(issuer, tuple(row.number for row in found), uses)

    def done(self, numbers: Sequence[int]) -> None:
        """Forget uses that were told."""
        with self._database.writing() as connection:
            connection.execute(delete(USE).where(USE.c.number.in_(numbers)))

    def give_up(self, *, now: int) -> int:
        """Forget what could not be told in time; return how many uses these were."""
        with self._database.writing() as connection:
            return connection.execute(delete(USE).where(USE.c.at < now - KEPT_S)).rowcount
