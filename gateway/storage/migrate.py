"""Brings a database to the newest schema; safe to run at any time, from any number of processes."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from gateway.errors import InternalError, NoSchemaError, UnavailableError
from gateway.storage.database import create_engine, database_errors

_LOCK = 0x636F6465677721  # any constant; keeps two migrations from running at the same time
_MIGRATIONS = Path(__file__).with_name("migrations")


async def migrate(database_url: str, *, wait_seconds: float = 0.0) -> str:
    """The revision the database has now, after running every step that was due.

    Steps run in one transaction: a failed one leaves the schema as it was. `wait_seconds` is how
    long a database that does not answer is waited for. Raises UnavailableError, InternalError.
    """
    deadline = asyncio.get_running_loop().time() + wait_seconds
    while True:
        try:
            return await _migrate(database_url)
        except UnavailableError:
            if asyncio.get_running_loop().time() >= deadline:
                raise
            await asyncio.sleep(0.5)


async def _migrate(database_url: str) -> str:
    engine = create_engine(database_url, pool_size=1, application_name="coding-gateway migrate")
    try:
        async with database_errors(), engine.begin() as connection:
            await connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            await connection.run_sync(_upgrade)
            return await connection.run_sync(_revision)
    except NoSchemaError as error:
        # Of a step of ours: the tables are not what the revision says, and waiting does not help.
        raise InternalError("the database is not what its revision says") from error
    finally:
        await engine.dispose()


def newest_revision() -> str:
    """The revision this version of the gateway needs."""
    return str(ScriptDirectory(str(_MIGRATIONS)).get_current_head())


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str:
    return str(MigrationContext.configure(connection).get_current_revision())
