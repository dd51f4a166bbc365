"""Whether the disclosure log is still what it was: every entry, every hash of the tree, every consumed token.

Rules of this file:

* One pass in one read-only snapshot, a page at a time; a node that is serving is not disturbed.
* Each hash is compared with what its *stored* children give. So one edit is one finding at its own place, not one per
  level above it, and when no place has a finding the stored tree is the tree of the entries.
* Who can write the file can write a whole other tree, in which every place fits. Only what somebody kept finds that:
  a checkpoint or a receipt from before. A log that was cut off at its end leaves traces (hashes and tokens of entries
  that are gone), but the proof of it is a kept checkpoint too.
* What the kept documents claim is compared, not who signed them: a forged one can only raise a false alarm, and
  `concordat verify-log` tells it from a true one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, RowMapping, bindparam, func, select

from concordat_node.ledger.tables import AS_BYTES, CONSUMED, ENTRY, SUBTREE, leaf_of
from concordat_node.registry.engine import Database
from concordat_node.registry.errors import StorageFailed
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.checkpoint import Checkpoint
from concordat_trust.encoding import b64u
from concordat_trust.log_proof import EMPTY_ROOT, Subtree, node_hash, root_of

PAGE = 256
FINDINGS_MAX = 100

SENTENCES: Mapping[str, str] = {
    "entry_changed": "the entry at {position} does not give its leaf: it, its salt or its leaf was changed",
    "time_changed": "the time beside the entry at {position} is not the time in it",
    "entry_missing": "there is no entry at {position}, although later ones are there; the tree after it is not checked",
    "subtree_changed": "a hash over the entries {first} to {position} is not that of the hashes below it",
    "subtree_missing": "the hash over the entries {first} to {position} is not there",
    "subtree_unexpected": "there are {count} hashes of entries that are gone; it may have been cut off at {position}",
    "token_changed": "the consumed token of the entry at {position} is not there, or belongs to another entry",
    "token_without_entry": "{count} tokens were consumed by entries that are not there",
    "checkpoint_ahead": "the log has {position} entries; a checkpoint of {size} entries was given: the end was cut off",
    "checkpoint_differs": "the first {size} entries are not those of the checkpoint: at least one was changed",
    "checkpoint_foreign": "a checkpoint is of another organization's log",
    "receipt_differs": "the entry at {position} is not the one of the receipt",
    "file_damaged": "the file cannot be read as a database",
}
"""Code of a finding → what it says."""


@dataclass(frozen=True, slots=True)
class LogFinding:
    """Something that is wrong with the log, and where; `position` is the entry, or where there should be one."""

    code: str
    position: int | None = None
    facts: Mapping[str, int] = field(default_factory=dict)

    @property
    def message(self) -> str:
        return SENTENCES[self.code].format(position=self.position, **self.facts)

    def to_json(self) -> JsonObject:
        return {"code": self.code, "message": self.message, "position": self.position}


@dataclass(frozen=True, slots=True)
class Kept:
    """What somebody kept of the log: a checkpoint, and with a receipt also the leaf at one place."""

    checkpoint: Checkpoint
    index: int | None = None
    leaf: bytes | None = None


@dataclass(frozen=True, slots=True)
class LogReport:
    """What was looked at and what was found; at most FINDINGS_MAX findings, `is_cut` when there are more."""

    size: int
    root: bytes
    kept: int
    findings: tuple[LogFinding, ...]
    is_cut: bool = False

    def to_json(self) -> JsonObject:
        found: list[Json] = [finding.to_json() for finding in self.findings]
        return {
            "checkpoints": self.kept,
            "findings": found,
            "findings_cut": self.is_cut,
            "ok": not self.findings,
            "root": b64u(self.root),
            "size": self.size,
        }


def verify_log(database: Database, *, organization: str, kept: Sequence[Kept] = ()) -> LogReport:
    """Return what is wrong with the log. Raises: StorageBusy."""
    walk = _Walk(organization, kept)
    try:
        with database.reading() as connection:
            walk.entries(connection)
            walk.rest(connection)
    except StorageFailed:
        walk.find("file_damaged")
    walk.compare()
    return LogReport(
        walk.size, walk.root, len(kept), tuple(walk.findings[:FINDINGS_MAX]), len(walk.findings) > FINDINGS_MAX
    )


class _Walk:
    """The pass over the log: how far it is, the stored hashes that stand open, and what was found."""

    def __init__(self, organization: str, kept: Sequence[Kept]) -> None:
        self.findings: list[LogFinding] = []
        self.size = 0
        self._standing: list[bytes] = []
        self._is_whole = True
        self._organization = organization
        self._kept = kept
        self._sizes = {one.checkpoint.size for one in kept}
        self._indexes = {one.index for one in kept if one.index is not None}
        self._roots: dict[int, bytes] = {0: EMPTY_ROOT}
        self._leaves: dict[int, bytes] = {}

    @property
    def root(self) -> bytes:
        return root_of(self._standing)

    def find(self, code: str, position: int | None = None, **facts: int) -> None:
        if len(self.findings) <= FINDINGS_MAX:
            self.findings.append(LogFinding(code, position, facts))

    def entries(self, connection: Connection) -> None:
        after = -1
        while page := connection.execute(AS_BYTES.where(ENTRY.c.position > after).limit(PAGE)).mappings().all():
            stored = _subtrees(connection, [row["position"] for row in page])
            tokens = _Tokens(connection)
            for row in page:
                self._entry(row, stored, tokens)
            for position in tokens.misplaced():
                self.find("token_changed", position)
            after = int(page[-1]["position"])

    def _entry(self, row: RowMapping, stored: Mapping[int, bytes], tokens: _Tokens) -> None:
        position, leaf = int(row["position"]), bytes(row["leaf"])
        if position != self.size and self._is_whole:
            self.find("entry_missing", self.size)
            self._is_whole = False
        if leaf_of(row["canonical"], row["salt"]) != leaf:
            self.find("entry_changed", position)
        else:
            # The leaf holds, so these are the bytes that the node wrote.
            entry = json.loads(row["canonical"])
            tokens.expect(entry["issuer"], entry["token_id"], leaf, position)
            if entry["at"] != row["at"]:
                self.find("time_changed", position)
        if self._is_whole:
            self._grow(position, leaf, stored)
        self.size = position + 1

    def _grow(self, position: int, leaf: bytes, stored: Mapping[int, bytes]) -> None:
        top, level = leaf, 0
        while position >> level & 1:
            level += 1
            place, first = Subtree(position, level), position + 1 - (1 << level)
            expected = node_hash(self._standing.pop(), top)
            top = stored.get(place.number, expected)
            if place.number not in stored:
                self.find("subtree_missing", position, first=first)
            elif top != expected:
                self.find("subtree_changed", position, first=first)
        self._standing.append(top)
        if position + 1 in self._sizes:
            self._roots[position + 1] = self.root
        if position in self._indexes:
            self._leaves[position] = leaf

    def rest(self, connection: Connection) -> None:
        """Look for what belongs to no entry."""
        if self._is_whole:
            hashes = int(connection.execute(select(func.count()).select_from(SUBTREE)).scalar_one())
            missing = sum(finding.code == "subtree_missing" for finding in self.findings)
            beyond = hashes + missing - (self.size - self.size.bit_count())
            if beyond > 0:
                self.find("subtree_unexpected", self.size, count=beyond)
        logged = select(ENTRY.c.leaf)
        orphans = select(func.count()).select_from(CONSUMED).where(CONSUMED.c.leaf.not_in(logged))
        if count := int(connection.execute(orphans).scalar_one()):
            self.find("token_without_entry", count=count)

    def compare(self) -> None:
        """Compare the log with what was kept of it."""
        for one in self._kept:
            checkpoint = one.checkpoint
            if checkpoint.organization != self._organization:
                self.find("checkpoint_foreign")
            elif checkpoint.size > self.size:
                self.find("checkpoint_ahead", self.size, size=checkpoint.size)
            elif self._is_whole and self._roots[checkpoint.size] != checkpoint.root:
                self.find("checkpoint_differs", size=checkpoint.size)
            if one.index is not None and self._leaves.get(one.index, one.leaf) != one.leaf:
                self.find("receipt_differs", one.index)


_SUBTREES = select(SUBTREE).where(SUBTREE.c.number.in_(bindparam("numbers", expanding=True)))
_TOKENS = select(CONSUMED).where(
    CONSUMED.c.issuer == bindparam("one_issuer"), CONSUMED.c.token_id.in_(bindparam("token_ids", expanding=True))
)


def _subtrees(connection: Connection, positions: Iterable[int]) -> Mapping[int, bytes]:
    """Return the stored hashes that these leaves complete, by number."""
    numbers = [
        Subtree(position, level).number
        for position in positions
        for level in range(1, (position ^ (position + 1)).bit_length())
    ]
    return {row.number: bytes(row.hash) for row in connection.execute(_SUBTREES, {"numbers": numbers})}


class _Tokens:
    """The tokens that a page's entries consumed, compared with those that are stored."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._expected: dict[str, dict[str, tuple[bytes, int]]] = {}

    def expect(self, issuer: str, token_id: str, leaf: bytes, position: int) -> None:
        self._expected.setdefault(issuer, {})[token_id] = (leaf, position)

    def misplaced(self) -> Iterable[int]:
        """Return the positions whose token is not stored with their leaf."""
        for issuer, tokens in self._expected.items():
            asked = {"one_issuer": issuer, "token_ids": list(tokens)}
            stored = {row.token_id: row.leaf for row in self._connection.execute(_TOKENS, asked)}
            for token_id, (leaf, position) in tokens.items():
                if stored.get(token_id) != leaf:
                    yield position
