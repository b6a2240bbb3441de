"""A hot route: a plain ASGI endpoint, so that no body passes through a model class."""

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import Receive, Scope, Send

from api.errors import method_not_allowed
from api.sse import serve_live
from gateway.pipeline.reply import LiveOpener
from gateway.services import Services

OpenerOf = Callable[[Services], LiveOpener]
"""Finds what opens the requests of an endpoint among the services."""


class LiveEndpoint:
    """A path that answers live; the router calls it as it would call a mounted application.

    `label` is the endpoint's name in metrics and usage.
    """

    def __init__(self, label: str, opener_of: OpenerOf) -> None:
        self._label = label
        self._opener_of = opener_of

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Serve one request, streamed or whole."""
        if scope["method"] != "POST":
            raise method_not_allowed(scope["method"], scope["path"])
        scope["state"]["context"].endpoint = self._label
        services: Services = scope["app"].state.services
        opener = self._opener_of(services)
        return serve_live(scope, receive, send, services.live.authenticate, opener)
