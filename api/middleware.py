"""The outermost layer: request id, origin lock, and the headers every answer carries.

Pure ASGI: one BaseHTTPMiddleware costs more CPU than the whole rest of a small request.
"""

import time
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import refusal
from gateway.cohorts import Cohorts
from gateway.config import Settings
from gateway.context import RequestContext
from gateway.errors import GatewayError
from gateway.headers import headers_by_name
from gateway.ids import random_hex
from gateway.security.origin import OriginLock

_PROBED = frozenset({"/health/live", "/health/ready"})
"""Asked by what runs the containers, at the process itself; their answers show nothing."""


class Edge:
    """The front door, for every way into the application.

    While `is_draining` every answer asks the client to come back over another connection.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.is_draining = False
        self._cohorts = Cohorts()
        self._lock = OriginLock(settings)

    def enter(self, endpoint: str, headers: Iterable[tuple[bytes, bytes]]) -> RequestContext:
        """The context of a new HTTP request."""
        return RequestContext(
            "req_" + random_hex(24),
            endpoint,
            headers_by_name(headers),
            time.monotonic(),
            cohorts=self._cohorts,
        )

    def check(self, context: RequestContext) -> None:
        """Refuse what did not come through the front door, probes aside.

        Raises PermissionDeniedError.
        """
        if context.endpoint not in _PROBED:
            self._lock.check(context.headers)

    def headers(self, context: RequestContext) -> dict[str, str]:
        """The headers that every answer has."""
        headers = {"x-gateway": self.settings.gateway_name, "x-request-id": context.request_id}
        if self.is_draining:
            headers["connection"] = "close"
        return headers


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
        context = self._edge.enter(scope["path"], scope["headers"])
        scope["state"]["context"] = context

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                signature = self._edge.headers(context).items()
                message["headers"] = [
                    *message.get("headers", ()),
                    *((name.encode("ascii"), value.encode("ascii")) for name, value in signature),
                ]
            await send(message)

        try:
            self._edge.check(context)
        except GatewayError as error:
            response = refusal(scope["path"], context, error)
            await response(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)
