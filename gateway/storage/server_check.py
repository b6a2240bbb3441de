"""What a PostgreSQL server is, for `coding-gateway doctor`."""

from typing import NamedTuple

from sqlalchemy import text

from gateway.storage.database import HAS_SCHEMA, create_engine, database_errors

_QUESTION = text(
    "select current_setting('server_version'), "
    "(select default_version from pg_available_extensions where name = 'vector')"
)


class FoundServer(NamedTuple):
    """Its versions, such as "PostgreSQL 18.6, pgvector 0.8.6", and whether anybody has migrated."""

    versions: str
    has_schema: bool


async def describe_server(database_url: str) -> FoundServer:
    """What answers there. Raises UnavailableError."""
    engine = create_engine(database_url, pool_size=1, application_name="coding-gateway doctor")
    try:
        async with database_errors(), engine.connect() as connection:
            version, vector = (await connection.execute(_QUESTION)).one()
            has_schema = (await connection.exec_driver_sql(HAS_SCHEMA)).scalar_one()
    finally:
        await engine.dispose()
    versions = f"PostgreSQL {version}, " + (f"pgvector {vector}" if vector else "without pgvector")
    return FoundServer(versions, has_schema)
