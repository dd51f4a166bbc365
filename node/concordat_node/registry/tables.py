"""The registry's tables. Everything a policy decides on is a typed NOT NULL column with a check.

Rules of this file:

* No JSON and no affinity-less column for what a policy reads: on those, SQLite answers `1 <> '1'` with true, and a
  negative rule would open instead of close (measured in reference/registry-and-search.md, 0.2).
* "None" has a value of its own ('' for a text, NO_EMBARGO for a day); NULL stands only where no policy looks.
* `policy_class.number` is internal and small, for the index; what leaves the node is derived from asset ids only.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from concordat_node.registry.records import (
    ASSET_STATUSES,
    DISCOVERABLE,
    GRANT_STATUSES,
    LINEAGE_SHOWN,
    VERSION_STATUSES,
)
from concordat_trust.ids import ASSET_KINDS
from concordat_trust.lineage import LINEAGE_RELATIONS
from concordat_trust.vocabulary import SPLITS, Clearance

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID_LENGTH = 120
WORD_LENGTH = 200


def one_of(column: str, allowed: tuple[str, ...]) -> CheckConstraint:
    """Return the check that a text column holds one of a closed list of words."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(word) for word in allowed)})", name=column)


def _word(name: str, *, primary_key: bool = False, length: int = WORD_LENGTH) -> Column[str]:
    return Column(name, String(length), primary_key=primary_key, nullable=False)


def _owner(name: str, target: str, length: int = ID_LENGTH) -> Column[str]:
    key = ForeignKey(target, ondelete="CASCADE")
    return Column(name, String(length), key, primary_key=True, nullable=False)


def _subject_table(name: str, grant: Column[str]) -> Table:
    """Return the table of those a grant names: one person each, or a whole organization, which is said twice."""
    return Table(
        name,
        METADATA,
        grant,
        _word("organization", primary_key=True, length=40),
        _word("pseudonym", primary_key=True),
        Column("is_whole_organization", Boolean, nullable=False),
        # Neither an emptied pseudonym nor a changed mark alone opens the grant to everybody.
        CheckConstraint("is_whole_organization = (pseudonym = '')", name="subject"),
    )


def _position() -> Column[int]:
    return Column("position", Integer, primary_key=True, nullable=False, autoincrement=False)


REGISTRY_STATE = Table(
    "registry_state",
    METADATA,
    Column("single", Integer, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False),
    CheckConstraint("single = 1", name="single"),
)

POLICY_CLASS = Table(
    "policy_class",
    METADATA,
    _word("class_id", primary_key=True, length=32),
    Column("number", Integer, nullable=False, unique=True),
    _word("kind", length=10),
    Column("sensitivity", Integer, nullable=False),
    _word("permission", length=20),
    _word("disease"),
    _word("discoverable", length=10),
    Column("summary_metrics", Boolean, nullable=False),
    Column("relay_may_read", Boolean, nullable=False),
    _word("embargo_until", length=10),
    _word("status", length=10),
    Column("lineage", String(10), one_of("lineage", LINEAGE_SHOWN), nullable=False, server_default="closed"),
    one_of("kind", ASSET_KINDS),
    CheckConstraint(f"sensitivity BETWEEN {min(Clearance):d} AND {max(Clearance):d}", name="sensitivity"),
    CheckConstraint("permission LIKE 'DUO:_______'", name="permission"),
    one_of("discoverable", DISCOVERABLE),
    CheckConstraint("summary_metrics IN (true, false)", name="summary_metrics"),
    CheckConstraint("relay_may_read IN (true, false)", name="relay_may_read"),
    CheckConstraint("embargo_until LIKE '____-__-__'", name="embargo_until"),
    one_of("status", ASSET_STATUSES),
)
POLICY_CLASS_MODIFIER = Table(
    "policy_class_modifier",
    METADATA,
    _owner("class_id", "policy_class.class_id", 32),
    _word("code", primary_key=True, length=20),
    CheckConstraint("code LIKE 'DUO:_______'", name="code"),
)
POLICY_CLASS_PARAMETER = Table(
    "policy_class_parameter",
    METADATA,
    _owner("class_id", "policy_class.class_id", 32),
    _word("code", primary_key=True, length=20),
    _word("name", primary_key=True),
    _word("value", primary_key=True),
)
POLICY_CLASS_AGREEMENT = Table(
    "policy_class_agreement",
    METADATA,
    _owner("class_id", "policy_class.class_id", 32),
    # No foreign key: a class may name an agreement that is not there (any more); it then grants nothing.
    _word("agreement_id", primary_key=True, length=ID_LENGTH),
)
POLICY_CLASS_APPROVAL = Table(
    "policy_class_approval",
    METADATA,
    _owner("class_id", "policy_class.class_id", 32),
    # No foreign key, as above.
    _word("approval_id", primary_key=True, length=ID_LENGTH),
)

ASSET = Table(
    "asset",
    METADATA,
    _word("asset_id", primary_key=True, length=ID_LENGTH),
    Column("class_id", String(32), ForeignKey("policy_class.class_id"), nullable=False),
    _word("title", length=300),
    Column("summary", Text, nullable=False),
    Column("description", Text, nullable=False),
    _word("task"),
    _word("framework"),
    _word("modality"),
    _word("license"),
    _word("origin"),
    _word("created", length=10),
    _word("version"),
    Column("cohort_size", Integer, nullable=True),
    _word("contact", length=300),
    Column("imported_at", BigInteger, nullable=False),
    CheckConstraint("cohort_size >= 0", name="cohort_size"),
    Index(None, "class_id"),
)
ASSET_KEYWORD = Table("asset_keyword", METADATA, _owner("asset_id", "asset.asset_id"), _position(), _word("keyword"))
EVALUATION = Table(
    "evaluation",
    METADATA,
    _owner("asset_id", "asset.asset_id"),
    _position(),
    _word("metric", length=40),
    _word("value", length=40),
    _word("split", length=20),
    Column("unit", String(WORD_LENGTH), nullable=True),
    _word("dataset", length=300),
    Column("dataset_id", String(ID_LENGTH), nullable=True),
    Column("interval_low", String(40), nullable=True),
    Column("interval_high", String(40), nullable=True),
    # No foreign key: the rules refuse an unknown label before it comes here; '' is the asset as such.
    Column("version", String(WORD_LENGTH), nullable=False, server_default=""),
    one_of("split", SPLITS),
)
ASSET_VERSION = Table(
    "asset_version",
    METADATA,
    _owner("asset_id", "asset.asset_id"),
    _word("label", primary_key=True),
    _word("released", length=10),
    _word("digest", length=64),
    Column("changes", Text, nullable=False),
    _word("status", length=10),
    CheckConstraint("released LIKE '____-__-__'", name="released"),
    one_of("status", VERSION_STATUSES),
)
LINEAGE_EDGE = Table(
    "lineage_edge",
    METADATA,
    _owner("asset_id", "asset.asset_id"),
    _position(),
    _word("edge_id", length=64),
    _word("relation", length=20),
    # The other end, of any organization; it need not exist here or anywhere.
    _word("end_id", length=ID_LENGTH),
    Column("is_source", Boolean, nullable=False),
    _word("asserted_on", length=10),
    UniqueConstraint("asset_id", "edge_id"),
    one_of("relation", LINEAGE_RELATIONS),
    CheckConstraint("is_source IN (true, false)", name="is_source"),
    CheckConstraint("asserted_on LIKE '____-__-__'", name="asserted_on"),
)

AGREEMENT = Table(
    "agreement",
    METADATA,
    _word("agreement_id", primary_key=True, length=ID_LENGTH),
    _word("title", length=300),
    Column("valid_from", BigInteger, nullable=False),
    Column("valid_until", BigInteger, nullable=False),
    _word("status", length=10),
    _word("document_digest", length=64),
    _word("contact", length=300),
    one_of("status", GRANT_STATUSES),
    CheckConstraint("valid_from < valid_until", name="validity"),
)
AGREEMENT_PARTY = Table(
    "agreement_party",
    METADATA,
    _owner("agreement_id", "agreement.agreement_id"),
    _word("organization", primary_key=True, length=40),
)
AGREEMENT_MEMBER = _subject_table("agreement_member", _owner("agreement_id", "agreement.agreement_id"))
AGREEMENT_PURPOSE = Table(
    "agreement_purpose",
    METADATA,
    _owner("agreement_id", "agreement.agreement_id"),
    _word("purpose", primary_key=True, length=10),
)
APPROVAL = Table(
    "approval",
    METADATA,
    _word("approval_id", primary_key=True, length=ID_LENGTH),
    _word("board", length=300),
    _word("protocol", length=300),
    Column("approved_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    _word("status", length=10),
    _word("document_digest", length=64),
    one_of("status", GRANT_STATUSES),
    CheckConstraint("approved_at < expires_at", name="validity"),
)
APPROVAL_HOLDER = _subject_table("approval_holder", _owner("approval_id", "approval.approval_id"))
APPROVAL_PURPOSE = Table(
    "approval_purpose",
    METADATA,
    _owner("approval_id", "approval.approval_id"),
    _word("purpose", primary_key=True, length=10),
)
