"""The schema and the statements on it."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway import wire
from gateway.errors import UnavailableError
from gateway.storage.background_tables import background_responses
from gateway.storage.batch_tables import batches
from gateway.storage.database import create_engine, state_of
from gateway.storage.migrate import migrate, newest_revision
from gateway.storage.project_store import ProjectStore
from gateway.storage.usage_store import Stored, UsageStore
from gateway.wire import JSONObject

DAY = date(2026, 11, 22)


def row(event_id: str, **values: object) -> JSONObject:
    started_at = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
    return {
        "event_id": event_id,
        "day": DAY.isoformat(),
        "started_at": started_at.isoformat(),
        "project": "default",
        "model": "claude-sonnet-5-5",
        "status": "ok",
        **values,
    }


async def count(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        found = await connection.execute(text("select count(*) from usage_events"))
        return int(found.scalar_one())


async def test_migrations_make_what_the_statements_expect(empty_database_url: str) -> None:
    assert await migrate(empty_database_url) == newest_revision()
    engine = create_engine(empty_database_url)

    def differences(connection: Connection) -> list[object]:
        assert (
            background_responses.metadata is batches.metadata
        )  # both are imported, so all tables are known
        return list(compare_metadata(MigrationContext.configure(connection), batches.metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        extensions = await connection.execute(text("select extname from pg_extension"))
        assert "vector" in extensions.scalars().all()
    await engine.dispose()


async def test_migrating_again_and_at_the_same_time_changes_nothing(
    empty_database_url: str,
) -> None:

    done = await asyncio.gather(*(migrate(empty_database_url) for _ in range(3)))
    assert done == [newest_revision()] * 3
    assert await migrate(empty_database_url) == newest_revision()


async def test_migrations_run_without_the_right_to_make_extensions(
    empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = create_engine(empty_database_url)
    name = empty_database_url.rpartition("/")[2]
    async with engine.begin() as connection:
        await connection.execute(text(f"create role plain_{name} login"))
        await connection.execute(text(f"grant all on schema public to plain_{name}"))
    await engine.dispose()
    plain_url = empty_database_url.replace("gateway@", f"plain_{name}@")
    assert await migrate(plain_url) == newest_revision()
    assert "create extension vector" in caplog.text
    engine = create_engine(empty_database_url)
    async with engine.begin() as connection:
        await connection.execute(text(f"drop owned by plain_{name} cascade"))
        await connection.execute(text(f"drop role plain_{name}"))
    await engine.dispose()


async def test_an_event_is_stored_once_however_often_it_comes(engine: AsyncEngine) -> None:
    store = UsageStore(engine)
    first = await store.store([row("a"), row("b")], file="f", position=100)
    again = await store.store([row("a"), row("b"), row("c")], file="f", position=150)
    assert (first.new, again.new) == (2, 1)
    assert await count(engine) == 3
    assert await store.position("f") == 150


async def test_the_position_never_goes_back(engine: AsyncEngine) -> None:
    store = UsageStore(engine)
    await store.store([], file="f", position=100)
    await store.store([], file="f", position=50)
    assert await store.position("f") == 100
    await store.forget("f")
    assert await store.position("f") == 0


async def test_a_line_of_an_older_version_gets_the_defaults(engine: AsyncEngine) -> None:
    await UsageStore(engine).store([row("a", unknown_field=1)])
    async with engine.connect() as connection:
        found = await connection.execute(text("select * from usage_events"))
        stored = found.mappings().one()
    assert (stored["client"], stored["input_tokens"], stored["stream"]) == ("", 0, False)
    assert stored["cost_usd"] is None


async def test_one_impossible_row_does_not_hold_up_the_others(engine: AsyncEngine) -> None:
    bad = row("bad", input_tokens=2**70)
    stored = await UsageStore(engine).store([row("a"), bad, row("b")], file="f", position=9)
    assert stored.new == 2
    assert [wire.loads(line)["event_id"] for line in stored.rejected] == ["bad"]
    assert await count(engine) == 2
    assert await UsageStore(engine).position("f") == 9


@pytest.mark.parametrize(
    "damaged",
    [
        b'{"event_id":"x","day":"2026-11-22"',
        b'{"event_id":"x","day":"2026-11-22","input_tokens":"many"}',
        b'{"event_id":"x","day":"2026-13-99"}',
        b'{"event_id":"x"}',
        b'{"day":"2026-11-22"}',
        b'7,{"day":"2026-11-22"}',
        b'\xff{"day":"2026-11-22"',
        b'{"day":"2026-11-22","client":"nul\\u0000"',
    ],
)
async def test_a_damaged_line_is_given_back_and_its_neighbours_are_stored(
    engine: AsyncEngine, damaged: bytes
) -> None:
    lines = [wire.dumps(row("a")), damaged, wire.dumps(row("b"))]
    stored = await UsageStore(engine).store_lines(lines, file="f", position=9)
    assert (stored.new, stored.rejected) == (2, [damaged])
    assert await UsageStore(engine).position("f") == 9


async def test_texts_fit_whatever_clients_say(engine: AsyncEngine) -> None:
    said = row("a", client="nul\x00", session_id="x" * 500, route_detail={"day": "never"})
    assert await UsageStore(engine).store([said]) == Stored(1)
    async with engine.connect() as connection:
        found = await connection.execute(text("select * from usage_events"))
        stored = found.mappings().one()
    assert (stored["client"], stored["session_id"]) == ("nul\ufffd", "x" * 100)
    assert stored["route_detail"] == {"day": "never"}


async def test_partitions_are_made_on_demand_and_remade_when_dropped(engine: AsyncEngine) -> None:
    store = UsageStore(engine)
    assert await store.make_days([DAY, DAY + timedelta(days=1)]) == [
        DAY,
        DAY + timedelta(days=1),
    ]
    assert await UsageStore(engine).make_days([DAY]) == []
    async with engine.begin() as connection:
        await connection.execute(text("drop table usage_events_20261122"))
    with pytest.raises(UnavailableError):
        await store.store([row("a")])
    assert (await store.store([row("a")])).new == 1


async def test_a_database_that_is_down_is_reported_as_unavailable() -> None:
    engine = create_engine("postgresql://gateway@127.0.0.1:1/none")
    assert await state_of(engine) == "down"
    with pytest.raises(UnavailableError) as refused:
        await UsageStore(engine).position("f")
    assert "127.0.0.1" not in refused.value.message
    await engine.dispose()


async def test_keys_are_found_by_hash_until_they_end(engine: AsyncEngine) -> None:
    store = ProjectStore(engine)
    await store.ensure_default()
    await store.ensure_default()
    past = datetime.now(UTC) - timedelta(minutes=1)
    await store.add_key("k1", "default", "hash-1", prefix="cg_1", scopes=["chat", "admin"])
    await store.add_key("k2", "default", "hash-2", expires_at=past)
    found = await store.find_key("hash-1")
    assert found is not None
    assert (found.key_id, found.project_id) == ("k1", "default")
    assert found.scopes == {"chat", "admin"}
    assert (found.project_limits, found.key_limits) == ({}, {})
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            "update projects set tokens_per_minute = 9000, budget_day_usd = 2.5"
        )
        await connection.exec_driver_sql("update api_keys set concurrent_requests = 3")
    found = await store.find_key("hash-1")
    assert found is not None
    assert found.project_limits == {"tokens_per_minute": 9000, "budget_day_usd": 2.5}
    assert found.key_limits == {"concurrent_requests": 3}
    with pytest.raises(IntegrityError):
        async with engine.begin() as connection:
            await connection.exec_driver_sql("update api_keys set budget_month_usd = -1")
    assert await store.find_key("hash-2") is None
    assert await store.find_key("nothing") is None
    assert await store.revoke_key("k1")
    assert not await store.revoke_key("k1")
    assert await store.find_key("hash-1") is None
