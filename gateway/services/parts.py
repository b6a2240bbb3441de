"""The parts that services are made of: every client and store of an API process, built once."""

import logging
import os
from contextlib import AsyncExitStack
from pathlib import Path

from gateway.config import Settings, default_data_dir
from gateway.durable import DurableEngine
from gateway.pipeline.accounting import Accounting
from gateway.pipeline.summary_requests import SummaryRequests
from gateway.projects import Projects
from gateway.reduction.context_summary import SummaryStore
from gateway.reduction.pass_guard import PassGuard
from gateway.routing.router import Router
from gateway.security.keys import hash_key
from gateway.security.sealing import Sealer
from gateway.services.from_settings import (
    catalog_of,
    fallbacks_of,
    names_of,
    required,
    sealer_of,
    secret,
    source_of,
)
from gateway.services.reliability import Reliability, Stores, open_reliability
from gateway.services.routing import router_of
from gateway.storage.database import Engine, create_engine
from gateway.storage.project_store import ProjectStore
from gateway.storage.response_store import ResponseTable
from gateway.storage.turn_store import TurnTable
from gateway.storage.usage_store import UsageStore
from gateway.storage.valkey import Valkey
from gateway.structs import Struct
from gateway.telemetry.metrics import MetricStore
from gateway.turns.responses import StoredResponses
from gateway.turns.store import TurnStore
from gateway.usage.journal import Journal
from gateway.usage.recorder import Recorder

_log = logging.getLogger("gateway.services")

_SUMMARY_SECONDS = 259_200  # three days: a conversation is remembered that long


class Parts(Struct, frozen=True):
    """What the pipelines share. `source` is what answers, see `Services.model_source`."""

    settings: Settings
    engine: Engine
    valkey: Valkey
    metrics: MetricStore
    recorder: Recorder
    reliability: Reliability
    accounting: Accounting
    projects: Projects
    router: Router
    pass_guard: PassGuard
    sealer: Sealer
    turn_store: TurnStore
    stored_responses: StoredResponses
    summary_store: SummaryStore
    summary_requests: SummaryRequests
    source: str


async def open_parts(settings: Settings, durable: DurableEngine, stack: AsyncExitStack) -> Parts:
    """The parts, closed in order by `stack`. Raises SettingsError for what cannot work."""
    catalog = catalog_of(settings)
    names = names_of(settings, catalog)
    if names.default.id != settings.default_model:
        _log.warning("default_model_replaced", extra={"served_by": names.default.id})
    router = router_of(settings, names)
    source = source_of(settings)
    data_dir: Path = settings.data_dir or default_data_dir()
    engine = create_engine(required("DATABASE_URL", secret(settings.database_url)))
    stack.push_async_callback(engine.dispose)
    metrics = MetricStore(data_dir / "metrics", "api")
    stack.callback(metrics.close)
    journal = Journal(data_dir / "journal", f"api-{os.getpid()}")
    recorder = Recorder(journal, UsageStore(engine), catalog)
    stack.push_async_callback(recorder.finish)
    valkey = Valkey(required("REDIS_URL", secret(settings.redis_url)))
    stack.push_async_callback(valkey.close)
    projects = Projects(
        settings,
        ProjectStore(engine),
        hash_key,
        fallbacks=fallbacks_of(settings, catalog),
    )
    stack.push_async_callback(projects.close)
    stores = Stores(engine, valkey, metrics, router.names.default)
    reliability = await open_reliability(settings, stores, durable, stack)
    sealer = sealer_of(settings)
    seconds, days = settings.turn_ttl_seconds, settings.responses_ttl_days
    guard = PassGuard(valkey)
    summaries = SummaryStore(valkey, sealer, ttl_seconds=_SUMMARY_SECONDS)
    return Parts(
        settings=settings,
        engine=engine,
        valkey=valkey,
        metrics=metrics,
        recorder=recorder,
        reliability=reliability,
        accounting=Accounting(journal, metrics, catalog, source, guard, reliability.errors),
        projects=projects,
        router=router,
        pass_guard=guard,
        sealer=sealer,
        turn_store=TurnStore(valkey, TurnTable(engine), sealer, ttl_seconds=seconds),
        stored_responses=StoredResponses(valkey, ResponseTable(engine), sealer, ttl_days=days),
        summary_store=summaries,
        summary_requests=SummaryRequests(summaries, durable),
        source=source,
    )
