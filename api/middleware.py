"""The outermost layer: request id, origin lock, and the headers every answer carries.

Pure ASGI: one BaseHTTPMiddleware costs more CPU than the whole rest of a small request.
"""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response
from gateway.config import Settings
from gateway.context import RequestContext
from gateway.errors import GatewayError
from gateway.headers import headers_by_name
from gateway.ids import random_hex
from gateway.security.origin import OriginLock
from gateway.telemetry.logs import log_refused


class Edge:
    """The front door, for every way into the application.

    While `is_draining` every answer asks the client to come back over another connection.
    """

    def __init__(self, settings: Settings) -> None:
        self.is_draining = False
        self._lock = OriginLock(settings)
        self._gateway_header = (b"x-gateway", settings.gateway_name.encode("ascii"))

    def enter(self, scope: Scope) -> RequestContext:
        """The context of a new HTTP request, put into its scope."""
        context = RequestContext(
            request_id="req_" + random_hex(24),
            endpoint=scope["path"],
            headers=headers_by_name(scope["headers"]),
            received_at=time.monotonic(),
        )
        scope["state"]["context"] = context
        return context

    def check(self, context: RequestContext) -> None:
        """Refuse what did not come through the front door. Raises PermissionDeniedError."""
        self._lock.check(context.headers)

    def sign(self, message: Message, context: RequestContext) -> None:
        """Put the headers of every answer into the message that begins one."""
        message["headers"] = [
            *message.get("headers", ()),
            self._gateway_header,
            (b"x-request-id", context.request_id.encode("ascii")),
        ]
        if self.is_draining:
            message["headers"].append((b"connection", b"close"))


class EdgeMiddleware:
    """Gives each HTTP request its context and refuses what did not come through the front door."""

    def __init__(self, app: ASGIApp, edge: Edge) -> None:
        self._app = app
        self._edge = edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event; anything but HTTP passes untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = self._edge.enter(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._edge.sign(message, context)
            await send(message)

        try:
            self._edge.check(context)
        except GatewayError as error:
            log_refused(context.request_id, error)
            await error_response(scope["path"], context, error)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)
