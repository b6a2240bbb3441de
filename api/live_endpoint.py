"""A hot route: its body never passes through a model class."""

from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from api.errors import method_not_allowed
from gateway.pipeline.reply import LiveOpener
from gateway.services.running import Services

OpenerOf = Callable[[Services], LiveOpener]
"""Finds what opens the requests of an endpoint among the services."""


class LiveEndpoint:
    """A path that answers POST requests live, see `api.dispatch`.

    `label` is its name in metrics and usage; `opener_of` finds what opens its requests.
    """

    def __init__(self, label: str, opener_of: OpenerOf) -> None:
        self.label = label
        self.opener_of = opener_of

    async def __call__(self, scope: Scope, _: Receive, __: Send) -> None:
        """What the router is asked of it is no POST request. Raises MethodNotAllowedError."""
        raise method_not_allowed(scope["method"], scope["path"])
