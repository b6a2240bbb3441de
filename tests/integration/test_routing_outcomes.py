"""What routing learns from, on real servers: folding, decay, publication, what was decided."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.worker import Worker

from activities.registry import maintenance_activities
from activities.routing_outcomes import RoutingOutcomesActivities
from gateway.config import load_settings
from gateway.durable import (
    ROUTING_OUTCOMES_ID,
    ROUTING_OUTCOMES_WORKFLOW,
    EngineAddress,
    FoldOutcomesInput,
    FoldOutcomesResult,
    PublishOutcomesInput,
    RoutingOutcomesInput,
    RoutingOutcomesResult,
)
from gateway.routing.outcomes import Counts, read_snapshot
from gateway.storage.routing_outcomes import OutcomeBoard, RoutingOutcomeStore
from gateway.storage.usage_store import UsageStore
from gateway.storage.valkey import Valkey
from gateway.wire import JSONObject
from workflows.connection import connect
from workflows.registry import MAINTENANCE_WORKFLOWS

QUEUE = "routing-outcomes-test"
DEFAULT, HEAVY = "claude-sonnet-5-5", "claude-opus-5-5"
WEEK = timedelta(days=7)


def row(event_id: str, age: timedelta = timedelta(), **values: object) -> JSONObject:
    # Of this moment: what tests of long ago have left is worth less.
    started_at = datetime.now(UTC).replace(microsecond=0) - age
    return {
        "event_id": event_id,
        "day": started_at.date().isoformat(),
        "started_at": started_at.isoformat(),
        "project": "default",
        "model": DEFAULT,
        "status": "ok",
        "http_status": 200,
        "stop_reason": "end_turn",
        "route_reason": "score",
        "task_class": "debugging",
        "conversation": "c1",
        **values,
    }


@pytest.fixture
def store(engine: AsyncEngine) -> RoutingOutcomeStore:
    return RoutingOutcomeStore(engine)


@pytest.fixture
def events(engine: AsyncEngine) -> UsageStore:
    return UsageStore(engine)


async def fold_all(store: RoutingOutcomeStore, limit: int = 1_000) -> int:
    total, more = 0, True
    while more:
        done = await store.fold(limit)
        total, more = total + done.events, done.more
    return total


def rounded(published: bytes) -> list[tuple[str, str, str, Counts]]:
    """The rows as published; some seconds since the events have taken a little off."""
    return [
        (project, name, model, Counts(round(counts.successes, 1), round(counts.failures, 1)))
        for project, name, model, counts in read_snapshot(published)
    ]


async def sums(store: RoutingOutcomeStore) -> dict[tuple[str, str], Counts]:
    return {
        (name, model): Counts(round(successes, 1), round(failures, 1))
        for _, name, model, successes, failures in await store.snapshot()
    }


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ({}, Counts(1, 0)),
        ({"stop_reason": "tool_use"}, Counts(1, 0)),
        ({"stop_reason": "refusal"}, Counts(0, 1)),
        ({"stop_reason": "max_tokens"}, Counts(0, 1)),
        ({"stop_reason": "max_tokens", "task_class": "one_shot"}, Counts(1, 0)),
        ({"failed_results": 2}, Counts(0, 1)),
        ({"repeats": True}, Counts(0, 1)),
        ({"failed_results": 1, "stop_reason": "refusal"}, Counts(0, 2)),
        ({"status": "error", "http_status": 529, "stop_reason": None}, Counts(0, 1)),
        ({"status": "error", "http_status": 400, "stop_reason": None}, None),
        ({"status": "error", "http_status": 429, "stop_reason": None}, None),
        (
            {"status": "error", "http_status": 502, "error_code": "upstream_unreachable"},
            None,
        ),
        ({"status": "aborted", "http_status": 499, "stop_reason": None}, None),
        ({"status": "aborted", "http_status": 499, "failed_results": 1}, Counts(0, 1)),
        ({"task_class": ""}, None),
    ],
)
async def test_only_what_can_be_counted_counts(
    store: RoutingOutcomeStore, events: UsageStore, values: JSONObject, counts: Counts | None
) -> None:
    await events.store([row("e1", **values)])
    assert await fold_all(store) == (0 if values.get("task_class") == "" else 1)
    found = await sums(store)
    assert list(found.values()) == ([] if counts is None else [counts])


async def test_a_verdict_goes_to_the_model_that_gave_the_answer(
    store: RoutingOutcomeStore, events: UsageStore
) -> None:
    switched: JSONObject = {"model": HEAVY, "failed_results": 1, "route_detail": {"from": DEFAULT}}
    await events.store([row("e1", **switched)])
    await fold_all(store)
    assert await sums(store) == {
        ("debugging", HEAVY): Counts(1, 0),
        ("debugging", DEFAULT): Counts(0, 1),
    }


async def test_every_event_is_counted_once_however_often_and_late(
    store: RoutingOutcomeStore, events: UsageStore
) -> None:
    await events.store([row(f"e{number:03}") for number in range(50)])
    counted = await asyncio.gather(*(fold_all(store, limit=7) for _ in range(3)))
    assert sum(counted) == 50
    await events.store([row(f"e{number:03}") for number in range(60)])
    assert await fold_all(store) == 10
    assert await fold_all(store) == 0
    assert await sums(store) == {("debugging", DEFAULT): Counts(60, 0)}


async def test_what_is_old_is_worth_less_in_whatever_order_it_comes(
    store: RoutingOutcomeStore, events: UsageStore
) -> None:
    ages = [WEEK, timedelta(), 2 * WEEK]
    for number, age in enumerate(ages):
        await events.store([row(f"e{number}", age)])
        await fold_all(store)
    await events.store([row("f0", WEEK), row("f1"), row("f2", 2 * WEEK)])
    await fold_all(store)
    assert await sums(store) == {("debugging", DEFAULT): Counts(3.5, 0)}


async def test_the_snapshot_travels_by_one_key(
    store: RoutingOutcomeStore, events: UsageStore, valkey_url: str
) -> None:
    await events.store([row("e1"), row("e2", project="web", task_class="docs")])
    await fold_all(store)
    valkey = Valkey(valkey_url, timeout_seconds=5)
    board = OutcomeBoard(valkey)
    assert not await board.publish([])
    assert await board.read() is None
    await valkey.start()
    assert await board.publish(await store.snapshot())
    published = await board.read()
    assert published is not None
    assert sorted(rounded(published), key=lambda each: each[0]) == [
        ("default", "debugging", DEFAULT, Counts(1.0, 0.0)),
        ("web", "docs", DEFAULT, Counts(1.0, 0.0)),
    ]
    await valkey.call("DEL", "gateway:routing:outcomes")
    await valkey.close()


async def test_what_was_decided_is_found_by_conversation_and_by_request(
    store: RoutingOutcomeStore, events: UsageStore
) -> None:
    detail = {"score": 0.4, "parts": {"base": 0.2}}
    await events.store(
        [
            row("e1", timedelta(minutes=1), request_id="r1", route_detail=detail),
            row("e2", request_id="r2", route_reason="sticky"),
            row("e3", request_id="r3", conversation=""),
        ]
    )
    found = await store.decisions(conversation="c1")
    assert [each["request_id"] for each in found] == ["r2", "r1"]
    assert found[1]["route_detail"] == detail
    assert [each["model"] for each in await store.decisions(request_id="r3")] == [DEFAULT]
    assert await store.decisions(conversation="") == []
    assert await store.decisions(request_id="other") == []


async def test_the_workflow_counts_in_steps_and_tells_every_process(
    events: UsageStore, database_url: str, valkey_url: str, temporal_address: str
) -> None:
    await events.store([row(f"e{number:03}") for number in range(25)])
    client = await connect(EngineAddress(temporal_address))

    async def run(run_id: str) -> RoutingOutcomesResult:
        result = await client.execute_workflow(
            ROUTING_OUTCOMES_WORKFLOW,
            RoutingOutcomesInput(events_per_step=10, steps=2),
            id=f"{ROUTING_OUTCOMES_ID}-{run_id}",
            task_queue=QUEUE,
            result_type=RoutingOutcomesResult,
            run_timeout=timedelta(seconds=50),
        )
        assert isinstance(result, RoutingOutcomesResult)
        return result

    settings = load_settings(database_url=database_url, redis_url=valkey_url)
    async with (
        maintenance_activities(settings) as activities,
        Worker(client, task_queue=QUEUE, workflows=MAINTENANCE_WORKFLOWS, activities=activities),
    ):
        assert await run("first") == RoutingOutcomesResult(20, 1, more=True)
        assert await run("second") == RoutingOutcomesResult(5, 1, more=False)
    valkey = Valkey(valkey_url, timeout_seconds=5)
    await valkey.start()
    published = await OutcomeBoard(valkey).read()
    assert published is not None
    assert rounded(published) == [("default", "debugging", DEFAULT, Counts(25.0, 0.0))]
    await valkey.call("DEL", "gateway:routing:outcomes")
    await valkey.close()


async def test_without_valkey_outcomes_are_counted_and_nobody_is_told(
    events: UsageStore, store: RoutingOutcomeStore
) -> None:
    await events.store([row("e1")])
    activities = RoutingOutcomesActivities(store, None)
    assert await activities.fold_outcomes(FoldOutcomesInput(10)) == FoldOutcomesResult(1, False)
    assert (await activities.publish_outcomes(PublishOutcomesInput())).rows is None
    down = RoutingOutcomesActivities(store, OutcomeBoard(Valkey("redis://127.0.0.1:1")))
    assert (await down.publish_outcomes(PublishOutcomesInput())).rows is None
