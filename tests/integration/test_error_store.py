"""Error events in PostgreSQL."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.error_events.events import ErrorEvent, event_row
from gateway.storage.error_store import ErrorFilter, ErrorStore
from gateway.wire import JSONObject

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


def row(number: int, **fields: object) -> JSONObject:
    base: dict[str, object] = {
        "source": "upstream",
        "kind": "overloaded_error",
        "code": "overloaded",
        "status": 529,
        "project": "team",
        "model": "claude-opus-5-5",
        "request_id": f"req_{number}",
        "at": (NOW + timedelta(minutes=number)).timestamp(),
        "id": f"err_{number:05}",
    }
    return event_row(ErrorEvent(**{**base, **fields}))  # type: ignore[arg-type]


async def test_events_are_stored_once_and_read_page_by_page(engine: AsyncEngine) -> None:
    store = ErrorStore(engine, days=30)
    rows = [row(number) for number in range(25)]
    await store.write(rows)
    await store.write(rows[5:])  # a batch that may have been stored is sent again
    seen: list[str] = []
    before = None
    while page := await store.page(ErrorFilter(before_id=before), 10):
        seen += [each["id"] for each in page]
        before = seen[-1]
    assert seen == [f"err_{number:05}" for number in reversed(range(25))]


async def test_filters_and_counts_agree(engine: AsyncEngine) -> None:
    store = ErrorStore(engine, days=30)
    await store.write([row(number) for number in range(40)])
    await store.write(
        [row(number, status=400, kind="invalid_request_error") for number in range(40, 50)]
    )
    later = ErrorFilter(since=NOW + timedelta(minutes=35), until=NOW + timedelta(minutes=45))
    assert len(await store.page(later, 100)) == 10
    refused = ErrorFilter(equals=(("status", 400),))
    assert len(await store.page(refused, 100)) == 10
    assert [
        each["request_id"]
        for each in await store.page(ErrorFilter(equals=(("request_id", "req_7"),)), 100)
    ] == ["req_7"]
    counts = await store.counts(ErrorFilter(), ["status"])
    assert [(each["hour"][11:13], each["status"], each["events"]) for each in counts] == [
        ("13", 400, 10),
        ("13", 529, 10),
        ("12", 529, 30),
    ]


async def test_old_events_are_removed(engine: AsyncEngine) -> None:
    store = ErrorStore(engine, days=1)
    old = (datetime.now(UTC) - timedelta(days=2)).timestamp()
    fresh = datetime.now(UTC).timestamp()
    await store.write([row(1, at=old), row(2, at=old), row(3, at=fresh)])
    assert await store.delete_expired(1) == 1
    assert await store.delete_expired(10) == 1
    async with engine.connect() as connection:
        found = await connection.execute(text("select id from error_events"))
        assert [each[0] for each in found] == ["err_00003"]
