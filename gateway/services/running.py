"""The services of an API process, built once and closed in order."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from gateway.config import Settings, default_data_dir
from gateway.durable import DurableEngine
from gateway.pipeline.accounting import Accounting
from gateway.pipeline.chat import ChatPipeline
from gateway.pipeline.completions import CompletionPipeline
from gateway.pipeline.embeddings import EmbeddingPipeline
from gateway.pipeline.live import LivePipeline
from gateway.pipeline.messages import MessagesPipeline
from gateway.pipeline.responses import ResponsesPipeline
from gateway.projects import Projects
from gateway.routing.names import ModelNames
from gateway.security.keys import hash_key
from gateway.services.background import (
    answers,
    give_back_memory,
    is_up,
    publish_metrics,
    settle_memory,
    show_states,
    start,
    stop,
)
from gateway.services.from_settings import (
    catalog_of,
    names_of,
    required,
    sealer_of,
    secret,
    source_of,
)
from gateway.services.pipelines import (
    conversations_of,
    embedding_provider,
    live_pipeline,
    transport_of,
)
from gateway.storage.database import create_engine, is_reachable
from gateway.storage.project_store import ProjectStore
from gateway.storage.response_store import ResponseTable
from gateway.storage.turn_store import TurnTable
from gateway.storage.usage_reports import UsageReportStore
from gateway.storage.usage_rollup import UsageRollupStore
from gateway.storage.usage_store import UsageStore
from gateway.storage.valkey import Valkey
from gateway.telemetry.metrics import MetricStore
from gateway.turns.conversation import Turns
from gateway.turns.responses import StoredResponses
from gateway.turns.store import TurnStore
from gateway.usage.journal import Journal
from gateway.usage.recorder import Recorder
from gateway.usage.reports import UsageReports


@dataclass(frozen=True, slots=True)
class Services:
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
    metrics: MetricStore
    usage_reports: UsageReports
    durable: DurableEngine
    model_source: str
    probes: dict[str, Callable[[], Awaitable[bool]]]

    async def part_states(self) -> dict[str, str]:
        """`ok` or `down` for each part, asked now, all at once."""
        up = await asyncio.gather(*(answers(probe) for probe in self.probes.values()))
        return {
            name: "ok" if is_up else "down" for name, is_up in zip(self.probes, up, strict=True)
        }


@asynccontextmanager
async def running_services(settings: Settings, durable: DurableEngine) -> AsyncIterator[Services]:
    """The services, started; on leaving, usage is shipped and everything is closed.

    Parts that are down do not stop the start. Raises SettingsError for what cannot work.
    """
    catalog = catalog_of(settings)
    names = names_of(settings, catalog)
    source = source_of(settings)
    data_dir = settings.data_dir or default_data_dir()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(durable.close)
        engine = create_engine(required("DATABASE_URL", secret(settings.database_url)))
        stack.push_async_callback(engine.dispose)
        metrics = MetricStore(data_dir / "metrics", "api")
        stack.callback(metrics.close)
        journal = Journal(data_dir / "journal", f"api-{os.getpid()}")
        recorder = Recorder(journal, UsageStore(engine), catalog)
        stack.push_async_callback(recorder.finish)
        valkey = Valkey(required("REDIS_URL", secret(settings.redis_url)))
        stack.push_async_callback(valkey.close)
        transport = await stack.enter_async_context(transport_of(settings))
        projects = Projects(settings, ProjectStore(engine), hash_key)
        stack.push_async_callback(projects.close)
        sealer = sealer_of(settings)
        seconds, days = settings.turn_ttl_seconds, settings.responses_ttl_days
        turn_store = TurnStore(valkey, TurnTable(engine), sealer, ttl_seconds=seconds)
        stored = StoredResponses(valkey, ResponseTable(engine), sealer, ttl_days=days)
        client = (transport, Accounting(journal, metrics, catalog, source))
        kept = (Turns(turn_store), conversations_of(settings, valkey, sealer))
        live = live_pipeline(settings, names, projects, valkey, kept, client)
        provider = await embedding_provider(settings, live, stack)
        metrics.before_publishing(lambda: show_states(metrics, live, valkey, recorder))
        probes: dict[str, Callable[[], Awaitable[bool]]] = {
            "valkey": partial(is_up, valkey),
            "postgres": partial(is_reachable, engine),
            "temporal": durable.is_reachable,
        }
        await valkey.start()
        for name, store in (("turns", turn_store), ("responses", stored)):
            stack.push_async_callback(store.finish)
            stack.push_async_callback(stop, start(name, store.run()))
        stack.push_async_callback(stop, start("usage-recorder", recorder.run()))
        stack.push_async_callback(stop, start("metrics", publish_metrics(metrics)))
        stack.push_async_callback(stop, start("memory", give_back_memory()))
        settle_memory()
        yield Services(
            settings=settings,
            names=names,
            projects=projects,
            live=live,
            chat=ChatPipeline(live),
            messages=MessagesPipeline(live),
            completions=CompletionPipeline(live),
            responses=ResponsesPipeline(live, stored, sealer),
            embeddings=EmbeddingPipeline(live, provider, settings.embedding_model),
            metrics=metrics,
            usage_reports=UsageReports(UsageReportStore(engine), UsageRollupStore(engine)),
            durable=durable,
            model_source=source,
            probes=probes,
        )
