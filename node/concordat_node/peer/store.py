"""What a node remembers of its dealings with other organizations: messages seen, tokens minted, findings about tokens.

Rules of this file:

* A message is remembered as long as it could be presented again, and its effect is one transaction with that.
* A minted token is remembered before it leaves, durably (synchronous=FULL): what is forgotten would look stolen. It is
  kept for longer than any node goes on reporting its use.
* Every table has a limit. Findings are kept up to a number for each reporting organization; a liar fills its own only.
  Of a full list those make room that were noticed more than a day before: nobody is deaf for ever, and no liar makes
  more than that number of lines in a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError

from concordat_node.registry.engine import Database
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.jose import LEEWAY_S
from concordat_trust.peer_message import PeerMessage
from concordat_trust.times import time_words
from concordat_trust.token_use import MintedToken, TokenFinding, TokenUse, finding_of

MINTED_KEPT_S: Final = 7 * 24 * 3_600
FINDINGS_PER_ORGANIZATION_MAX = 200
FINDING_STAYS_S: Final = 86_400
PRUNED_AT_ONCE_MAX = 500
"""Rows that are forgotten together with one that is written: more than one, so that no table grows for ever."""

_METADATA = MetaData()
_SEEN = Table(
    "peer_message",
    _METADATA,
    Column("sender", String(40), nullable=False),
    Column("message_id", String(120), nullable=False),
    Column("ends_at", Integer, nullable=False),
    UniqueConstraint("sender", "message_id"),
    Index("peer_message_ends", "ends_at"),
)
_MINTED = Table(
    "minted_token",
    _METADATA,
    Column("token_id", String(120), primary_key=True),
    Column("token_sha256", String(43), nullable=False),
    Column("audience", Text, nullable=False),
    Column("minted_at", Integer, nullable=False),
    Index("minted_token_at", "minted_at"),
)
_FINDING = Table(
    "token_finding",
    _METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("code", String(64), nullable=False),
    Column("organization", String(40), nullable=False),
    Column("token_id", String(120), nullable=False),
    Column("status", String(20), nullable=False),
    Column("used_at", Integer, nullable=False),
    Column("noticed_at", Integer, nullable=False),
    UniqueConstraint("organization", "token_id", "code"),
)


class PeerReplayed(RefusedDocument):
    code = "peer_replayed"
    sentence = "This message has been received before."
    hint = "Send a new message; what it says is taken once, however often it is sent."


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A use of a token that this organization did not mint so, as it was noticed."""

    code: str
    organization: OrgId
    token_id: str
    status: str
    used_at: int
    noticed_at: int

    def to_json(self) -> dict[str, str | int]:
        return {
            "code": self.code,
            "noticed_at": self.noticed_at,
            "organization": self.organization,
            "status": self.status,
            "token_id": self.token_id,
            "used_at": self.used_at,
        }

    def line(self) -> str:
        """Return it on one line, for an operator."""
        when = f"used {time_words(self.used_at)}, noticed {time_words(self.noticed_at)}"
        return f"{self.code}  {self.organization}  {when}  {self.status}  token {self.token_id}"


class PeerStore:
    """The file behind the channel. Its methods block; the node calls them on a worker thread."""

    def __init__(self, database: Database) -> None:
        """Create the tables when they are absent. `database` is opened with FULL. Raises: the storage failures."""
        self._database = database
        with database.writing() as connection:
            _METADATA.create_all(connection)

    def close(self) -> None:
        self._database.close()

    def note_minted(self, token_id: str, minted: MintedToken, *, at: int) -> None:
        """Remember a token before it is sent to anybody. Raises: the storage failures."""
        row = {
            "token_id": token_id,
            "token_sha256": minted.token_sha256,
            "audience": " ".join(sorted(minted.audience)),
            "minted_at": at,
        }
        with self._database.writing() as connection:
            _prune(connection, _MINTED, _MINTED.c.token_id, _MINTED.c.minted_at < at - MINTED_KEPT_S)
            connection.execute(insert(_MINTED), row)

    def receive_uses(self, message: PeerMessage, uses: Sequence[TokenUse], *, now: int) -> tuple[TokenFinding, ...]:
        """Take a report once; return what is found, each thing the first time it is heard of.

        Uses from before anything is remembered are passed over. Raises: PeerReplayed, the storage failures.
        """
        with self._database.writing() as connection:
            _consume(connection, message, now)
            found = [self._finding(connection, use, message.sender, now) for use in uses]
        return tuple(finding for finding in found if finding is not None)

    def findings(self) -> tuple[StoredFinding, ...]:
        """Return every finding in the order of noticing. Raises: the storage failures."""
        with self._database.reading() as connection:
            rows = connection.execute(select(_FINDING).order_by(_FINDING.c.number)).all()
        return tuple(
            StoredFinding(r.code, OrgId.parse(r.organization), r.token_id, r.status, r.used_at, r.noticed_at)
            for r in rows
        )

    def _finding(self, connection: Connection, use: TokenUse, by: OrgId, now: int) -> TokenFinding | None:
        if use.at < now - MINTED_KEPT_S + LEEWAY_S:
            return None
        finding = finding_of(use, by=by, minted=_minted(connection, use.token_id))
        return finding if finding is not None and _keep(connection, finding, use, by, now) else None


def _consume(connection: Connection, message: PeerMessage, now: int) -> None:
    _prune(connection, _SEEN, _SEEN.c.message_id, _SEEN.c.ends_at < now)
    # Up to its end and the leeway of clocks it would pass the check of its time once more.
    row = {"sender": message.sender, "message_id": message.message_id, "ends_at": message.expires_at + 2 * LEEWAY_S}
    try:
        connection.execute(insert(_SEEN), row)
    except IntegrityError as error:
        raise PeerReplayed from error


def _minted(connection: Connection, token_id: str) -> MintedToken | None:
    row = connection.execute(select(_MINTED).where(_MINTED.c.token_id == token_id)).one_or_none()
    if row is None:
        return None
    return MintedToken(row.token_sha256, frozenset(OrgId.parse(org) for org in row.audience.split()))


def _keep(connection: Connection, finding: TokenFinding, use: TokenUse, by: OrgId, now: int) -> bool:
    """Say whether the finding is new; beyond the limit of its organization and day nothing is kept or told."""
    mine = _FINDING.c.organization == by
    known = select(_FINDING.c.number).where(mine, _FINDING.c.token_id == use.token_id, _FINDING.c.code == finding.code)
    count = connection.execute(select(func.count()).select_from(_FINDING).where(mine)).scalar_one()
    if connection.execute(known).first() is not None:
        return False
    if count >= FINDINGS_PER_ORGANIZATION_MAX and not _make_room(connection, mine, now):
        return False
    row = {"code": finding.code, "organization": by, "token_id": use.token_id, "status": use.status}
    connection.execute(insert(_FINDING), {**row, "used_at": use.at, "noticed_at": now})
    return True


def _make_room(connection: Connection, mine: ColumnElement[bool], now: int) -> bool:
    oldest = select(func.min(_FINDING.c.number)).where(mine).scalar_subquery()
    gone = (_FINDING.c.number == oldest) & (_FINDING.c.noticed_at <= now - FINDING_STAYS_S)
    return connection.execute(delete(_FINDING).where(gone)).rowcount > 0


def _prune(connection: Connection, table: Table, key: Column[str], where: object) -> None:
    gone = select(key).where(where).limit(PRUNED_AT_ONCE_MAX)  # type: ignore[arg-type]  # a column's comparison
    connection.execute(delete(table).where(key.in_(gone), where))  # type: ignore[arg-type]
