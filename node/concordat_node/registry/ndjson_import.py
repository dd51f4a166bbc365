"""Import newline-delimited JSON: every good line is stored, every bad one is reported, nothing is lost in between.

Rules of this file:

* One transaction per batch, registry and index together. When the disk is full the import stops with `storage_full`;
  what was committed stays, and importing the same file again gives the same state.
* A report names a bad line by number, code and field, and never repeats what stood there.
* A line is read with a bound, so that a gigabyte without a line break is one refused line and not our memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from concordat_node.registry.engine import Database
from concordat_node.registry.errors import EntryDeleted, ImportLinesMax, ImportUnreadable
from concordat_node.registry.lineage_check import LineageCheck, stored_sources
from concordat_node.registry.rules import LINE_BYTES_MAX, Imported, ImportedAsset, Owner, read_line
from concordat_node.registry.writing import IndexWriter, entry_of, write_batch
from concordat_node.search.index_writer import PostingWriter, ensure_index
from concordat_trust.canonical import JsonObject
from concordat_trust.errors import RefusedDocument
from concordat_trust.text import TermStatistics

BATCH_LINES = 500
LINES_MAX = 2_000_000


@dataclass(frozen=True, slots=True)
class LineReport:
    """What became of one line: `id` when it was stored; `code`, `field` and `message` when it was refused."""

    line: int
    ok: bool
    id: str | None = None
    code: str | None = None
    field: str | None = None
    message: str | None = None

    def to_json(self) -> JsonObject:
        if self.ok:
            return {"line": self.line, "ok": True, "id": self.id}
        return {"line": self.line, "ok": False, "code": self.code, "field": self.field, "message": self.message}


@dataclass(frozen=True, slots=True)
class ImportReport:
    """One entry per line that was not blank, in the order of the file."""

    lines: tuple[LineReport, ...]

    @property
    def imported(self) -> int:
        return sum(line.ok for line in self.lines)

    @property
    def refused(self) -> int:
        return len(self.lines) - self.imported

    def to_json(self) -> JsonObject:
        return {
            "imported": self.imported,
            "refused": self.refused,
            "lines": [line.to_json() for line in self.lines],
        }


def run_import(
    path: Path, database: Database, *, owner: Owner, statistics: TermStatistics, clock: Callable[[], int]
) -> ImportReport:
    """Import a file into a migrated database; the core of `concordat node import`.

    Raises: ImportUnreadable, StorageFull, StorageBusy, StorageFailed.
    """
    ensure_index(database, statistics)
    try:
        with path.open("rb") as file:
            return import_ndjson(
                bounded_lines(file), database, owner=owner, index=PostingWriter(statistics), now=clock()
            )
    except OSError as error:
        raise ImportUnreadable(reason=(error.strerror or "unknown").lower()) from error


def import_lines(
    lines: Iterable[bytes],
    database: Database,
    *,
    owner: Owner,
    statistics: TermStatistics,
    clock: Callable[[], int],
) -> ImportReport:
    """Import lines that are in memory. Raises: StorageFull, StorageBusy, StorageFailed."""
    ensure_index(database, statistics)
    return import_ndjson(lines, database, owner=owner, index=PostingWriter(statistics), now=clock())


def read_import(path: Path, *, bytes_max: int) -> bytes:
    """Return a file that is one document, one byte more than `bytes_max` at most. Raises: ImportUnreadable."""
    try:
        with path.open("rb") as file:
            return file.read(bytes_max + 1)
    except OSError as error:
        raise ImportUnreadable(reason=(error.strerror or "unknown").lower()) from error


def import_ndjson(
    lines: Iterable[bytes],
    database: Database,
    *,
    owner: Owner,
    index: IndexWriter,
    now: int,
    batch_lines: int = BATCH_LINES,
    lines_max: int = LINES_MAX,
) -> ImportReport:
    """Import lines and return what became of each. Raises: StorageFull, StorageBusy, StorageFailed."""
    reports: list[LineReport] = []
    lineage = LineageCheck(stored_sources(database))
    batch: dict[int, Imported] = {}

    def commit() -> None:
        for place in _commit(database, batch, index, now):
            reports[place] = _refused(reports[place].line, EntryDeleted(field="id"))
        batch.clear()
        lineage.committed()

    for number, data in enumerate(lines, start=1):
        if number > lines_max:
            reports.append(_refused(number, ImportLinesMax(lines_max=lines_max)))
            break
        if not data.strip():
            continue
        try:
            item = read_line(data, owner)
            if isinstance(item, ImportedAsset):
                lineage.admit(item.record)
        except RefusedDocument as error:
            reports.append(_refused(number, error))
            continue
        batch[len(reports)] = item
        reports.append(LineReport(number, ok=True, id=entry_of(item)[1]))
        if len(batch) == batch_lines:
            commit()
    if batch:
        commit()
    return ImportReport(tuple(reports))


def bounded_lines(file: BinaryIO, *, bytes_max: int = LINE_BYTES_MAX) -> Iterator[bytes]:
    """Yield lines without their ends, a longer one cut to `bytes_max` + 1 bytes, which no reader accepts."""
    read_max = bytes_max + len(b"\r\n")
    while line := file.readline(read_max):
        yield line.rstrip(b"\r\n")[: bytes_max + 1]
        while len(line) == read_max and not line.endswith(b"\n"):
            line = file.readline(read_max)


def _commit(database: Database, batch: Mapping[int, Imported], index: IndexWriter, now: int) -> list[int]:
    """Store a batch (place in the report → item) and return the places of those that were refused."""
    with database.writing() as connection:
        refused = write_batch(connection, batch.values(), index, now=now)
    return [place for place, item in batch.items() if entry_of(item) in refused]


def _refused(number: int, error: RefusedDocument) -> LineReport:
    return LineReport(number, ok=False, code=error.code, field=_field(error), message=error.message)


def _field(error: RefusedDocument) -> str | None:
    """Return the path of the field inside the line, such as `policy.permission`; None when the line is no object."""
    name = error.fields.get("field")
    if name is None:
        return None
    where = str(error.fields.get("where", "line")).removeprefix("line").lstrip(".")
    return ".".join(part for part in (where, str(name)) if part) or None
