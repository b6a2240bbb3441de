"""The short way in for the hot routes: a live request passes one layer instead of seven.

FastAPI's own layers watch bodies, traces and exceptions; with its router they cost a live request
as much as its translation. The same routes stand in the router too, for its listing and for every
other method.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from fastapi import FastAPI
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api.errors import refusal, unexpected
from api.live_connection import AsgiConnection, Headers, LiveConnection, LiveHandler
from api.live_endpoint import LiveEndpoint
from api.middleware import Edge
from api.sse import serve_live
from gateway.errors import GatewayError
from gateway.services.running import Services


class Application(FastAPI):
    """A FastAPI application whose hot routes are served before anything else is asked.

    `live_handlers` serve the POST requests of a path; the gateway's server calls them itself.
    """

    def __init__(self, **options: Any) -> None:
        self.live_handlers: dict[bytes, LiveHandler] = {}
        super().__init__(**options)

    def add_hot_routes(self, routes: Sequence[Route], edge: Edge) -> None:
        """Serve POST requests for `routes`, of LiveEndpoints, on the short way."""
        self.router.routes[:0] = routes
        for route in routes:
            handler = partial(self._serve, cast(LiveEndpoint, route.endpoint), edge)
            self.live_handlers[route.path.encode("ascii")] = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] == "http" and scope["method"] == "POST":
            handler = self.live_handlers.get(scope["path"].encode("utf-8", "surrogatepass"))
            if handler is not None:
                await handler(AsgiConnection(scope, receive, send))
                return
        await super().__call__(scope, receive, send)

    async def _serve(self, endpoint: LiveEndpoint, edge: Edge, connection: LiveConnection) -> None:
        """Serve one request with what the layers give every other one: edge and error bodies.

        What nobody expected is answered, then raised for the server.
        """
        context = edge.enter(endpoint.label, connection.headers)
        try:
            edge.check(context)
            services: Services = self.state.services
            opener = endpoint.opener_of(services)
            await serve_live(connection, context, edge, services.live.authenticate, opener)
        except GatewayError as error:
            if connection.has_begun:
                raise
            refused = refusal(endpoint.label, context, error)
            await _answer(connection, refused, edge.headers(context))
        except Exception as error:
            if not connection.has_begun:
                failed = unexpected(endpoint.label, context, error)
                await _answer(connection, failed, edge.headers(context))
            raise


async def _answer(connection: LiveConnection, response: Response, more: Headers) -> None:
    headers = {**response.headers, **more}
    del headers["content-length"]  # the connection says it
    await connection.answer(response.status_code, headers, bytes(response.body))
