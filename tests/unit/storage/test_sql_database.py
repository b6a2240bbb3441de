"""Addresses of databases, as hosting services write them and as the driver reads them."""

from datetime import date

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from gateway.errors import InternalError, NoSchemaError, UnavailableError
from gateway.storage.database import async_url, database_errors, sqlstate
from gateway.storage.usage_partitions import partition_name


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@h:5432/d", "postgresql+asyncpg://u:p@h:5432/d"),
        ("postgresql://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgres://u@h/d?sslmode=require", "postgresql+asyncpg://u@h/d?ssl=require"),
        (
            "postgresql://u@h/d?channel_binding=prefer&sslmode=disable",
            "postgresql+asyncpg://u@h/d?ssl=disable",
        ),
        ("postgresql://u:p%40ss@h/d", "postgresql+asyncpg://u:p%40ss@h/d"),
    ],
)
def test_addresses_are_brought_to_the_drivers_form(given: str, used: str) -> None:
    assert async_url(given) == used


class RefusalError(Exception):
    """As the driver raises it: with the server's code."""

    def __init__(self, state: str) -> None:
        super().__init__("value 'sk-secret' is wrong")
        self.sqlstate = state


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ConnectionRefusedError(), UnavailableError),
        (TimeoutError(), UnavailableError),
        (OperationalError("select", None, RefusalError("")), UnavailableError),
        (DBAPIError("select", None, RefusalError("57P01")), UnavailableError),
        (DBAPIError("select", None, RefusalError("")), UnavailableError),
        (IntegrityError("insert", None, RefusalError("23505")), InternalError),
        (DBAPIError("select", None, RefusalError("42P01")), NoSchemaError),
        (DBAPIError("select", None, RefusalError("42703")), NoSchemaError),
        (DBAPIError("select", None, RefusalError("42601")), InternalError),
    ],
)
async def test_failures_are_told_apart_and_carry_no_value(
    raised: Exception, expected: type[Exception]
) -> None:
    with pytest.raises((UnavailableError, InternalError)) as told:
        async with database_errors():
            raise raised
    assert type(told.value) is expected
    assert "sk-secret" not in str(told.value)
    assert told.value.__cause__ is raised


def test_a_state_is_read_from_errors_of_the_server_only() -> None:
    assert sqlstate(DBAPIError("select", None, RefusalError("42P01"))) == "42P01"
    assert sqlstate(OperationalError("select", None, OSError())) == ""


def test_partitions_are_named_by_day() -> None:
    assert partition_name(date(2026, 1, 2)) == "usage_events_20260102"
