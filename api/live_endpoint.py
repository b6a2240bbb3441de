"""A hot route: a plain ASGI endpoint, so that no body passes through a model class."""

from starlette.types import Receive, Scope, Send

from api.errors import method_not_allowed
from api.sse import serve_live


class LiveEndpoint:
    """A path that answers live; the router calls it as it would call a mounted application.

    `label` is the endpoint's name in metrics and usage, `opener` the pipeline's method.
    """

    def __init__(self, label: str, opener: str) -> None:
        self._label = label
        self._opener = opener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, streamed or whole."""
        if scope["method"] != "POST":
            raise method_not_allowed(scope["method"], scope["path"])
        scope["state"]["context"].endpoint = self._label
        pipeline = scope["app"].state.services.pipeline
        await serve_live(
            scope, receive, send, pipeline.authenticate, getattr(pipeline, self._opener)
        )
