"""The home node's own SQLite file: sessions, completed sign-ins and their codes, stored searches and their events.

Everything in it is short-lived and can be lost: people sign in again. So there is no migration: a file of another
layout is emptied. Secrets are never stored, only their SHA-256; the file is readable by its owner alone.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
)
from sqlalchemy import event as sa_event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from concordat_node.home.errors import HomeStorageFailed

LAYOUT = 5
_metadata = MetaData()

sessions = Table(
    "session",
    _metadata,
    Column("token_hash", Text, primary_key=True),
    Column("session_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("person", LargeBinary, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("used_at", Integer, nullable=False),
    Column("ends_at", Integer, nullable=False),
)

used_logins = Table(
    "used_login",
    _metadata,
    Column("state_hash", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("person", LargeBinary, nullable=False),
    Column("is_confirmed", Integer, nullable=False),
    Column("ends_at", Integer, nullable=False),
    Index("used_login_subject", "subject"),
)

login_codes = Table(
    "login_code",
    _metadata,
    Column("code_hash", Text, primary_key=True),
    Column("client_challenge", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("person", LargeBinary, nullable=False),
    Column("ends_at", Integer, nullable=False),
)

jobs = Table(
    "job",
    _metadata,
    Column("job_id", Text, primary_key=True),
    Column("session_id", Text, ForeignKey("session.session_id", ondelete="CASCADE"), nullable=False),
    Column("subject", Text, nullable=False),
    Column("purpose", LargeBinary, nullable=False),
    Column("question", LargeBinary, nullable=False),
    Column("label", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("result", LargeBinary),
    Column("answer", LargeBinary),
    Column("failure", LargeBinary),
    Column("created_at", Integer, nullable=False),
    Column("ends_at", Integer, nullable=False),
    Index("job_session", "session_id", "created_at"),
    Index("job_subject", "subject", "created_at"),
    UniqueConstraint("session_id", "origin"),
)

job_events = Table(
    "job_event",
    _metadata,
    Column("job_id", Text, ForeignKey("job.job_id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)


def open_home_database(path: Path) -> Engine:
    """Return an engine on the file, made with mode 0600 if it is not there. Raises: HomeStorageFailed."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    # Without its parameters a failed statement can be logged: subjects and hashes are parameters.
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 5.0}, hide_parameters=True)
    sa_event.listen(engine, "connect", _configure)
    try:
        _lay_out(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        raise HomeStorageFailed from error
    return engine


def _lay_out(engine: Engine) -> None:
    with engine.begin() as connection:
        if connection.exec_driver_sql("PRAGMA user_version").scalar_one() != LAYOUT:
            found = MetaData()
            found.reflect(connection)
            found.drop_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {LAYOUT}")
        _metadata.create_all(connection)


def hashed(secret: str) -> str:
    """Return the form in which a secret of 256 random bits is stored and looked up: its SHA-256, hex."""
    return hashlib.sha256(secret.encode("utf-8")).hexdigest()


def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "busy_timeout = 5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
