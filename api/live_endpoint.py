"""A hot route: a plain ASGI endpoint, so that no body passes through a model class."""

from operator import attrgetter

from starlette.types import Receive, Scope, Send

from api.errors import method_not_allowed
from api.sse import serve_live


class LiveEndpoint:
    """A path that answers live; the router calls it as it would call a mounted application.

    `label` is the endpoint's name in metrics and usage; `opener` names what opens its requests:
    one of the services' pipelines and its method, as in "chat.open_chat".
    """

    def __init__(self, label: str, opener: str) -> None:
        self._label = label
        self._opener = attrgetter(opener)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, streamed or whole."""
        if scope["method"] != "POST":
            raise method_not_allowed(scope["method"], scope["path"])
        scope["state"]["context"].endpoint = self._label
        services = scope["app"].state.services
        authenticate = services.live.authenticate
        await serve_live(scope, receive, send, authenticate, self._opener(services))
