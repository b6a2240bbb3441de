"""The application: routes, middleware, error bodies, and the services behind them."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from api.deps import require_admin
from api.dispatch import Application
from api.errors import install_error_handlers
from api.middleware import Edge, EdgeMiddleware
from api.openapi import describe_hot_routes
from api.routes import (
    batch,
    batches,
    chat_completions,
    completions,
    debug,
    embeddings,
    files,
    health,
    message_batches,
    messages,
    models,
    responses,
    simple_chat,
)
from api.routes.admin import circuits, errors, metrics, routing, savings, usage
from gateway.config import Settings, SettingsError, load_settings, secret_values
from gateway.services.from_settings import check_settings, temporal_address
from gateway.services.running import running_services
from gateway.telemetry.logs import configure_logging
from gateway.version import VERSION
from workflows.client import TemporalEngine

ROUTERS = (
    models.router,
    chat_completions.router,
    responses.router,
    health.router,
    debug.router,
    circuits.router,
    errors.router,
    metrics.router,
    routing.router,
    savings.router,
)


BATCH_ROUTERS = (batch.router, batches.router, files.router, message_batches.router)
"""Only with ENABLE_BATCH_API."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application for one process; settings come from the environment when not given."""
    settings = settings or _settings_or_exit()
    configure_logging(settings.log_level, secret_values(settings))
    _adopt_server_log()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        durable = TemporalEngine(temporal_address(settings))
        async with running_services(settings, durable) as services:
            app.state.services = services
            yield

    app = Application(
        title="Coding Gateway",
        version=VERSION,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url="/docs",
        redoc_url=None,
    )
    app.state.settings = settings
    hot_routes = [
        *chat_completions.ROUTES,
        *messages.ROUTES,
        *responses.ROUTES,
        *completions.ROUTES,
        *embeddings.ROUTES,
        *simple_chat.ROUTES,
    ]
    edge = app.state.edge = Edge(settings)
    app.add_hot_routes(hot_routes, edge)
    app.add_middleware(EdgeMiddleware, edge=edge)
    install_error_handlers(app)
    routers = (*ROUTERS, *BATCH_ROUTERS) if settings.enable_batch_api else ROUTERS
    for router in routers:
        app.include_router(router)
    app.include_router(usage.router, dependencies=[Depends(require_admin)])
    describe_hot_routes(app)
    return app


def _settings_or_exit() -> Settings:
    """The settings of the environment; a wrong one ends the process with one line."""
    try:
        settings = load_settings()
        check_settings(settings)
    except SettingsError as error:
        raise SystemExit(error.message) from None
    return settings


def _adopt_server_log() -> None:
    """Send uvicorn's lines through the gateway's log: JSON, redacted, in one place."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
