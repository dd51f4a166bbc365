"""Writing the SQL posting index: in the registry's own transactions, or whole from the registry.

Rules of this file:

* The registry is the truth. The manifest names the term statistics the impacts were computed with; with any other the
  index answers nothing until it is built again (`ensure_index`).
* Rows are numbered once and a number is never used twice, so a forgotten posting could not speak for another record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from concordat_node.registry.engine import Database
from concordat_node.registry.records import AssetRecord
from concordat_node.registry.store import in_chunks, read_assets
from concordat_node.registry.tables import ASSET, ASSET_KEYWORD, EVALUATION, LINEAGE_EDGE, POLICY_CLASS
from concordat_node.search.tables import (
    INDEX_MANIFEST,
    LEVELS,
    SEARCH_EDGE,
    SEARCH_ID,
    SEARCH_KEYWORD,
    SEARCH_METRIC,
    SEARCH_POSTING,
    SEARCH_ROW,
)
from concordat_trust.ranking import impacts
from concordat_trust.text import RecordTexts, TermStatistics

_PROJECTION = (SEARCH_ROW, SEARCH_ID, SEARCH_POSTING, SEARCH_KEYWORD, SEARCH_METRIC, SEARCH_EDGE)
# What a list of the index is keyed by beside class and row, and the registry's table that has the same values.
_WITH_LISTS = (
    (SEARCH_KEYWORD, "keyword", ASSET_KEYWORD),
    (SEARCH_METRIC, "metric", EVALUATION),
    (SEARCH_EDGE, "end_id", LINEAGE_EDGE),
)

Rows = list[dict[str, Any]]


def index_revision(connection: Connection) -> str | None:
    """Return the revision of the statistics the index was built with; None before it was ever built."""
    return connection.execute(select(INDEX_MANIFEST.c.stats_revision)).scalar()


def ensure_index(database: Database, statistics: TermStatistics) -> bool:
    """Build the index unless it already stands on these statistics; say whether it had to be built.

    Call it at start and whenever the bundle's statistics change. Raises: StorageFull, StorageBusy, StorageFailed.
    """
    with database.reading() as connection:
        if index_revision(connection) == statistics.revision:
            return False
    rebuild_index(database, statistics)
    return True


def rebuild_index(database: Database, statistics: TermStatistics) -> None:
    """Build the whole index from the registry in one transaction. Raises: StorageFull, StorageBusy, StorageFailed."""
    with database.writing() as connection:
        for table in (*_PROJECTION, INDEX_MANIFEST):
            connection.execute(delete(table))
        manifest = {"single": 1, "stats_revision": statistics.revision, "next_row": 1}
        connection.execute(insert(INDEX_MANIFEST).values(manifest))
        writer = PostingWriter(statistics)
        ids = connection.execute(select(ASSET.c.asset_id).order_by(ASSET.c.asset_id)).scalars().all()
        for chunk in in_chunks(ids):
            writer.add(connection, [record.published() for record in read_assets(connection, chunk)])


class PostingWriter:
    """The index's side of a registry transaction (`registry.writing.IndexWriter`)."""

    def __init__(self, statistics: TermStatistics) -> None:
        self._statistics = statistics

    def remove(self, connection: Connection, ids: Sequence[str]) -> None:
        """Remove every row and posting of assets that are still in the registry under their old class."""
        for chunk in in_chunks(ids):
            indexed = _indexed(connection, chunk)
            keys = [{**_key((number, row)), "asset_id": asset_id} for number, row, asset_id, _ in indexed]
            for table, column, source in _WITH_LISTS:
                _delete_listed(connection, table, column, source, keys)
            for table in (SEARCH_ROW, SEARCH_ID):
                _delete(connection, table, keys)
            _delete(connection, SEARCH_POSTING, [key for item in indexed for key in _posting_keys(*item)])

    def add(self, connection: Connection, records: Sequence[AssetRecord]) -> None:
        """Add the rows and postings of assets whose classes are in the registry."""
        if not records:
            return
        numbers = _class_numbers(connection, sorted({record.class_id for record in records}))
        first = connection.execute(select(INDEX_MANIFEST.c.next_row)).scalar_one()
        connection.execute(update(INDEX_MANIFEST).values(next_row=first + len(records)))
        keyed = [((numbers[record.class_id], row), record) for row, record in enumerate(records, start=first)]
        postings: Rows = []
        ids: Rows = []
        for key, record in keyed:
            held = _postings(key, record, self._statistics)
            postings += held
            ids.append({**_key(key), "asset_id": str(record.id), "terms": _forward(held)})
        _insert(connection, SEARCH_ROW, [_row(key, record) for key, record in keyed])
        _insert(connection, SEARCH_ID, ids)
        # In key order, so that a batch touches each page of the tree once.
        _insert(connection, SEARCH_POSTING, sorted(postings, key=_posting_order))
        _insert(connection, SEARCH_KEYWORD, [{**_key(k), "keyword": word} for k, r in keyed for word in r.keywords])
        _insert(connection, SEARCH_METRIC, [row for key, record in keyed for row in _metric_rows(key, record)])
        _insert(connection, SEARCH_EDGE, [row for key, record in keyed for row in _edge_rows(key, record)])


def _indexed(connection: Connection, ids: Sequence[str]) -> list[tuple[int, int, str, str]]:
    """Return (class number, row, id, terms) of the assets among `ids` that the index has."""
    class_of_asset = ASSET.join(POLICY_CLASS, ASSET.c.class_id == POLICY_CLASS.c.class_id)
    is_same = (SEARCH_ID.c.class_number == POLICY_CLASS.c.number) & (SEARCH_ID.c.asset_id == ASSET.c.asset_id)
    query = (
        select(SEARCH_ID.c.class_number, SEARCH_ID.c.row, SEARCH_ID.c.asset_id, SEARCH_ID.c.terms)
        .select_from(class_of_asset.join(SEARCH_ID, is_same))
        .where(ASSET.c.asset_id.in_(ids))
    )
    return [(row.class_number, row.row, row.asset_id, row.terms) for row in connection.execute(query)]


def _class_numbers(connection: Connection, class_ids: Sequence[str]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for chunk in in_chunks(class_ids):
        query = select(POLICY_CLASS.c.class_id, POLICY_CLASS.c.number).where(POLICY_CLASS.c.class_id.in_(chunk))
        numbers.update({row.class_id: row.number for row in connection.execute(query)})
    return numbers


def _key(key: tuple[int, int]) -> dict[str, Any]:
    return {"class_number": key[0], "row": key[1]}


def _row(key: tuple[int, int], record: AssetRecord) -> dict[str, Any]:
    return {
        **_key(key),
        "asset_id": str(record.id),
        "tie": record.tie,
        "kind": record.kind,
        "task": record.task,
        "framework": record.framework,
        "modality": record.modality,
        "license": record.license,
        "origin": record.origin,
        "created": record.created,
        "cohort_size": record.cohort_size,
    }


def _metric_rows(key: tuple[int, int], record: AssetRecord) -> Rows:
    return [
        {**_key(key), "position": position, "metric": item.metric, "value": item.value, "split": item.split}
        for position, item in enumerate(record.evaluations)
    ]


def _edge_rows(key: tuple[int, int], record: AssetRecord) -> Rows:
    edges = (item.edge for item in record.edges if item.edge.source == record.id)
    return [{**_key(key), "end_id": str(edge.target), "relation": edge.relation} for edge in edges]


def _postings(key: tuple[int, int], record: AssetRecord, statistics: TermStatistics) -> Rows:
    texts = RecordTexts(record.title, record.summary, record.keywords, record.description)
    title = impacts(texts, "title", statistics)
    # A level that adds no text has the same impacts as the one below.
    summary = impacts(texts, "summary", statistics) if record.summary or record.keywords else title
    full = impacts(texts, "full", statistics) if record.description else summary
    return [
        {
            "first_level": 0 if term in title else 1 if term in summary else 2,
            "term": term,
            **_key(key),
            "impact_title": title.get(term),
            "impact_summary": summary.get(term),
            "impact_full": impact,
        }
        for term, impact in full.items()
    ]


def _posting_order(row: dict[str, Any]) -> tuple[int, str, int, int]:
    return row["first_level"], row["term"], row["class_number"], row["row"]


def _forward(postings: Rows) -> str:
    """Return the terms of a record, one line per first level: what `_posting_keys` needs to name them all."""
    # A term is a run of letters and digits, so that neither separator can be part of one.
    lines = [[row["term"] for row in postings if row["first_level"] == level] for level in range(len(LEVELS))]
    return "\n".join(" ".join(terms) for terms in lines)


def _posting_keys(number: int, row: int, _asset_id: str, forward: str) -> Rows:
    return [
        {"first_level": level, "term": term, **_key((number, row))}
        for level, line in enumerate(forward.split("\n"))
        for term in line.split()
    ]


def _delete(connection: Connection, table: Table, keys: Rows) -> None:
    """Delete the rows with these column values, in one prepared statement."""
    if keys:
        is_same = [table.c[name] == bindparam(f"old_{name}") for name in keys[0]]
        connection.execute(delete(table).where(*is_same), _parameters(keys))


def _delete_listed(connection: Connection, table: Table, column: str, source: Table, keys: Rows) -> None:
    """Delete an asset's rows of a list, found by the whole key: the values are still in the registry."""
    if keys:
        is_row = (table.c.class_number == bindparam("old_class_number")) & (table.c.row == bindparam("old_row"))
        listed = select(source.c[column]).where(source.c.asset_id == bindparam("old_asset_id"))
        connection.execute(delete(table).where(is_row, table.c[column].in_(listed)), _parameters(keys))


def _parameters(keys: Rows) -> Rows:
    return [{f"old_{name}": value for name, value in key.items()} for key in keys]


def _insert(connection: Connection, table: Table, rows: Rows) -> None:
    if rows:
        connection.execute(insert(table), rows)
