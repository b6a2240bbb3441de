"""The activities of each task queue, on the stores they need."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from activities.background_response import BackgroundActivities
from activities.batch_items import BatchActivities, WebhookPolicy
from activities.batch_sweep import SweepActivities
from activities.context_summary import ContextSummaryActivities
from activities.message_batches import MessageBatchActivities
from activities.retention import RetentionActivities
from activities.routing_outcomes import RoutingOutcomesActivities
from activities.upstream_circuit import Probe, UpstreamCircuitActivities
from activities.usage_rollup import UsageRollupActivities
from gateway.catalog.models import Catalog, Model
from gateway.config import Settings, SettingsError, default_data_dir
from gateway.durable import BACKGROUND_QUEUE, BATCH_QUEUE, MAINTENANCE_QUEUE, DurableEngine
from gateway.pipeline.summary_writer import SummaryWriter
from gateway.reduction.context_summary import SummaryStore
from gateway.services.background import start, stop
from gateway.services.from_settings import (
    catalog_of,
    check_settings,
    names_of,
    required,
    sealer_of,
    secret,
    source_of,
    upstreams_of,
)
from gateway.services.message_batches import open_message_batches
from gateway.services.running import Services, running_services
from gateway.storage.background_store import BackgroundStore
from gateway.storage.batch_store import BatchStore
from gateway.storage.circuit_board import CircuitBoard
from gateway.storage.database import create_engine
from gateway.storage.error_store import ErrorStore
from gateway.storage.file_store import FileStore
from gateway.storage.response_store import ResponseTable
from gateway.storage.routing_outcomes import OutcomeBoard, RoutingOutcomeStore
from gateway.storage.turn_store import TurnTable
from gateway.storage.usage_rollup import UsageRollupStore
from gateway.storage.usage_store import UsageStore
from gateway.storage.valkey import Valkey
from gateway.upstream.messages_client import MessagesClient
from gateway.usage.journal import Journal
from gateway.usage.recorder import Recorder

SUMMARY_TTL_SECONDS = 259_200  # three days: a conversation is remembered that long

_VALKEY_SECONDS = 5.0  # nobody waits for a worker
_MODEL_SECONDS = 120.0
_PROBE_SECONDS = 8.0

Activities = list[Callable[..., Any]]


@dataclass(slots=True)
class WorkerParts:
    """What the queues of one worker share; closed by `stack`.

    `durable` reaches the engine for what activities start.
    """

    settings: Settings
    durable: DurableEngine
    stack: AsyncExitStack
    _services: Services | None = field(default=None, init=False)

    async def services(self) -> Services:
        """The live pipelines, built when the first queue needs them. Raises SettingsError."""
        if self._services is None:
            self._services = await self.stack.enter_async_context(
                running_services(self.settings, self.durable)
            )
        return self._services


async def _maintenance(parts: WorkerParts) -> Activities:
    return await parts.stack.enter_async_context(
        maintenance_activities(parts.settings, parts.durable)
    )


async def _batch(parts: WorkerParts) -> Activities:
    services, settings = await parts.services(), parts.settings
    execution = services.batch_execution
    upstream = await open_message_batches(settings, execution, parts.stack)
    batches = BatchActivities(
        execution,
        parallelism=settings.batch_parallelism,
        webhooks=WebhookPolicy(secret(settings.webhook_secret), settings.webhook_allow_private),
        parts=upstream.parts,
    )
    message_batches = MessageBatchActivities(execution.batches, upstream.parts, upstream.results)
    return [
        batches.plan_batch,
        batches.run_items,
        batches.set_batch_status,
        batches.batch_status,
        batches.finish_rest,
        batches.end_batch,
        batches.deliver_webhook,
        message_batches.create_part,
        message_batches.poll_part,
        message_batches.read_results,
        message_batches.cancel_part,
    ]


async def _background(parts: WorkerParts) -> Activities:
    services = await parts.services()
    background = BackgroundActivities(services.background_runs)
    return [background.make_response, background.end_response]


_QUEUES: dict[str, Callable[[WorkerParts], Awaitable[Activities]]] = {
    MAINTENANCE_QUEUE: _maintenance,
    BATCH_QUEUE: _batch,
    BACKGROUND_QUEUE: _background,
}
_PIPELINE_QUEUES = frozenset({BATCH_QUEUE, BACKGROUND_QUEUE})
"""Those that call models as an API process does, and need its settings."""


def refused_queue(settings: Settings, queue: str) -> str | None:
    """Why this worker cannot serve `queue`, None when it can."""
    if queue not in _PIPELINE_QUEUES:
        return None
    try:
        check_settings(settings)
    except SettingsError as error:
        return error.message
    return None


@asynccontextmanager
async def activities_of(
    settings: Settings, durable: DurableEngine, queues: Iterable[str]
) -> AsyncIterator[Mapping[str, Activities]]:
    """The activities of these queues. Connections are closed on leaving.

    Raises SettingsError for what cannot work, see `refused_queue`.
    """
    async with AsyncExitStack() as stack:
        parts = WorkerParts(settings, durable, stack)
        yield {queue: await _QUEUES[queue](parts) for queue in queues}


@asynccontextmanager
async def maintenance_activities(
    settings: Settings, durable: DurableEngine | None = None
) -> AsyncIterator[Activities]:
    """What runs by the clock, and summaries. Connections are closed on leaving.

    Without Valkey the API processes are not told what routing has learned, and there are no
    summaries. Raises SettingsError for what cannot work.
    """
    async with AsyncExitStack() as stack:
        url = required("DATABASE_URL", secret(settings.database_url))
        engine = create_engine(url, application_name="coding-gateway worker")
        stack.push_async_callback(engine.dispose)
        events = UsageStore(engine)
        usage = UsageRollupActivities(events, UsageRollupStore(engine))
        background = BackgroundStore(engine)
        retention = RetentionActivities(
            {
                "turns": TurnTable(engine).delete_expired,
                "responses": ResponseTable(engine).delete_expired,
                "error_events": ErrorStore(engine, days=settings.error_events_days).delete_expired,
                "batches": BatchStore(engine).delete_expired,
                "files": FileStore(engine).delete_expired,
                "background_responses": background.delete_expired,
            }
        )
        valkey = await _valkey(settings, stack)
        board = OutcomeBoard(valkey) if valkey is not None else None
        outcomes = RoutingOutcomesActivities(RoutingOutcomeStore(engine), board)
        writer = await _summary_writer(settings, events, valkey, stack)
        summaries = ContextSummaryActivities(writer)
        sweep = SweepActivities(BatchStore(engine), background, durable)
        circuits = UpstreamCircuitActivities(
            CircuitBoard(valkey) if valkey is not None else None, await _probes(settings, stack)
        )
        yield [
            usage.make_usage_partitions,
            usage.fold_usage,
            retention.remove_expired,
            outcomes.fold_outcomes,
            outcomes.publish_outcomes,
            summaries.write_context_summary,
            circuits.publish_circuit,
            circuits.probe_upstream,
            sweep.start_waiting_batches,
            sweep.start_waiting_responses,
        ]


async def _probes(settings: Settings, stack: AsyncExitStack) -> dict[str, Probe]:
    """A small question to each upstream, by name; none for a worker without their keys."""
    if not _reaches_upstream(settings):
        return {}
    probes: dict[str, Probe] = {}
    for spec in upstreams_of(settings):
        client = MessagesClient(spec.base_url, spec.api_key, timeout_seconds=_PROBE_SECONDS)
        probes[spec.name] = (await stack.enter_async_context(client)).list_models
    return probes


def _reaches_upstream(settings: Settings) -> bool:
    keys = (settings.anthropic_api_key, settings.upstreams)
    return settings.upstream_is_simulator or keys != (None, None)


async def _valkey(settings: Settings, stack: AsyncExitStack) -> Valkey | None:
    if settings.redis_url is None:
        return None
    valkey = Valkey(settings.redis_url.get_secret_value(), timeout_seconds=_VALKEY_SECONDS)
    stack.push_async_callback(valkey.close)
    await valkey.start()
    return valkey


async def _summary_writer(
    settings: Settings, events: UsageStore, valkey: Valkey | None, stack: AsyncExitStack
) -> SummaryWriter | None:
    """What writes summaries; None for a worker that lacks what it takes."""
    if valkey is None or settings.encryption_keys is None or not _reaches_upstream(settings):
        return None
    catalog = catalog_of(settings)
    journal = await _journal(settings, events, catalog, stack)
    upstream = upstreams_of(settings)[0]
    client = await stack.enter_async_context(
        MessagesClient(upstream.base_url, upstream.api_key, timeout_seconds=_MODEL_SECONDS)
    )
    store = SummaryStore(valkey, sealer_of(settings), ttl_seconds=SUMMARY_TTL_SECONDS)
    model = _small_model(settings, catalog)
    return SummaryWriter(store, client, journal, catalog, model, source_of(settings))


async def _journal(
    settings: Settings, events: UsageStore, catalog: Catalog, stack: AsyncExitStack
) -> Journal:
    """This worker's usage journal, shipped as it grows."""
    directory = (settings.data_dir or default_data_dir()) / "journal"
    journal = Journal(directory, f"worker-{os.getpid()}")
    recorder = Recorder(journal, events, catalog)
    stack.push_async_callback(recorder.finish)
    stack.push_async_callback(stop, start("usage-recorder", recorder.run()))
    return journal


def _small_model(settings: Settings, catalog: Catalog) -> Model:
    names = names_of(settings, catalog)
    return names.small or names.default
