"""What a PostgreSQL server is, for `coding-gateway doctor`."""

from sqlalchemy import text

from gateway.storage.database import create_engine, database_errors

_QUESTION = text(
    "select current_setting('server_version'), "
    "(select default_version from pg_available_extensions where name = 'vector')"
)


async def describe_server(database_url: str) -> str:
    """Its versions, such as "PostgreSQL 18.6, pgvector 0.8.6". Raises UnavailableError."""
    engine = create_engine(database_url, pool_size=1, application_name="coding-gateway doctor")
    try:
        async with database_errors(), engine.connect() as connection:
            version, vector = (await connection.execute(_QUESTION)).one()
    finally:
        await engine.dispose()
    return f"PostgreSQL {version}, " + (f"pgvector {vector}" if vector else "without pgvector")
