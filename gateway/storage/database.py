"""The engine for PostgreSQL: one bounded pool a process, failures in the gateway's words."""

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.errors import (
    InternalError,
    InvalidRequestError,
    NoSchemaError,
    UnavailableError,
)

POOL_SIZE = 5
"""Connections a process keeps; none is used by a live request."""

_CONNECT_SECONDS = 5
_COMMAND_SECONDS = 60
_POOL_WAIT_SECONDS = 5
_RECYCLE_SECONDS = 1800  # poolers and load balancers commonly drop connections after an hour
_LIBPQ_ONLY = frozenset({"channel_binding", "gssencmode", "target_session_attrs"})

Engine = AsyncEngine
"""A pool of connections to PostgreSQL."""


def create_engine(
    database_url: str, *, pool_size: int = POOL_SIZE, application_name: str = "coding-gateway"
) -> AsyncEngine:
    """An engine that connects on first use and never holds more than `pool_size` connections."""
    return create_async_engine(
        async_url(database_url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_SECONDS,
        pool_recycle=_RECYCLE_SECONDS,
        pool_pre_ping=True,  # a restarted server costs one round trip, not one failed statement
        hide_parameters=True,  # errors must not carry values into the log
        connect_args={
            "timeout": _CONNECT_SECONDS,
            "command_timeout": _COMMAND_SECONDS,
            "server_settings": {"application_name": application_name, "timezone": "UTC"},
        },
    )


def async_url(database_url: str) -> str:
    """`database_url` in the form asyncpg needs.

    Hosting services hand out `postgres://` with libpq's `sslmode`; asyncpg calls it `ssl` and
    knows none of libpq's other parameters.
    """
    parts = urlsplit(database_url)
    query = [
        ("ssl" if name == "sslmode" else name, value)
        for name, value in parse_qsl(parts.query)
        if name not in _LIBPQ_ONLY
    ]
    scheme = parts.scheme
    if scheme in {"postgres", "postgresql"}:
        scheme = "postgresql+asyncpg"
    return urlunsplit((scheme, parts.netloc, parts.path, urlencode(query), ""))


@contextlib.asynccontextmanager
async def database_errors() -> AsyncIterator[None]:
    """Turns what the driver raises into UnavailableError (down, slow), NoSchemaError (nobody has
    migrated), InvalidRequestError (a text that no text of the database can be: it came from a
    client) or InternalError.

    The message carries no address, statement or value; the cause is chained for the log.
    """
    try:
        yield
    except (
        OperationalError,
        InterfaceError,
        PoolTimeoutError,
        asyncpg.PostgresError,  # raised bare while connecting
        asyncpg.InterfaceError,
        OSError,
        TimeoutError,
    ) as error:
        detail = type(error).__name__
        raise UnavailableError("the database does not answer", detail=detail) from error
    except SQLAlchemyError as error:
        state = sqlstate(error)
        # The driver's own confusion about a connection that broke comes without a state.
        broken = isinstance(error, DBAPIError) and not state
        if broken or state[:2] in _SERVER_STATES:
            raise UnavailableError("the database does not answer", detail=state) from error
        if state in _LACKING:
            raise NoSchemaError(NO_SCHEMA, detail=NO_SCHEMA) from error
        if state in _BAD_TEXT or _could_not_be_encoded(error):
            raise InvalidRequestError(UNSTORABLE, detail=state) from error
        raise InternalError("the database refused a statement", detail=state) from error


UNSTORABLE = "a text holds NUL or half of a surrogate pair, which no stored text can have"
"""Said of names and labels of clients; prompts may hold anything."""

NO_SCHEMA = "the database has no schema, or an old one: run `coding-gateway migrate`"

# Undefined table, undefined column.
_LACKING = frozenset({"42P01", "42703"})
# Character not in repertoire, untranslatable character.
_BAD_TEXT = frozenset({"22021", "22P05"})
# Connection exception, insufficient resources, operator intervention, system error.
_SERVER_STATES = frozenset({"08", "53", "57", "58"})


def _could_not_be_encoded(error: BaseException) -> bool:
    """True when the driver found half of a surrogate pair in a value."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, UnicodeEncodeError):
        cause = cause.__cause__
    return cause is not None


def sqlstate(error: SQLAlchemyError) -> str:
    """PostgreSQL's five-letter code of `error`, empty when it did not come from the server."""
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")


HAS_SCHEMA = "select to_regclass('alembic_version') is not null"
"""Has anybody migrated this database?"""


async def state_of(engine: AsyncEngine) -> str:
    """`ok`, `down`, or `schema missing` where nobody has migrated; asked now."""
    try:
        async with database_errors(), engine.connect() as connection:
            found = await connection.exec_driver_sql(HAS_SCHEMA)
            return "ok" if found.scalar_one() else "schema missing"
    except (UnavailableError, InternalError):
        return "down"
