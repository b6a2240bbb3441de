"""A summary prepared by the worker: ahead of need, sealed, paid for once, in no history."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError

from gateway.durable import (
    RETENTION_ID,
    USAGE_ROLLUP_ID,
    ContextSummaryInput,
    DurableUnavailableError,
    EngineAddress,
    context_summary_id,
)
from gateway.pipeline.summary_requests import SummaryRequests
from gateway.policies import ContextPolicy
from gateway.protocols.messages_form import text_block
from gateway.protocols.shared.digests import BlockDigests
from gateway.reduction.context_cut import ContextCut, ContextCuts
from gateway.reduction.context_summary import SummarySource, SummaryStore
from gateway.security.sealing import sealer_from
from gateway.storage.shared_lookup import SharedLookup
from gateway.storage.valkey import Valkey
from gateway.wire import JSONObject
from tests.contract.harness.simulator import Simulator, running_simulator
from tests.integration.worker_process import running_worker, until
from workflows.client import TemporalEngine
from workflows.connection import connect

SEALING_KEY = "a key that is used in tests only"
ASKED = "the heron is blue"  # only in the conversation
WRITTEN = "everything about the amber fox"  # only in the summary
MESSAGES = [
    {"role": "user", "content": [{"type": "text", "text": f"Remember that {ASKED}."}]},
    {"role": "assistant", "content": [{"type": "text", "text": "I will."}]},
]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with running_simulator("--delta-delay", "0") as simulator:
        yield simulator


@pytest.fixture
async def valkey(valkey_url: str) -> AsyncIterator[Valkey]:
    valkey = Valkey(valkey_url, timeout_seconds=2.0)
    await valkey.start()
    yield valkey
    await valkey.close()


@pytest.fixture
async def client(temporal_address: str) -> AsyncIterator[Client]:
    """A client; at the end the worker's schedules are gone."""
    client = await connect(EngineAddress(temporal_address))
    yield client
    for name in (USAGE_ROLLUP_ID, RETENTION_ID):
        with suppress(RPCError):
            await client.get_schedule_handle(name).delete()


@pytest.fixture
async def log(
    client: Client,
    temporal_address: str,
    database_url: str,
    valkey_url: str,
    simulator: Simulator,
    tmp_path: Path,
) -> AsyncIterator[Path]:
    """What a running worker with all parts writes to its log."""
    async with running_worker(
        tmp_path,
        DATABASE_URL=database_url,
        TEMPORAL_ADDRESS=temporal_address,
        REDIS_URL=valkey_url,
        ENCRYPTION_KEYS=SEALING_KEY,
        ANTHROPIC_BASE_URL=simulator.base_url,
        UPSTREAM_IS_SIMULATOR="1",
        LOG_LEVEL="debug",
    ) as log:
        yield log


def store_on(valkey: Valkey) -> SummaryStore:
    return SummaryStore(valkey, sealer_from(SEALING_KEY), ttl_seconds=600)


async def events(engine: AsyncEngine) -> list[tuple[str, str, str, Decimal, int]]:
    async with engine.connect() as connection:
        found = await connection.execute(
            text("select project, endpoint, model, cost_usd, input_tokens from usage_events")
        )
        return [tuple(row) for row in found]


async def stored(valkey: Valkey, project: str) -> bytes:
    """Names and values of everything Valkey has of a project."""
    names = await valkey.call("KEYS", f"gateway:{{{project}}}:*")
    return b"\n".join([*names, *(await valkey.call("MGET", *names))]) if names else b""


@pytest.mark.timeout(120)
async def test_a_summary_is_ready_sealed_and_paid_for_once(
    client: Client,
    engine: AsyncEngine,
    log: Path,
    simulator: Simulator,
    temporal_address: str,
    valkey: Valkey,
) -> None:
    simulator.script({"blocks": [{"type": "text", "text": WRITTEN}]})
    durable = TemporalEngine(EngineAddress(temporal_address))
    key, project = "a" * 32, "project-of-summaries"
    processes = [SummaryRequests(store_on(valkey), durable) for _ in range(2)]
    for requests in processes:
        requests.want(project, key, MESSAGES, 3_000)
        requests.want(project, key, MESSAGES, 3_000)
        await requests.finish()
    reader = store_on(valkey)
    await until(lambda: reader.find(project, key))
    assert await reader.find(project, key) == WRITTEN
    await client.get_workflow_handle(context_summary_id(key)).result()

    (asked,) = simulator.requests()
    assert ASKED in str(asked["body"]["messages"])
    assert asked["body"]["model"] == "claude-haiku-5-5"

    kept = await stored(valkey, project)
    assert b":summary:" in kept
    assert b":summarise:" not in kept
    assert WRITTEN.encode() not in kept

    async def is_billed() -> bool:
        return bool(await events(engine))

    await until(is_billed)
    ((billed_to, endpoint, model, cost, input_tokens),) = await events(engine)
    assert (billed_to, endpoint, model) == (project, "context_summary", "claude-haiku-5-5")
    assert cost > 0
    assert input_tokens > 50

    await durable.start_context_summary(ContextSummaryInput(project, key))
    assert len(simulator.requests()) == 1

    history = await client.get_workflow_handle(context_summary_id(key)).fetch_history()
    written = b"".join(event.SerializeToString() for event in history.events)
    logged = await asyncio.to_thread(log.read_text)
    for secret in (ASKED, WRITTEN):
        assert secret.encode() not in written
        assert secret not in logged
    assert project.encode() in written
    await durable.close()


@pytest.mark.timeout(120)
async def test_an_upstream_that_fails_is_tried_again_and_a_lost_source_is_nothing(
    client: Client,
    engine: AsyncEngine,
    log: Path,
    simulator: Simulator,
    temporal_address: str,
    valkey: Valkey,
) -> None:
    simulator.script(
        {"error": {"type": "overloaded_error"}}, {"blocks": [{"type": "text", "text": WRITTEN}]}
    )
    durable = TemporalEngine(EngineAddress(temporal_address))
    requests = SummaryRequests(store_on(valkey), durable)
    requests.want("other", "b" * 32, MESSAGES, 3_000)
    await requests.finish()
    handle = client.get_workflow_handle(context_summary_id("b" * 32))
    result = await handle.result()
    assert result["chars"] == len(WRITTEN)

    async def is_billed() -> bool:
        return bool(await events(engine))

    await until(is_billed)
    assert len(await events(engine)) == 1
    assert len(simulator.requests()) == 2

    await durable.start_context_summary(ContextSummaryInput("other", "c" * 32))
    lost = await client.get_workflow_handle(context_summary_id("c" * 32)).result()
    assert lost == {"chars": 0, "input_tokens": 0, "output_tokens": 0}
    assert len(simulator.requests()) == 2
    await durable.close()


async def test_with_temporal_down_nothing_is_left_behind_and_it_can_be_wanted_again(
    valkey: Valkey,
) -> None:
    durable = TemporalEngine(EngineAddress("127.0.0.1:1"), deadline_seconds=0.5)
    with pytest.raises(DurableUnavailableError):
        await durable.start_context_summary(ContextSummaryInput("p", "d" * 32))
    requests = SummaryRequests(store_on(valkey), durable)
    requests.want("without-temporal", "d" * 32, MESSAGES, 3_000)
    await requests.finish()
    assert await stored(valkey, "without-temporal") == b""
    await durable.close()


async def test_a_summary_comes_with_what_else_is_looked_up_and_opens_for_its_project_only(
    valkey: Valkey,
) -> None:
    store = store_on(valkey)
    await store.save("mine", "e" * 32, WRITTEN)
    before = valkey.calls
    shared = SharedLookup(valkey)
    found = store_on(valkey).look_up("mine", "e" * 32, shared)
    missing = store_on(valkey).look_up("mine", "f" * 32, shared)
    shared.send()
    assert await found.found() == WRITTEN
    assert await missing.found() is None
    assert valkey.calls == before + 1

    sealed = await valkey.call("GET", f"gateway:{{mine}}:summary:{'e' * 32}")
    await valkey.call("SET", f"gateway:{{yours}}:summary:{'e' * 32}", sealed)
    assert await store_on(valkey).find("yours", "e" * 32) is None

    local = SharedLookup(valkey)
    await store.find("mine", "e" * 32)
    assert await store.look_up("mine", "e" * 32, local).found() == WRITTEN
    store.used("mine", "e" * 32)
    assert await valkey.call("TTL", f"gateway:{{mine}}:summary:{'e' * 32}") > 590


async def test_a_source_is_kept_once_and_read_back(valkey: Valkey) -> None:
    store = store_on(valkey)
    source = SummarySource(ASKED * 100, 3_000)
    sealed = store.sealed_source("mine", "0" * 32, source)
    assert ASKED not in sealed
    assert await store.put_source("mine", "0" * 32, sealed)
    assert not await store.put_source("mine", "0" * 32, sealed)
    assert await store.source("mine", "0" * 32) == source
    await store.drop_source("mine", "0" * 32)
    assert await store.source("mine", "0" * 32) is None


async def test_a_cut_uses_the_summary_that_is_there_in_time_and_stays_with_its_choice(
    valkey: Valkey,
) -> None:
    messages: list[JSONObject] = [{"role": "user", "content": [text_block("Mend the build.")]}]
    for number in range(60):
        answer = {"role": "assistant", "content": [text_block(f"step {number} " * 150)]}
        messages += [answer, {"role": "user", "content": [text_block(f"go on {number}")]}]
    policy = ContextPolicy(8_000, "model")

    async def opened(cuts: ContextCuts) -> ContextCut:
        shared = SharedLookup(valkey)
        found = cuts.open("cut", messages, policy, BlockDigests(), shared)
        shared.send()
        await found.load()
        return found

    cuts = ContextCuts(store_on(valkey))
    late = await opened(cuts)
    assert "An extract" in str(late.prune(messages, None).messages[0])
    assert late.record is not None
    await store_on(valkey).save("cut", late.record.removeprefix("-"), WRITTEN)
    again = await opened(cuts)
    assert WRITTEN not in str(again.prune(messages, late.record).messages[0])

    in_time = await opened(cuts)
    pruned = in_time.prune(messages, None)
    assert WRITTEN in str(pruned.messages[0])
    in_time.remember()
    other_process = await opened(ContextCuts(store_on(valkey)))
    assert other_process.prune(messages, in_time.record) == pruned
