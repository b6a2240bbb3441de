"""The short way to the hot routes: past the router, whose matching costs as much as a translation.

The same routes stand in the router too, for its listing and for every other method.
"""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import respond
from gateway.errors import GatewayError


class HotRoutesMiddleware:
    """Sends POST requests for the hot routes straight to their endpoints."""

    def __init__(self, app: ASGIApp, routes: Sequence[Route]) -> None:
        self._app = app
        self._endpoints: dict[str, ASGIApp] = {route.path: route.endpoint for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        endpoint = None
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = self._endpoints.get(scope["path"])
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def noting_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await endpoint(scope, receive, noting_send)
        except GatewayError as error:
            if has_begun:
                raise
            await respond(Request(scope), error)(scope, receive, send)
