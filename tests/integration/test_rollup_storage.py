"""The roll-up's sums against the events themselves, and the reports over both."""

import asyncio
import random
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.routes.admin.usage import router
from gateway import wire
from gateway.errors import InvalidRequestError
from gateway.storage.usage_reports import UsageFilter, UsageReportStore
from gateway.storage.usage_rollup import UsageRollupStore
from gateway.storage.usage_store import UsageStore
from gateway.usage.reports import UsageReports, usage_filter
from gateway.wire import JSONObject

FIRST_DAY = date(2026, 11, 20)
EVERYTHING = UsageFilter()
SUMS = ("requests", "errors", "aborted", "input_tokens", "output_tokens", "cache_read_tokens")


def row(number: int, **values: object) -> JSONObject:
    """An event somewhere in three days, of one of a few models, projects and ends."""
    rng = random.Random(number)
    started_at = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(seconds=rng.randrange(3 * 86_400))
    return {
        "event_id": f"e{number:06}",
        "day": started_at.date().isoformat(),
        "started_at": started_at.isoformat(),
        "project": rng.choice(["default", "web"]),
        "model": rng.choice(["claude-sonnet-5-5", "claude-opus-5-5"]),
        "endpoint": "chat_completions",
        "status": rng.choice(["ok", "ok", "error", "aborted"]),
        "input_tokens": rng.randrange(1000),
        "output_tokens": rng.randrange(1000),
        "cache_read_tokens": rng.randrange(1000),
        "cache_write_5m_tokens": 1,
        "cache_write_1h_tokens": 2,
        "cost_usd": f"0.00{rng.randrange(1000):03}",
        "latency_ms": 10.5,
        "first_token_ms": 2.5,
        **values,
    }


@pytest.fixture
def store(engine: AsyncEngine) -> UsageStore:
    return UsageStore(engine)


@pytest.fixture
def rollups(engine: AsyncEngine) -> UsageRollupStore:
    return UsageRollupStore(engine)


@pytest.fixture
def reports(engine: AsyncEngine) -> UsageReports:
    return UsageReports(UsageReportStore(engine), UsageRollupStore(engine))


async def roll_up(rollups: UsageRollupStore, limit: int = 1000) -> int:
    total, more = 0, True
    while more:
        done = await rollups.roll_up(limit)
        total, more = total + done.events, done.more
    return total


async def table_sums(engine: AsyncEngine, table: str) -> tuple[object, ...]:
    async with engine.connect() as connection:
        found = await connection.execute(
            text(
                "select sum(requests), sum(errors), sum(aborted), sum(input_tokens),"
                f" sum(output_tokens), sum(cache_read_tokens), sum(cost_usd) from {table}"
            )
        )
        return tuple(found.one())


async def event_sums(engine: AsyncEngine) -> tuple[object, ...]:
    async with engine.connect() as connection:
        found = await connection.execute(
            text(
                "select count(*), count(*) filter (where status = 'error'),"
                " count(*) filter (where status = 'aborted'), sum(input_tokens),"
                " sum(output_tokens), sum(cache_read_tokens), sum(cost_usd) from usage_events"
            )
        )
        return tuple(found.one())


async def test_hours_and_days_sum_to_the_events(
    store: UsageStore, rollups: UsageRollupStore, engine: AsyncEngine
) -> None:
    await store.store([row(number) for number in range(500)])
    assert await roll_up(rollups, limit=120) == 500
    expected = await event_sums(engine)
    assert await table_sums(engine, "usage_hourly") == expected
    assert await table_sums(engine, "usage_daily") == expected
    async with engine.connect() as connection:
        wrong = await connection.execute(
            text(
                "select count(*) from usage_hourly h where requests != (select count(*) from"
                " usage_events e where date_trunc('hour', e.started_at, 'UTC') = h.hour"
                " and e.project = h.project and e.model = h.model)"
            )
        )
        assert wrong.scalar_one() == 0
        latest = await connection.execute(text("select max(started_at) from usage_events"))
        assert await rollups.watermark() == latest.scalar_one()


async def test_rolling_up_again_changes_nothing(
    store: UsageStore, rollups: UsageRollupStore, engine: AsyncEngine
) -> None:
    await store.store([row(number) for number in range(50)])
    await roll_up(rollups)
    before = await table_sums(engine, "usage_hourly")
    assert await roll_up(rollups) == 0
    assert await table_sums(engine, "usage_hourly") == before


async def test_events_that_come_late_are_added_to_their_hour(
    store: UsageStore, rollups: UsageRollupStore, engine: AsyncEngine
) -> None:
    await store.store([row(number) for number in range(100)])
    await roll_up(rollups)
    watermark = await rollups.watermark()
    late = datetime(2026, 11, 20, 0, 0, 1, tzinfo=UTC)
    await store.store([row(1000, started_at=late.isoformat(), day=late.date().isoformat())])
    assert await roll_up(rollups) == 1
    assert await table_sums(engine, "usage_hourly") == await event_sums(engine)
    assert await rollups.watermark() == watermark


async def test_a_transaction_that_commits_late_is_not_missed(
    store: UsageStore, rollups: UsageRollupStore, engine: AsyncEngine
) -> None:
    """An older transaction that ends after a roll-up, where a watermark would have passed it."""
    await store.make_days([FIRST_DAY])
    async with engine.begin() as slow:
        await slow.execute(
            text(
                "insert into usage_events (day, event_id, started_at, status)"
                " values ('2026-11-20', 'slow', '2026-11-20T00:00Z', 'ok')"
            )
        )
        await store.store([row(number) for number in range(10)])
        assert await roll_up(rollups) == 10
    assert await roll_up(rollups) == 1
    assert await table_sums(engine, "usage_daily") == await event_sums(engine)


async def test_reports_are_exact_while_events_come_and_are_rolled_up(
    store: UsageStore, rollups: UsageRollupStore, reports: UsageReports, engine: AsyncEngine
) -> None:
    """Two roll-ups at a time and a writer: every report counts a whole number of batches."""
    batches, size = 40, 25
    await store.make_days(FIRST_DAY + timedelta(days=number) for number in range(3))

    async def write() -> None:
        for batch in range(batches):
            await store.store([row(batch * size + number) for number in range(size)])

    writing = asyncio.create_task(write())
    seen = [0]
    while not writing.done():
        _, _, report = await asyncio.gather(
            rollups.roll_up(60), rollups.roll_up(60), reports.usage(EVERYTHING)
        )
        requests = report["totals"]["requests"]
        assert requests % size == 0
        assert requests >= seen[-1]
        assert sum(each["requests"] for each in report["by_model"]) == requests
        seen.append(requests)
    await writing
    await roll_up(rollups)
    assert (await reports.usage(EVERYTHING))["totals"]["requests"] == batches * size
    assert await table_sums(engine, "usage_hourly") == await event_sums(engine)


@pytest.mark.parametrize("rolled_up", [0, 150, 300])
async def test_reports_are_the_same_before_during_and_after_the_roll_up(
    store: UsageStore,
    rollups: UsageRollupStore,
    reports: UsageReports,
    engine: AsyncEngine,
    rolled_up: int,
) -> None:
    await store.store([row(number) for number in range(300)])
    if rolled_up:
        await rollups.roll_up(rolled_up)
    *counts, dollars = await event_sums(engine)
    report = await reports.usage(EVERYTHING)
    totals = report["totals"]
    assert [totals[name] for name in SUMS] == counts
    assert totals["cost_usd"] == pytest.approx(float(str(dollars)))
    assert totals["cache_write_tokens"] == 900
    assert totals["mean_latency_ms"] == 10.5
    assert totals["mean_first_token_ms"] == 2.5
    for axis in ("by_model", "by_project"):
        assert sum(each["input_tokens"] for each in report[axis]) == totals["input_tokens"]
        assert len(report[axis]) == 2
    daily = (await reports.daily(EVERYTHING))["days"]
    assert [each["day"] for each in daily] == ["2026-11-20", "2026-11-21", "2026-11-22"]
    assert sum(each["requests"] for each in daily) == 300
    costs = await reports.costs(EVERYTHING)
    assert costs["totals"]["cost_usd"] == totals["cost_usd"]
    assert sum(each["cost_usd"] for each in costs["by_day"]) == pytest.approx(totals["cost_usd"])
    one_day = await reports.usage(usage_filter("2026-11-21", "2026-11-21", "web"))
    async with engine.connect() as connection:
        found = await connection.execute(
            text("select count(*) from usage_events where day = '2026-11-21' and project = 'web'")
        )
        assert one_day["totals"]["requests"] == found.scalar_one() > 0
    assert [each["project"] for each in one_day["by_project"]] == ["web"]


@pytest.mark.parametrize("rolled_up", [False, True])
async def test_p45_a_cost_nobody_knows_is_null_and_counted(
    store: UsageStore, rollups: UsageRollupStore, reports: UsageReports, rolled_up: bool
) -> None:
    unknown = {"model": "claude-next", "status": "ok", "cost_usd": None}
    await store.store(
        [
            row(1, **unknown),
            # It never reached the upstream: nothing was used, and that is no unknown price.
            row(2, **{**unknown, "status": "error", "cost_usd": "0"}),
            row(3, model="claude-opus-5-5", cost_usd="0.25"),
        ]
    )
    if rolled_up:
        await roll_up(rollups)
    costs = await reports.costs(EVERYTHING)
    assert costs["totals"]["cost_usd"] == 0.25
    assert costs["totals"]["unpriced_requests"] == 1
    by_model = {each["model"]: each for each in costs["by_model"]}
    assert by_model["claude-next"]["cost_usd"] is None
    assert by_model["claude-next"]["unpriced_requests"] == 1
    assert by_model["claude-opus-5-5"]["unpriced_requests"] == 0


async def test_an_empty_database_reports_zeros(reports: UsageReports) -> None:
    report = await reports.usage(EVERYTHING)
    assert report["totals"]["requests"] == 0
    assert report["totals"]["cost_usd"] == 0
    assert report["totals"]["mean_latency_ms"] is None
    assert report["by_model"] == report["by_project"] == []
    assert report["rolled_up_until"] is None
    assert await reports.daily(EVERYTHING) == {"days": []}


@pytest.mark.parametrize(
    ("first", "last"), [("yesterday", None), (None, "2026-13-01"), ("2026-11-02", "2026-11-01")]
)
def test_days_that_are_none_are_refused(first: str | None, last: str | None) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        usage_filter(first, last, None)
    assert refused.value.param in {"from", "to"}


async def test_the_endpoints_serve_the_reports(store: UsageStore, reports: UsageReports) -> None:
    await store.store([row(number) for number in range(5)])
    app = FastAPI()
    app.include_router(router)
    app.state.services = SimpleNamespace(usage_reports=reports)
    usage = await get(app, "/admin/usage?from=2026-11-20&project=default")
    assert set(usage) == {"totals", "by_model", "by_project", "rolled_up_until"}
    assert (await get(app, "/admin/usage/daily"))["days"]
    assert (await get(app, "/admin/costs"))["totals"]["requests"] == 5


async def get(app: FastAPI, url: str) -> JSONObject:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get(url)
    assert answer.status_code == 200
    body: JSONObject = wire.loads(answer.content)
    return body
