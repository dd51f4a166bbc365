"""Lineage: every edge that an asset asserts in one table, and whether a class lets edges to others be told.

What a model was trained on becomes such edges. The index lists them anew, so it is built again at the next start.
"""

from __future__ import annotations

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _lineage_edges()
    _copy_edges()
    op.drop_table("trained_on")
    _class_attribute()
    _index()


def _lineage_edges() -> None:
    op.create_table(
        "lineage_edge",
        sa.Column("asset_id", sa.String(length=120), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("edge_id", sa.String(length=64), nullable=False),
        sa.Column("relation", sa.String(length=20), nullable=False),
        sa.Column("end_id", sa.String(length=120), nullable=False),
        sa.Column("is_source", sa.Boolean(), nullable=False),
        sa.Column("asserted_on", sa.String(length=10), nullable=False),
        sa.CheckConstraint(
            "relation IN ('fine_tuned_from', 'derived_from', 'trained_on', 'evaluated_on')",
            name=op.f("ck_lineage_edge_relation"),
        ),
        sa.CheckConstraint("is_source IN (true, false)", name=op.f("ck_lineage_edge_is_source")),
        sa.CheckConstraint("asserted_on LIKE '____-__-__'", name=op.f("ck_lineage_edge_asserted_on")),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.asset_id"], name=op.f("fk_lineage_edge_asset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("asset_id", "position", name=op.f("pk_lineage_edge")),
        sa.UniqueConstraint("asset_id", "edge_id", name=op.f("uq_lineage_edge_asset_id_edge_id")),
    )


def _copy_edges() -> None:
    connection = op.get_bind()
    trained = sa.text(
        "SELECT t.asset_id, t.dataset_id, a.created FROM trained_on t JOIN asset a ON a.asset_id = t.asset_id "
        "ORDER BY t.asset_id, t.position"
    )
    measured = sa.text(
        "SELECT e.asset_id, e.dataset_id, a.created FROM evaluation e JOIN asset a ON a.asset_id = e.asset_id "
        "WHERE e.dataset_id IS NOT NULL ORDER BY e.asset_id, e.position"
    )
    edges: dict[str, dict[tuple[str, str], str]] = {}
    for relation, query in (("trained_on", trained), ("evaluated_on", measured)):
        for asset_id, dataset_id, created in connection.execute(query):
            edges.setdefault(asset_id, {}).setdefault((relation, dataset_id), created)
    insert = sa.text(
        "INSERT INTO lineage_edge (asset_id, position, edge_id, relation, end_id, is_source, asserted_on) "
        "VALUES (:asset_id, :position, :edge_id, :relation, :end_id, true, :asserted_on)"
    )
    for asset_id, held in edges.items():
        for position, ((relation, end_id), created) in enumerate(held.items()):
            row = {"asset_id": asset_id, "position": position, "relation": relation, "end_id": end_id}
            edge_id = _edge_id(relation, asset_id, end_id)
            connection.execute(insert, {**row, "edge_id": edge_id, "asserted_on": created})


def _edge_id(relation: str, source: str, target: str) -> str:
    triple = {"edge_version": 1, "relation": relation, "source": source, "target": target}
    return hashlib.sha256(json.dumps(triple, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _class_attribute() -> None:
    # Not through batch_alter_table: it would drop and refill the table that classes' other rows hang on.
    op.execute(
        "ALTER TABLE policy_class ADD COLUMN lineage VARCHAR(10) DEFAULT 'closed' NOT NULL "
        "CONSTRAINT ck_policy_class_lineage CHECK (lineage IN ('closed', 'open', 'complete'))"
    )


def _index() -> None:
    op.drop_table("search_edge")
    op.create_table(
        "search_edge",
        sa.Column("class_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("end_id", sa.String(length=120), nullable=False),
        sa.Column("relation", sa.String(length=20), nullable=False),
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["class_number"], ["policy_class.number"], name=op.f("fk_search_edge_class_number")),
        sa.PrimaryKeyConstraint("class_number", "end_id", "relation", "row", name=op.f("pk_search_edge")),
        sqlite_with_rowid=False,
    )
    op.execute("DELETE FROM index_manifest")
