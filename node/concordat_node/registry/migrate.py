"""Bring a database to the schema of this program, or say that it is newer.

The upgrade runs in one write transaction: a process that dies half-way leaves the schema it found, and two processes
that start together do not both migrate. Downgrades are not offered; a backup is the way back.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from concordat_node.registry.engine import Database
from concordat_node.registry.errors import SchemaNewer

REGISTRY_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(database: Database, *, migrations: Path = REGISTRY_MIGRATIONS) -> None:
    """Upgrade to the newest revision in `migrations`; a database that is there already is not touched.

    Raises: SchemaNewer for a revision this program does not know; StorageFull, StorageBusy, StorageFailed.
    """
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    with database.writing() as connection:
        if _is_current(connection, ScriptDirectory.from_config(config)):
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _is_current(connection: Connection, script: ScriptDirectory) -> bool:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is None:
        return False
    if found not in {revision.revision for revision in script.walk_revisions()}:
        raise SchemaNewer(found=found)
    return found == script.get_current_head()
