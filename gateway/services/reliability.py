"""What keeps live requests going: limits, upstreams, circuits, errors; built from the settings."""

from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from gateway.catalog.models import Model
from gateway.config import Settings
from gateway.durable import CircuitPolicy, DurableEngine
from gateway.error_events.export import EndpointSink, FileSink
from gateway.error_events.recorder import ErrorEvents, Sink
from gateway.reliability.admission import AdmissionControl
from gateway.reliability.circuit_breaker import CircuitBreaker
from gateway.reliability.circuit_sharing import CircuitNames, SharedCircuits
from gateway.reliability.spending import Spending
from gateway.services.from_settings import catalog_of, secret, upstreams_of
from gateway.storage.circuit_board import CircuitBoard
from gateway.storage.database import Engine
from gateway.storage.error_store import ErrorStore
from gateway.storage.spend_store import SpendStore
from gateway.storage.valkey import Valkey
from gateway.structs import Struct
from gateway.telemetry.metrics import MetricStore
from gateway.upstream.error_export import ErrorExportTransport
from gateway.upstream.pool import Upstream, UpstreamPool
from gateway.upstream.transport import UpstreamTransport

_EXPORT_SECONDS = 10.0
_LONGEST_COOLDOWN_SECONDS = 600.0


class Stores(Struct, frozen=True):
    """What the rest is built on. `priced_as` is the model whose price estimates are made with."""

    engine: Engine
    valkey: Valkey
    metrics: MetricStore
    priced_as: Model


class Reliability(Struct, frozen=True):
    """Limits, upstreams, circuits and what is kept of errors."""

    pool: UpstreamPool
    breaker: CircuitBreaker
    circuits: SharedCircuits
    admission: AdmissionControl
    spending: Spending
    errors: ErrorEvents
    error_store: ErrorStore


async def open_reliability(
    settings: Settings, stores: Stores, durable: DurableEngine, stack: AsyncExitStack
) -> Reliability:
    """All of it, closed in order by `stack`. Raises SettingsError."""
    pool = await stack.enter_async_context(UpstreamPool(upstreams_at_work(settings)))
    error_store = ErrorStore(stores.engine, days=settings.error_events_days)
    sinks = [error_store, *await error_sinks(settings, stack)]
    breaker = breaker_of(settings)
    spending = Spending(SpendStore(stores.engine))
    price = stores.priced_as.price
    return Reliability(
        pool=pool,
        breaker=breaker,
        circuits=shared_circuits(settings, breaker, stores.valkey, durable),
        admission=AdmissionControl(
            stores.valkey,
            stores.metrics,
            spending,
            processes=settings.api_processes,
            usd_per_token=price.input / 1e6 if price is not None else 0.0,
        ),
        spending=spending,
        errors=ErrorEvents(sinks, stores.metrics),
        error_store=error_store,
    )


def upstreams_at_work(settings: Settings) -> list[Upstream]:
    """The upstreams of the settings with their connections, which are not open yet."""
    return [
        Upstream(
            spec,
            UpstreamTransport(
                spec.base_url,
                spec.api_key,
                first_byte_seconds=settings.upstream_timeout_seconds,
                idle_seconds=settings.upstream_idle_seconds,
            ),
        )
        for spec in upstreams_of(settings)
    ]


async def error_sinks(settings: Settings, stack: AsyncExitStack) -> list[Sink]:
    """Where error events go besides the database."""
    sinks: list[Sink] = []
    if settings.error_export_file is not None:
        sinks.append(FileSink(settings.error_export_file))
    if settings.error_export_url is not None:
        transport = ErrorExportTransport(
            settings.error_export_url,
            secret(settings.error_export_token) or "",
            first_byte_seconds=_EXPORT_SECONDS,
            idle_seconds=_EXPORT_SECONDS,
        )
        sinks.append(EndpointSink(await stack.enter_async_context(transport)))
    return sinks


def breaker_of(settings: Settings) -> CircuitBreaker:
    """The circuit breakers of this process."""
    return CircuitBreaker(
        enabled=settings.circuit_breaker_enabled,
        threshold=settings.circuit_breaker_threshold,
        timeout_seconds=settings.circuit_breaker_timeout,
        half_open_requests=settings.circuit_half_open_requests,
    )


def shared_circuits(
    settings: Settings, breaker: CircuitBreaker, valkey: Valkey, durable: DurableEngine
) -> SharedCircuits:
    """What joins the breakers of all processes."""
    upstreams = tuple(spec.name for spec in upstreams_of(settings))
    if settings.embedding_api_url is not None:
        upstreams += (urlsplit(settings.embedding_api_url).hostname or "unknown",)
    families = {model.family for model in catalog_of(settings).models.values()}
    policy = CircuitPolicy(
        cooldown_seconds=settings.circuit_breaker_timeout,
        longest_cooldown_seconds=max(_LONGEST_COOLDOWN_SECONDS, settings.circuit_breaker_timeout),
        probe=settings.circuit_probe != "off",
    )
    names = CircuitNames(upstreams, (*sorted(families), "embeddings"))
    return SharedCircuits(breaker, CircuitBoard(valkey), durable, policy, names)
