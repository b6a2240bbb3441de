"""The services of an API process, built once and closed in order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from gateway.batches.batches import Batches
from gateway.config import Settings
from gateway.durable import DurableEngine
from gateway.files.files import Files
from gateway.pipeline.background_responses import BackgroundResponses
from gateway.pipeline.background_runs import BackgroundRuns
from gateway.pipeline.chat import ChatPipeline
from gateway.pipeline.completions import CompletionPipeline
from gateway.pipeline.embeddings import EmbeddingPipeline
from gateway.pipeline.live import LivePipeline
from gateway.pipeline.messages import MessagesPipeline
from gateway.pipeline.responses import ResponsesPipeline
from gateway.projects import Projects
from gateway.reliability.circuit_sharing import SharedCircuits
from gateway.routing.names import ModelNames
from gateway.routing.replay import RoutingExplanations
from gateway.services.background import (
    give_back_memory,
    is_up,
    prepare_memory,
    publish_metrics,
    settle_memory,
    show_states,
    start,
    stop,
    told_by,
    warn_without_schema,
)
from gateway.services.background_responses import background_responses, background_runs
from gateway.services.batch_execution import BatchExecution, batch_execution
from gateway.services.batches import batches_and_files
from gateway.services.from_settings import required, secret
from gateway.services.parts import Parts, open_parts
from gateway.services.pipelines import cached_answers, embedding_provider, live_pipeline
from gateway.services.routing import outcomes_kept_fresh
from gateway.storage.circuit_board import CHANNEL
from gateway.storage.database import state_of
from gateway.storage.error_store import ErrorStore
from gateway.storage.routing_outcomes import RoutingOutcomeStore
from gateway.storage.usage_reports import UsageReportStore
from gateway.storage.usage_rollup import UsageRollupStore
from gateway.storage.valkey_subscriber import ValkeySubscriber
from gateway.structs import Struct
from gateway.telemetry.metrics import MetricStore
from gateway.usage.reports import UsageReports


class Services(Struct, frozen=True):
    """What routes use. `model_source` is what answers: anthropic, simulator or another host."""

    settings: Settings
    names: ModelNames
    projects: Projects
    live: LivePipeline
    chat: ChatPipeline
    messages: MessagesPipeline
    completions: CompletionPipeline
    responses: ResponsesPipeline
    embeddings: EmbeddingPipeline
    batches: Batches
    files: Files
    background: BackgroundResponses
    background_runs: BackgroundRuns
    metrics: MetricStore
    usage_reports: UsageReports
    routing: RoutingExplanations
    circuits: SharedCircuits
    batch_execution: BatchExecution
    error_store: ErrorStore
    durable: DurableEngine
    model_source: str
    probes: dict[str, Callable[[], Awaitable[str | bool]]]

    async def part_states(self) -> dict[str, str]:
        """`ok` or what is wrong for each part, `down` for one; asked now, all at once."""
        states = await asyncio.gather(*(told_by(probe) for probe in self.probes.values()))
        return dict(zip(self.probes, states, strict=True))


@asynccontextmanager
async def running_services(settings: Settings, durable: DurableEngine) -> AsyncIterator[Services]:
    """The services, started; on leaving, usage is shipped and everything is closed.

    Parts that are down do not stop the start. Raises SettingsError for what cannot work.
    """
    prepare_memory()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(durable.close)
        parts = await open_parts(settings, durable, stack)
        live = live_pipeline(parts)
        provider = await embedding_provider(settings, live, stack)
        cached = cached_answers(parts, live, provider)
        execution = batch_execution(parts, live, provider)
        runs = background_runs(parts, live, provider)
        await _start(parts, live, stack)
        settle_memory()
        engine, router = parts.engine, parts.router
        batches, files = batches_and_files(parts, durable)
        chat = ChatPipeline(live, cached)
        responses = ResponsesPipeline(live, cached, parts.stored_responses, parts.sealer)
        yield Services(
            settings=settings,
            names=router.names,
            projects=parts.projects,
            live=live,
            chat=chat,
            messages=MessagesPipeline(live),
            completions=CompletionPipeline(live, cached),
            responses=responses,
            embeddings=EmbeddingPipeline(live, provider, settings.embedding_model),
            batches=batches,
            files=files,
            background=background_responses(parts, durable, chat, responses),
            background_runs=runs,
            metrics=parts.metrics,
            usage_reports=UsageReports(UsageReportStore(engine), UsageRollupStore(engine)),
            routing=RoutingExplanations(router, RoutingOutcomeStore(engine)),
            circuits=parts.reliability.circuits,
            batch_execution=execution,
            error_store=parts.reliability.error_store,
            durable=durable,
            model_source=parts.source,
            probes={
                "valkey": partial(is_up, parts.valkey),
                "postgres": partial(state_of, engine),
                "temporal": durable.is_reachable,
            },
        )


def circuit_notices(parts: Parts) -> ValkeySubscriber:
    """What hears of circuits in other processes."""
    url = required("REDIS_URL", secret(parts.settings.redis_url))
    circuits = parts.reliability.circuits
    return ValkeySubscriber(url, CHANNEL, circuits.heard, circuits.catch_up)


async def _start(parts: Parts, live: LivePipeline, stack: AsyncExitStack) -> None:
    """Connect to Valkey and run what runs beside the requests, until `stack` ends it."""
    metrics, valkey, recorder = parts.metrics, parts.valkey, parts.recorder
    metrics.before_publishing(lambda: show_states(metrics, live, valkey, recorder))
    await valkey.start()
    for name, store in (
        ("turns", parts.turn_store),
        ("responses", parts.stored_responses),
        ("summaries", parts.summary_requests),
        ("pass-guard", parts.pass_guard),
        ("error-events", parts.reliability.errors),
    ):
        stack.push_async_callback(store.finish)
        stack.push_async_callback(stop, start(name, store.run()))
    for name, work in (
        ("schema", warn_without_schema(parts.engine)),
        ("usage-recorder", recorder.run()),
        ("metrics", publish_metrics(metrics)),
        ("memory", give_back_memory(live.forget)),
        ("routing-outcomes", outcomes_kept_fresh(parts.router, valkey)),
        ("admission", parts.reliability.admission.run()),
        ("spending", parts.reliability.spending.run()),
        ("circuits", parts.reliability.circuits.run()),
        ("circuit-notices", circuit_notices(parts).run()),
    ):
        stack.push_async_callback(stop, start(name, work))
