"""Versions of an asset as rows of their own; the one label an asset had becomes its first version.

What the old label says is kept: it stays the current version, released on the day the record was created.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "asset_version",
        sa.Column("asset_id", sa.String(length=120), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("released", sa.String(length=10), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.CheckConstraint("released LIKE '____-__-__'", name=op.f("ck_asset_version_released")),
        sa.CheckConstraint("status IN ('active', 'withdrawn')", name=op.f("ck_asset_version_status")),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.asset_id"], name=op.f("fk_asset_version_asset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("asset_id", "label", name=op.f("pk_asset_version")),
    )
    op.add_column("evaluation", sa.Column("version", sa.String(length=200), nullable=False, server_default=""))
    op.execute(
        "INSERT INTO asset_version (asset_id, label, released, digest, changes, status) "
        "SELECT asset_id, version, created, '', '', 'active' FROM asset WHERE version <> ''"
    )
