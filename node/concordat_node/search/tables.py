"""The tables of the SQL posting index: a projection of the registry, stored class first, built again at any time.

Rules of this file:

* Every key begins with the policy class (postings: text level, term, class), so that a query inside a view seeks to
  visible rows and never passes over others.
* A term of a record is stored once, under the first text level at which it occurs, with its impact at that level and
  every higher one. A view at level L reads the sets 0..L: what a mask hides is in no set it touches.
* `row` is internal. It orders nothing and leaves in nothing.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Integer, String, Table, Text

from concordat_node.registry.tables import ID_LENGTH, METADATA, WORD_LENGTH

LEVELS = ("title", "summary", "full")
"""The text levels in order; the position of a word here is the `first_level` of a posting."""


def _class_number() -> Column[int]:
    key = ForeignKey("policy_class.number")
    return Column("class_number", Integer, key, primary_key=True, nullable=False, autoincrement=False)


def _row() -> Column[int]:
    return Column("row", Integer, primary_key=True, nullable=False, autoincrement=False)


def _word(name: str, length: int = WORD_LENGTH, *, primary_key: bool = False) -> Column[str]:
    return Column(name, String(length), primary_key=primary_key, nullable=False)


def _in_a_byte(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} BETWEEN 1 AND 255", name=column)


INDEX_MANIFEST = Table(
    "index_manifest",
    METADATA,
    Column("single", Integer, primary_key=True, autoincrement=False),
    _word("stats_revision", 64),
    Column("next_row", Integer, nullable=False),
    CheckConstraint("single = 1", name="single"),
)
SEARCH_ROW = Table(
    "search_row",
    METADATA,
    _class_number(),
    _row(),
    _word("asset_id", ID_LENGTH),
    _word("tie", 16),
    _word("kind", 10),
    _word("task"),
    _word("framework"),
    _word("modality"),
    _word("license"),
    _word("origin"),
    _word("created", 10),
    Column("cohort_size", Integer, nullable=True),
    sqlite_with_rowid=False,
)
SEARCH_ID = Table(
    "search_id",
    METADATA,
    _class_number(),
    _word("asset_id", ID_LENGTH, primary_key=True),
    Column("row", Integer, nullable=False, unique=True),
    # What the record's postings are, so that a delete can name every one of them.
    Column("terms", Text, nullable=False),
    sqlite_with_rowid=False,
)
SEARCH_POSTING = Table(
    "search_posting",
    METADATA,
    Column("first_level", Integer, primary_key=True, autoincrement=False),
    _word("term", primary_key=True),
    Column("class_number", Integer, primary_key=True, autoincrement=False),
    _row(),
    # NULL below the first level: there the term does not occur.
    Column("impact_title", Integer, nullable=True),
    Column("impact_summary", Integer, nullable=True),
    Column("impact_full", Integer, nullable=False),
    CheckConstraint(f"first_level BETWEEN 0 AND {len(LEVELS) - 1}", name="first_level"),
    _in_a_byte("impact_title"),
    _in_a_byte("impact_summary"),
    _in_a_byte("impact_full"),
    sqlite_with_rowid=False,
)
SEARCH_KEYWORD = Table(
    "search_keyword",
    METADATA,
    _class_number(),
    _word("keyword", primary_key=True),
    _row(),
    sqlite_with_rowid=False,
)
SEARCH_METRIC = Table(
    "search_metric",
    METADATA,
    _class_number(),
    _word("metric", 40, primary_key=True),
    _row(),
    Column("position", Integer, primary_key=True, nullable=False, autoincrement=False),
    _word("value", 40),
    _word("split", 20),
    sqlite_with_rowid=False,
)
SEARCH_EDGE = Table(
    "search_edge",
    METADATA,
    _class_number(),
    # What an asset came from, and how. What is asserted the other way round is found under the asset's own id.
    _word("end_id", ID_LENGTH, primary_key=True),
    _word("relation", 20, primary_key=True),
    _row(),
    sqlite_with_rowid=False,
)
