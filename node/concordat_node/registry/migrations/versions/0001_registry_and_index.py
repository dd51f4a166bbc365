"""The registry's tables and the SQL posting index, as the first release has them.

A migration is frozen: it spells the tables out and imports nothing from `tables.py`, which moves on. A test compares
what the whole history makes with what `tables.py` says.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _registry_state()
    _policy_classes()
    _assets()
    _asset_lists()
    _agreements()
    _approvals()
    _search_rows()
    _search_postings()


def _registry_state() -> None:
    op.create_table(
        "registry_state",
        sa.Column("single", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("single = 1", name=op.f("ck_registry_state_single")),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_registry_state")),
    )


def _policy_classes() -> None:
    op.create_table(
        "policy_class",
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("sensitivity", sa.Integer(), nullable=False),
        sa.Column("permission", sa.String(length=20), nullable=False),
        sa.Column("disease", sa.String(length=200), nullable=False),
        sa.Column("discoverable", sa.String(length=10), nullable=False),
        sa.Column("summary_metrics", sa.Boolean(), nullable=False),
        sa.Column("relay_may_read", sa.Boolean(), nullable=False),
        sa.Column("embargo_until", sa.String(length=10), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.CheckConstraint("discoverable IN ('none', 'summary')", name=op.f("ck_policy_class_discoverable")),
        sa.CheckConstraint("embargo_until LIKE '____-__-__'", name=op.f("ck_policy_class_embargo_until")),
        sa.CheckConstraint("kind IN ('model', 'dataset')", name=op.f("ck_policy_class_kind")),
        sa.CheckConstraint("permission LIKE 'DUO:_______'", name=op.f("ck_policy_class_permission")),
        sa.CheckConstraint("status IN ('draft', 'active', 'withdrawn')", name=op.f("ck_policy_class_status")),
        sa.CheckConstraint("relay_may_read IN (true, false)", name=op.f("ck_policy_class_relay_may_read")),
        sa.CheckConstraint("sensitivity BETWEEN 0 AND 3", name=op.f("ck_policy_class_sensitivity")),
        sa.CheckConstraint("summary_metrics IN (true, false)", name=op.f("ck_policy_class_summary_metrics")),
        sa.PrimaryKeyConstraint("class_id", name=op.f("pk_policy_class")),
        sa.UniqueConstraint("number", name=op.f("uq_policy_class_number")),
    )
    op.create_table(
        "policy_class_modifier",
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.CheckConstraint("code LIKE 'DUO:_______'", name=op.f("ck_policy_class_modifier_code")),
        sa.ForeignKeyConstraint(
            ["class_id"], ["policy_class.class_id"], name=op.f("fk_policy_class_modifier_class_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("class_id", "code", name=op.f("pk_policy_class_modifier")),
    )
    op.create_table(
        "policy_class_parameter",
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["class_id"], ["policy_class.class_id"], name=op.f("fk_policy_class_parameter_class_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("class_id", "code", "name", "value", name=op.f("pk_policy_class_parameter")),
    )
    op.create_table(
        "policy_class_agreement",
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("agreement_id", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["class_id"], ["policy_class.class_id"], name=op.f("fk_policy_class_agreement_class_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("class_id", "agreement_id", name=op.f("pk_policy_class_agreement")),
    )
    op.create_table(
        "policy_class_approval",
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("approval_id", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["class_id"], ["policy_class.class_id"], name=op.f("fk_policy_class_approval_class_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("class_id", "approval_id", name=op.f("pk_policy_class_approval")),
    )


def _assets() -> None:
    op.create_table(
        "asset",
        sa.Column("asset_id", sa.String(length=120), nullable=False),
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("task", sa.String(length=200), nullable=False),
        sa.Column("framework", sa.String(length=200), nullable=False),
        sa.Column("modality", sa.String(length=200), nullable=False),
        sa.Column("license", sa.String(length=200), nullable=False),
        sa.Column("origin", sa.String(length=200), nullable=False),
        sa.Column("created", sa.String(length=10), nullable=False),
        sa.Column("version", sa.String(length=200), nullable=False),
        sa.Column("cohort_size", sa.Integer(), nullable=True),
        sa.Column("contact", sa.String(length=300), nullable=False),
        sa.Column("imported_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("cohort_size >= 0", name=op.f("ck_asset_cohort_size")),
        sa.ForeignKeyConstraint(["class_id"], ["policy_class.class_id"], name=op.f("fk_asset_class_id")),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_asset")),
    )
    with op.batch_alter_table("asset", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_asset_class_id"), ["class_id"], unique=False)


def _asset_lists() -> None:
    op.create_table(
        "asset_keyword",
        sa.Column("asset_id", sa.String(length=120), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("keyword", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.asset_id"], name=op.f("fk_asset_keyword_asset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("asset_id", "position", name=op.f("pk_asset_keyword")),
    )
    op.create_table(
        "evaluation",
        sa.Column("asset_id", sa.String(length=120), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("metric", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=40), nullable=False),
        sa.Column("split", sa.String(length=20), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=True),
        sa.Column("dataset", sa.String(length=300), nullable=False),
        sa.Column("dataset_id", sa.String(length=120), nullable=True),
        sa.Column("interval_low", sa.String(length=40), nullable=True),
        sa.Column("interval_high", sa.String(length=40), nullable=True),
        sa.CheckConstraint("split IN ('train', 'validation', 'test', 'external')", name=op.f("ck_evaluation_split")),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.asset_id"], name=op.f("fk_evaluation_asset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("asset_id", "position", name=op.f("pk_evaluation")),
    )
    op.create_table(
        "trained_on",
        sa.Column("asset_id", sa.String(length=120), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dataset_id", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.asset_id"], name=op.f("fk_trained_on_asset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("asset_id", "position", name=op.f("pk_trained_on")),
    )


def _agreements() -> None:
    op.create_table(
        "agreement",
        sa.Column("agreement_id", sa.String(length=120), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("document_digest", sa.String(length=64), nullable=False),
        sa.Column("contact", sa.String(length=300), nullable=False),
        sa.CheckConstraint("status IN ('active', 'revoked')", name=op.f("ck_agreement_status")),
        sa.CheckConstraint("valid_from < valid_until", name=op.f("ck_agreement_validity")),
        sa.PrimaryKeyConstraint("agreement_id", name=op.f("pk_agreement")),
    )
    op.create_table(
        "agreement_party",
        sa.Column("agreement_id", sa.String(length=120), nullable=False),
        sa.Column("organization", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"],
            ["agreement.agreement_id"],
            name=op.f("fk_agreement_party_agreement_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("agreement_id", "organization", name=op.f("pk_agreement_party")),
    )
    op.create_table(
        "agreement_member",
        sa.Column("agreement_id", sa.String(length=120), nullable=False),
        sa.Column("organization", sa.String(length=40), nullable=False),
        sa.Column("pseudonym", sa.String(length=200), nullable=False),
        sa.Column("is_whole_organization", sa.Boolean(), nullable=False),
        sa.CheckConstraint("is_whole_organization = (pseudonym = '')", name=op.f("ck_agreement_member_subject")),
        sa.ForeignKeyConstraint(
            ["agreement_id"],
            ["agreement.agreement_id"],
            name=op.f("fk_agreement_member_agreement_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("agreement_id", "organization", "pseudonym", name=op.f("pk_agreement_member")),
    )
    op.create_table(
        "agreement_purpose",
        sa.Column("agreement_id", sa.String(length=120), nullable=False),
        sa.Column("purpose", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"],
            ["agreement.agreement_id"],
            name=op.f("fk_agreement_purpose_agreement_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("agreement_id", "purpose", name=op.f("pk_agreement_purpose")),
    )


def _approvals() -> None:
    op.create_table(
        "approval",
        sa.Column("approval_id", sa.String(length=120), nullable=False),
        sa.Column("board", sa.String(length=300), nullable=False),
        sa.Column("protocol", sa.String(length=300), nullable=False),
        sa.Column("approved_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("document_digest", sa.String(length=64), nullable=False),
        sa.CheckConstraint("status IN ('active', 'revoked')", name=op.f("ck_approval_status")),
        sa.CheckConstraint("approved_at < expires_at", name=op.f("ck_approval_validity")),
        sa.PrimaryKeyConstraint("approval_id", name=op.f("pk_approval")),
    )
    op.create_table(
        "approval_holder",
        sa.Column("approval_id", sa.String(length=120), nullable=False),
        sa.Column("organization", sa.String(length=40), nullable=False),
        sa.Column("pseudonym", sa.String(length=200), nullable=False),
        sa.Column("is_whole_organization", sa.Boolean(), nullable=False),
        sa.CheckConstraint("is_whole_organization = (pseudonym = '')", name=op.f("ck_approval_holder_subject")),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approval.approval_id"], name=op.f("fk_approval_holder_approval_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("approval_id", "organization", "pseudonym", name=op.f("pk_approval_holder")),
    )
    op.create_table(
        "approval_purpose",
        sa.Column("approval_id", sa.String(length=120), nullable=False),
        sa.Column("purpose", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approval.approval_id"], name=op.f("fk_approval_purpose_approval_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("approval_id", "purpose", name=op.f("pk_approval_purpose")),
    )


def _search_rows() -> None:
    op.create_table(
        "index_manifest",
        sa.Column("single", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stats_revision", sa.String(length=64), nullable=False),
        sa.Column("next_row", sa.Integer(), nullable=False),
        sa.CheckConstraint("single = 1", name=op.f("ck_index_manifest_single")),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_index_manifest")),
    )
    op.create_table(
        "search_row",
        sa.Column("class_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("asset_id", sa.String(length=120), nullable=False),
        sa.Column("tie", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("task", sa.String(length=200), nullable=False),
        sa.Column("framework", sa.String(length=200), nullable=False),
        sa.Column("modality", sa.String(length=200), nullable=False),
        sa.Column("license", sa.String(length=200), nullable=False),
        sa.Column("origin", sa.String(length=200), nullable=False),
        sa.Column("created", sa.String(length=10), nullable=False),
        sa.Column("cohort_size", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["class_number"], ["policy_class.number"], name=op.f("fk_search_row_class_number")),
        sa.PrimaryKeyConstraint("class_number", "row", name=op.f("pk_search_row")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_id",
        sa.Column("class_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("asset_id", sa.String(length=120), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["class_number"], ["policy_class.number"], name=op.f("fk_search_id_class_number")),
        sa.PrimaryKeyConstraint("class_number", "asset_id", name=op.f("pk_search_id")),
        sa.UniqueConstraint("row", name=op.f("uq_search_id_row")),
        sqlite_with_rowid=False,
    )


def _search_postings() -> None:
    op.create_table(
        "search_posting",
        sa.Column("first_level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("term", sa.String(length=200), nullable=False),
        sa.Column("class_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("impact_title", sa.Integer(), nullable=True),
        sa.Column("impact_summary", sa.Integer(), nullable=True),
        sa.Column("impact_full", sa.Integer(), nullable=False),
        sa.CheckConstraint("first_level BETWEEN 0 AND 2", name=op.f("ck_search_posting_first_level")),
        sa.CheckConstraint("impact_full BETWEEN 1 AND 255", name=op.f("ck_search_posting_impact_full")),
        sa.CheckConstraint("impact_summary BETWEEN 1 AND 255", name=op.f("ck_search_posting_impact_summary")),
        sa.CheckConstraint("impact_title BETWEEN 1 AND 255", name=op.f("ck_search_posting_impact_title")),
        sa.PrimaryKeyConstraint("first_level", "term", "class_number", "row", name=op.f("pk_search_posting")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_keyword",
        sa.Column("class_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("keyword", sa.String(length=200), nullable=False),
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["class_number"], ["policy_class.number"], name=op.f("fk_search_keyword_class_number")),
        sa.PrimaryKeyConstraint("class_number", "keyword", "row", name=op.f("pk_search_keyword")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_metric",
        sa.Column("class_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("metric", sa.String(length=40), nullable=False),
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.String(length=40), nullable=False),
        sa.Column("split", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["class_number"], ["policy_class.number"], name=op.f("fk_search_metric_class_number")),
        sa.PrimaryKeyConstraint("class_number", "metric", "row", "position", name=op.f("pk_search_metric")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_edge",
        sa.Column("class_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dataset_id", sa.String(length=120), nullable=False),
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["class_number"], ["policy_class.number"], name=op.f("fk_search_edge_class_number")),
        sa.PrimaryKeyConstraint("class_number", "dataset_id", "row", name=op.f("pk_search_edge")),
        sqlite_with_rowid=False,
    )
