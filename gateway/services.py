"""The composition root: every client and service of an API process, built once, closed in order."""

import asyncio
import ctypes
import gc
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from gateway.catalog.models import Catalog, load_catalog
from gateway.config import Settings, SettingsError, default_data_dir
from gateway.durable import DurableEngine, EngineAddress, engine_address
from gateway.pipeline.accounting import Accounting
from gateway.pipeline.attempts import Attempts
from gateway.pipeline.live import LivePipeline
from gateway.projects import Projects
from gateway.protocols.model_fit import FitOptions
from gateway.reliability.admission import AdmissionControl
from gateway.reliability.circuit_breaker import CircuitBreaker, CircuitState
from gateway.reliability.retry import RetryPolicy
from gateway.routing.names import ModelNames
from gateway.security.keys import hash_key
from gateway.storage.database import create_engine, is_reachable
from gateway.storage.project_store import ProjectStore
from gateway.storage.usage_reports import UsageReportStore
from gateway.storage.usage_rollup import UsageRollupStore
from gateway.storage.usage_store import UsageStore
from gateway.storage.valkey import Valkey, ValkeyDown
from gateway.telemetry import series
from gateway.telemetry.metrics import MetricStore
from gateway.upstream.transport import UpstreamTransport
from gateway.usage.journal import Journal
from gateway.usage.recorder import Recorder
from gateway.usage.reports import UsageReports

_log = logging.getLogger("gateway.services")

_PUBLISH_SECONDS = 1.0
_TRIM_SECONDS = 2.0  # a trim takes 0.2 to 5 ms
_YOUNG_OBJECTS = 50_000  # the live path makes no cycles, so the collector seldom finds anything
_STATE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Services:
    """What routes use. `model_source` is what answers: anthropic, simulator or another host."""

    settings: Settings
    names: ModelNames
    projects: Projects
    pipeline: LivePipeline
    metrics: MetricStore
    usage_reports: UsageReports
    durable: DurableEngine
    model_source: str
    probes: dict[str, Callable[[], Awaitable[bool]]]

    async def part_states(self) -> dict[str, str]:
        """`ok` or `down` for each part, asked now, all at once."""
        answers = await asyncio.gather(*(_answers(probe) for probe in self.probes.values()))
        return {
            name: "ok" if answer else "down"
            for name, answer in zip(self.probes, answers, strict=True)
        }


@asynccontextmanager
async def running_services(settings: Settings, durable: DurableEngine) -> AsyncIterator[Services]:
    """The services, started; on leaving, usage is shipped and everything is closed.

    Parts that are down do not stop the start: each is tried again in the background. Raises
    SettingsError for what cannot work.
    """
    catalog = _catalog(settings)
    names = _names(settings, catalog)
    source = _source(settings)
    data_dir = settings.data_dir or default_data_dir()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(durable.close)
        engine = create_engine(_required("DATABASE_URL", _secret(settings.database_url)))
        stack.push_async_callback(engine.dispose)
        metrics = MetricStore(data_dir / "metrics", "api")
        stack.callback(metrics.close)
        journal = Journal(data_dir / "journal", f"api-{os.getpid()}")
        recorder = Recorder(journal, UsageStore(engine), catalog)
        stack.push_async_callback(recorder.finish)
        valkey = Valkey(_required("REDIS_URL", _secret(settings.redis_url)))
        stack.push_async_callback(valkey.close)
        transport = await stack.enter_async_context(_transport(settings))
        projects = Projects(settings, ProjectStore(engine), hash_key)
        stack.push_async_callback(projects.close)
        accounting = Accounting(journal, metrics, catalog, source)
        pipeline = _pipeline(settings, names, projects, accounting, valkey, transport)
        metrics.before_publishing(lambda: _show_states(metrics, pipeline, valkey, recorder))
        await valkey.start()
        stack.push_async_callback(_stop, _start("usage-recorder", recorder.run()))
        stack.push_async_callback(_stop, _start("metrics", _publish(metrics)))
        stack.push_async_callback(_stop, _start("memory", _give_back_memory()))
        _settle_memory()
        yield Services(
            settings=settings,
            names=names,
            projects=projects,
            pipeline=pipeline,
            metrics=metrics,
            usage_reports=UsageReports(UsageReportStore(engine), UsageRollupStore(engine)),
            durable=durable,
            model_source=source,
            probes={
                "valkey": lambda: _is_up(valkey),
                "postgres": lambda: is_reachable(engine),
                "temporal": durable.is_reachable,
            },
        )


def check_settings(settings: Settings) -> None:
    """Raises SettingsError, one line, when the services could not be built from `settings`."""
    _names(settings, _catalog(settings))
    _required("DATABASE_URL", _secret(settings.database_url))
    _required("REDIS_URL", _secret(settings.redis_url))
    _upstream_key(settings)
    temporal_address(settings)


def temporal_address(settings: Settings) -> EngineAddress:
    """Where Temporal is. Raises SettingsError when nobody has said so."""
    address = engine_address(settings)
    if address is None:
        raise _not_set("TEMPORAL_ADDRESS")
    return address


def _catalog(settings: Settings) -> Catalog:
    try:
        return load_catalog(settings.models_file)
    except ValueError as error:
        raise SettingsError(f"MODELS_FILE: {error}") from error


def _names(settings: Settings, catalog: Catalog) -> ModelNames:
    default = catalog.find(settings.default_model) or catalog.successor(settings.default_model)
    if default is None:
        raise SettingsError("DEFAULT_MODEL: no model of that name is in the table")
    if default.id != settings.default_model:
        _log.warning("default_model_replaced", extra={"served_by": default.id})
    reject = settings.unknown_model == "reject"
    return ModelNames(catalog, default, settings.model_prefix, reject_unknown=reject)


def _source(settings: Settings) -> str:
    """What answers: `anthropic`, `simulator`, or the host of another server."""
    if settings.upstream_is_simulator:
        return "simulator"
    host = urlsplit(settings.anthropic_base_url).hostname or "unknown"
    return "anthropic" if host == "api.anthropic.com" else host


def _transport(settings: Settings) -> UpstreamTransport:
    return UpstreamTransport(
        settings.anthropic_base_url,
        _upstream_key(settings),
        first_byte_seconds=settings.upstream_timeout_seconds,
        idle_seconds=settings.upstream_idle_seconds,
    )


def _upstream_key(settings: Settings) -> str:
    if settings.upstream_is_simulator:
        return "simulator"  # it takes any key, and a real one has no business there
    return _required("ANTHROPIC_API_KEY", _secret(settings.anthropic_api_key))


def _pipeline(
    settings: Settings,
    names: ModelNames,
    projects: Projects,
    accounting: Accounting,
    valkey: Valkey,
    transport: UpstreamTransport,
) -> LivePipeline:
    policy = RetryPolicy(
        settings.retry_enabled, settings.retry_max_attempts, settings.retry_backoff_base
    )
    return LivePipeline(
        projects=projects,
        admission=AdmissionControl(
            valkey,
            accounting.metrics,
            enabled=settings.rate_limit_enabled,
            requests_per_minute=settings.rate_limit_rpm,
            processes=settings.api_processes,
        ),
        names=names,
        fit_options=FitOptions(
            thinking_reserve_tokens=settings.thinking_reserve_tokens,
            show_reasoning=settings.show_reasoning,
            fast_mode=settings.enable_fast_mode,
        ),
        breaker=CircuitBreaker(
            enabled=settings.circuit_breaker_enabled,
            threshold=settings.circuit_breaker_threshold,
            timeout_seconds=settings.circuit_breaker_timeout,
            on_change=_log_breaker,
        ),
        attempts=Attempts(transport, policy, accounting.attempt_failed),
        accounting=accounting,
        upstream=accounting.upstream,
        from_simulator=settings.upstream_is_simulator,
    )


def _log_breaker(upstream: str, state: CircuitState) -> None:
    _log.warning("circuit_breaker", extra={"upstream": upstream, "state": state.name.lower()})


def _show_states(
    metrics: MetricStore, pipeline: LivePipeline, valkey: Valkey, recorder: Recorder
) -> None:
    """Set the gauges that show a state of this moment."""
    for upstream, state in pipeline.breaker.states().items():
        metrics.set(series.CIRCUIT_STATE, (upstream,), float(state))
    for part, is_well in (
        ("valkey", valkey.is_up),
        ("postgres", recorder.state.healthy),
        ("journal", not pipeline.accounting.journal.is_failing),
    ):
        metrics.set(series.DEGRADED, (part,), 0.0 if is_well else 1.0)


async def _publish(metrics: MetricStore) -> None:
    while True:
        await asyncio.sleep(_PUBLISH_SECONDS)
        metrics.publish()


async def _give_back_memory() -> None:
    """Return freed memory to the system now and then.

    glibc keeps what large bodies needed, a third of the process after a while; its own settings
    for that (MALLOC_TRIM_THRESHOLD_) do not help. Other C libraries have no such call.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        await asyncio.sleep(_TRIM_SECONDS)
        trim(0)


def _start(name: str, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
    task = asyncio.ensure_future(work)
    task.set_name(name)
    task.add_done_callback(_report_crash)
    return task


def _report_crash(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("background_task_failed", extra={"task": task.get_name()}, exc_info=error)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def _is_up(valkey: Valkey) -> bool:
    try:
        return await valkey.call("PING") is not None
    except ValkeyDown:
        return False


async def _answers(probe: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(_STATE_SECONDS):
            return await probe()
    except TimeoutError:
        return False


def _settle_memory() -> None:
    """Take what start-up built out of the collector's sight."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value is not None else None


def _required(name: str, value: str | None) -> str:
    if not value:
        raise _not_set(name)
    return value


def _not_set(name: str) -> SettingsError:
    return SettingsError(f"{name}: not set; `coding-gateway up` starts or makes what is missing")
