"""What was saved: roll-ups against the events themselves, and the report over both."""

import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.deps import require_admin
from api.routes.admin.savings import router
from gateway import wire
from gateway.errors import InvalidRequestError
from gateway.storage.usage_reports import UsageFilter, UsageReportStore
from gateway.storage.usage_rollup import UsageRollupStore
from gateway.storage.usage_store import UsageStore
from gateway.usage.reports import UsageReports, usage_filter
from gateway.usage.savings_report import checked_group
from gateway.wire import JSONObject

EVERYTHING = UsageFilter()
TECHNIQUES = ("cache", "references", "caps")


def row(number: int, **values: object) -> JSONObject:
    """A measured request of one of three days; dollars are whole thousandths, so sums are exact."""
    rng = random.Random(number)
    started_at = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(seconds=rng.randrange(3 * 86_400))
    techniques = {
        name: {"tokens": rng.randrange(-50, 500) * (name != "cache"), "usd": saved / 1000}
        for name in TECHNIQUES
        if (saved := rng.randrange(-20, 100))
    }
    total = round(sum(each["usd"] for each in techniques.values()), 3)
    return {
        "event_id": f"e{number:06}",
        "day": started_at.date().isoformat(),
        "started_at": started_at.isoformat(),
        "project": rng.choice(["default", "web"]),
        "client": rng.choice(["continue", "aider"]),
        "model": "claude-sonnet-5-5",
        "endpoint": rng.choice(["/v1/chat/completions", "/v1/responses"]),
        "status": "ok",
        "input_tokens": 100,
        "cache_read_tokens": 900,
        "cost_usd": "0.5",
        "reduction": {"techniques": techniques},
        "baseline_input_usd": round(0.2 + total, 3),
        "billed_input_usd": 0.2,
        "reduced": True,
        **values,
    }


def ended(number: int, **values: object) -> JSONObject:
    """A request of which nothing is claimed."""
    nothing = {"reduction": None, "baseline_input_usd": None, "billed_input_usd": None}
    return row(number, **nothing, reduced=False, **values)


@pytest.fixture
def store(engine: AsyncEngine) -> UsageStore:
    return UsageStore(engine)


@pytest.fixture
def rollups(engine: AsyncEngine) -> UsageRollupStore:
    return UsageRollupStore(engine)


@pytest.fixture
def reports(engine: AsyncEngine) -> UsageReports:
    return UsageReports(UsageReportStore(engine), UsageRollupStore(engine))


async def technique_rows(engine: AsyncEngine) -> list[tuple[object, ...]]:
    async with engine.connect() as connection:
        found = await connection.execute(text("select * from savings_daily order by 1, 2, 3, 4, 5"))
        return [tuple(each) for each in found]


async def test_techniques_sum_by_day_project_client_and_protocol(
    store: UsageStore, rollups: UsageRollupStore, engine: AsyncEngine
) -> None:
    await store.store([row(number) for number in range(300)])
    for limit in (70, 70, 1000):
        await rollups.roll_up(limit)
    async with engine.connect() as connection:
        expected = await connection.execute(
            text(
                "select day, project, client,"
                " case endpoint when '/v1/responses' then 'responses' else 'chat' end, key,"
                " count(*), sum((value->>'tokens')::numeric)::bigint,"
                " sum((value->>'usd')::numeric)"
                " from usage_events, jsonb_each(reduction->'techniques')"
                " group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5"
            )
        )
        rows = [tuple(each) for each in expected]
    assert len(rows) == 3 * 2 * 2 * 2 * len(TECHNIQUES)
    assert await technique_rows(engine) == rows


async def test_rolling_up_again_changes_nothing_and_late_events_are_added(
    store: UsageStore, rollups: UsageRollupStore, engine: AsyncEngine
) -> None:
    one = {"cache": {"tokens": 0, "usd": 0.25}}
    fixed = {"day": "2026-11-20", "project": "web", "client": "aider", "endpoint": "/v1/messages"}
    moment = {"started_at": "2026-11-20T10:00:00Z"}
    event = row(1, **fixed, **moment, reduction={"techniques": one})
    await store.store([event])
    await rollups.roll_up(100)
    before = await technique_rows(engine)
    await store.store([event])
    assert (await rollups.roll_up(100)).events == 0
    assert await technique_rows(engine) == before
    await store.store([row(2, **fixed, **moment, reduction={"techniques": one})])
    await rollups.roll_up(100)
    ((*_, protocol, technique, requests, tokens, dollars),) = await technique_rows(engine)
    assert (protocol, technique) == ("messages", "cache")
    assert (requests, tokens, float(str(dollars))) == (2, 0, 0.5)


async def test_an_odd_entry_does_not_hold_up_the_roll_up(
    store: UsageStore, rollups: UsageRollupStore, engine: AsyncEngine
) -> None:
    odd: list[Any] = [
        {"techniques": {"caps": {"tokens": "many", "usd": 1}}},
        {"techniques": {"caps": 7}},
        {"techniques": [1]},
        {"other": {}},
        [],
        7,
    ]
    await store.store([row(number, reduction=each) for number, each in enumerate(odd)])
    assert (await rollups.roll_up(100)).events == len(odd)
    assert await technique_rows(engine) == []


@pytest.mark.parametrize("rolled_up", [0, 120, 300])
async def test_the_report_is_the_same_before_during_and_after_the_roll_up(
    store: UsageStore, rollups: UsageRollupStore, reports: UsageReports, rolled_up: int
) -> None:
    events = [row(number) for number in range(300)]
    await store.store(events)
    if rolled_up:
        await rollups.roll_up(rolled_up)
    report = await reports.savings(EVERYTHING, [])
    totals = report["totals"]
    baseline = sum(each["baseline_input_usd"] for each in events)
    assert totals["requests"] == totals["measured_requests"] == totals["reduced_requests"] == 300
    assert totals["measured_prompt_tokens"] == 300_000
    assert totals["baseline_input_usd"] == pytest.approx(baseline)
    assert totals["billed_input_usd"] == pytest.approx(60)
    assert totals["saved_usd"] == pytest.approx(baseline - 60)
    assert totals["saved_share"] == pytest.approx(1 - 60 / baseline)
    by_technique = {each["technique"]: each for each in report["by_technique"]}
    assert set(by_technique) == set(TECHNIQUES)
    assert sum(each["saved_usd"] for each in by_technique.values()) == pytest.approx(
        totals["saved_usd"]
    )
    assert by_technique["cache"]["removed_tokens"] is None
    for axis in ("project", "client", "day"):
        rows = report[f"by_{axis}"]
        assert len(rows) == (3 if axis == "day" else 2)
        assert sum(each["saved_usd"] for each in rows) == pytest.approx(totals["saved_usd"])
    one_day = await reports.savings(usage_filter("2026-11-21", "2026-11-21", "web"), [])
    some = [each for each in events if (each["day"], each["project"]) == ("2026-11-21", "web")]
    assert one_day["totals"]["requests"] == len(some) > 0
    assert [each["day"] for each in one_day["by_day"]] == ["2026-11-21"]
    assert one_day["totals"]["saved_usd"] == pytest.approx(
        sum(each["saved_usd"] for each in one_day["by_technique"])
    )


@pytest.mark.parametrize("rolled_up", [False, True])
async def test_messages_stand_apart_and_embeddings_nowhere(
    store: UsageStore, rollups: UsageRollupStore, reports: UsageReports, rolled_up: bool
) -> None:
    techniques = {"techniques": {"references": {"tokens": 10, "usd": 0.125}}}
    await store.store(
        [
            row(1, endpoint="/v1/messages", reduction=techniques),
            ended(2, endpoint="/v1/embeddings"),
            row(3, reduction={"techniques": {"cache": {"tokens": 0, "usd": 0.5}}}),
        ]
    )
    if rolled_up:
        await rollups.roll_up(10)
    report = await reports.savings(EVERYTHING, [])
    assert report["totals"]["requests"] == 1
    assert report["messages"]["requests"] == 1
    assert [each["technique"] for each in report["messages"]["by_technique"]] == ["references"]
    assert [each["technique"] for each in report["by_technique"]] == ["cache"]


@pytest.mark.parametrize("rolled_up", [False, True])
async def test_what_nobody_knows_is_null(
    store: UsageStore, rollups: UsageRollupStore, reports: UsageReports, rolled_up: bool
) -> None:
    """A price that is unknown, a request that failed, and a line of an older version."""
    older = ended(3)
    for name in ("reduction", "baseline_input_usd", "billed_input_usd", "reduced"):
        del older[name]
    await store.store([ended(1, cost_usd=None), ended(2, status="error"), older])
    if rolled_up:
        await rollups.roll_up(10)
    totals = (await reports.savings(EVERYTHING, []))["totals"]
    assert (totals["requests"], totals["measured_requests"], totals["unpriced_requests"]) == (
        3,
        0,
        1,
    )
    for name in ("baseline_input_usd", "billed_input_usd", "saved_usd", "saved_share"):
        assert totals[name] is None


async def test_an_empty_database_has_saved_nothing(reports: UsageReports) -> None:
    report = await reports.savings(EVERYTHING, [])
    assert report["totals"]["saved_usd"] == 0
    assert report["totals"]["saved_share"] is None
    assert report["by_technique"] == report["by_day"] == []
    assert report["holdout"]["note"].startswith("no conversation was held out")


@pytest.mark.parametrize("rolled_up", [False, True])
async def test_both_groups_of_a_hold_out_are_compared_in_its_projects_alone(
    store: UsageStore, rollups: UsageRollupStore, reports: UsageReports, rolled_up: bool
) -> None:
    plain = {"reduction": {"techniques": {}}, "baseline_input_usd": 2.0}
    await store.store(
        [
            *(row(number, project="web", billed_input_usd=0.5, **plain) for number in range(6)),
            *(
                row(number, project="web", billed_input_usd=2.0, held_out=True, **plain)
                for number in range(10, 13)
            ),
            row(20, project="default", billed_input_usd=77.0, **plain),
        ]
    )
    if rolled_up:
        await rollups.roll_up(100)
    holdout = (await reports.savings(EVERYTHING, []))["holdout"]
    assert holdout["held_out"] == {
        "requests": 3,
        "prompt_tokens": 3000,
        "billed_input_usd": 6.0,
        "usd_per_request": 2.0,
        "usd_per_1000_prompt_tokens": 2.0,
    }
    assert holdout["reduced"]["requests"] == 6
    assert holdout["reduced"]["usd_per_request"] == 0.5
    assert holdout["saved_share_per_request"] == 0.75
    assert holdout["saved_share_per_1000_prompt_tokens"] == 0.75
    assert holdout["note"].startswith("small sample")


def test_only_groups_that_exist_can_be_asked_for() -> None:
    assert checked_group(None) is checked_group("") is None
    assert checked_group("day") == "day"
    with pytest.raises(InvalidRequestError) as refused:
        checked_group("moon")
    assert refused.value.param == "group"


async def test_the_endpoint_serves_the_report(store: UsageStore, reports: UsageReports) -> None:
    await store.store([row(number) for number in range(5)])
    state: JSONObject = {"technique": "references", "switched_off": True}
    guard = SimpleNamespace(states=lambda: [state])
    accounting = SimpleNamespace(pass_guard=guard)
    app = FastAPI()
    app.include_router(router)
    app.dependency_overrides[require_admin] = lambda: None
    app.state.services = SimpleNamespace(
        usage_reports=reports, live=SimpleNamespace(accounting=accounting)
    )
    whole = await get(app, "/admin/savings?from=2026-11-20")
    assert set(whole) == {
        *("totals", "by_project", "by_technique", "by_client", "by_day"),
        *("messages", "holdout", "passes", "method"),
    }
    assert whole["passes"] == [state]
    one = await get(app, "/admin/savings?group=technique")
    assert {name for name in one if name.startswith("by_")} == {"by_technique"}
    accounting.pass_guard = None
    assert (await get(app, "/admin/savings"))["passes"] == []


async def get(app: FastAPI, url: str) -> JSONObject:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get(url)
    assert answer.status_code == 200
    body: JSONObject = wire.loads(answer.content)
    return body
