"""What routes share: the services of this process and the caller of a request."""

from typing import cast

from fastapi import Request

from gateway.context import Caller, RequestContext
from gateway.errors import PermissionDeniedError
from gateway.security.keys import read_key
from gateway.services.running import Services


def services_of(request: Request) -> Services:
    """The services that were built at start-up."""
    return cast(Services, request.app.state.services)


def context_of(request: Request) -> RequestContext:
    """The context the edge middleware gave this request."""
    return cast(RequestContext, request.scope["state"]["context"])


async def require_caller(request: Request) -> Caller:
    """The caller of a request with a valid key. Raises AuthenticationError."""
    context = context_of(request)
    context.caller = await services_of(request).projects.resolve(read_key(context.headers))
    return context.caller


async def require_admin(request: Request) -> Caller:
    """A caller with the admin scope. Raises AuthenticationError and PermissionDeniedError."""
    caller = await require_caller(request)
    if not caller.may("admin"):
        raise PermissionDeniedError("this needs the admin key")
    return caller
