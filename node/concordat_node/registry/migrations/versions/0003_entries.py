"""Revisions, tombstones, the list of changes, and answers kept for repeated requests.

What is there already begins at revision 1; who wrote it is not known.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_KINDS = "kind IN ('asset', 'agreement', 'approval')"


def upgrade() -> None:
    op.create_table(
        "registry_entry",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("entry_id", sa.String(length=120), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.CheckConstraint(_KINDS, name=op.f("ck_registry_entry_kind")),
        sa.CheckConstraint("revision >= 1", name=op.f("ck_registry_entry_revision")),
        sa.PrimaryKeyConstraint("kind", "entry_id", name=op.f("pk_registry_entry")),
    )
    _changes()
    _answers()
    op.execute("INSERT INTO registry_entry SELECT 'asset', asset_id, 1, false FROM asset")
    op.execute("INSERT INTO registry_entry SELECT 'agreement', agreement_id, 1, false FROM agreement")
    op.execute("INSERT INTO registry_entry SELECT 'approval', approval_id, 1, false FROM approval")


def _changes() -> None:
    op.create_table(
        "registry_change",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=300), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("entry_id", sa.String(length=120), nullable=False),
        sa.Column("action", sa.String(length=10), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint(_KINDS, name=op.f("ck_registry_change_kind")),
        sa.CheckConstraint(
            "action IN ('created', 'changed', 'deleted', 'restored')", name=op.f("ck_registry_change_action")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_registry_change")),
    )
    op.create_index(op.f("ix_registry_change_kind_entry_id"), "registry_change", ["kind", "entry_id"])


def _answers() -> None:
    op.create_table(
        "idempotent_answer",
        sa.Column("actor", sa.String(length=300), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("location", sa.String(length=400), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("pk_idempotent_answer")),
    )
    op.create_index(op.f("ix_idempotent_answer_at"), "idempotent_answer", ["at"])
