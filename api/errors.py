"""Every failure as an answer in the caller's own protocol."""

import logging
import math
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.deps import context_of
from gateway import wire
from gateway.context import RequestContext
from gateway.errors import (
    GatewayError,
    InternalError,
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    UpstreamError,
)
from gateway.protocols.anthropic_messages import returned_headers
from gateway.protocols.shared.failures import anthropic_error, anthropic_status, openai_error
from gateway.telemetry.logs import log_refused

_log = logging.getLogger("gateway.api")


def speaks_anthropic(path: str, headers: dict[str, str] | Any) -> bool:
    """True when the caller expects Anthropic's shapes: by path, or by its version header."""
    return path.startswith("/v1/messages") or (
        path.startswith("/v1/models") and "anthropic-version" in headers
    )


def error_response(path: str, context: RequestContext, error: GatewayError) -> Response:
    """The HTTP answer for an error, with `retry-after` and `x-should-retry` where they apply."""
    headers = dict(context.response_headers)
    status, body = error.status, b""
    if speaks_anthropic(path, context.headers):
        status = anthropic_status(error)
        if isinstance(error, UpstreamError):
            headers |= returned_headers(error.upstream_headers)
            # Clients match Claude's own wording, so its body passes untouched.
            body = error.upstream_body if status == error.upstream_status else b""
        body = body or wire.dumps(anthropic_error(error, context.request_id))
    else:
        body = wire.dumps(openai_error(error, context.request_id))
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_seconds)))
        headers["retry-after-ms"] = str(math.ceil(error.retry_after_seconds * 1000))
    if isinstance(error, UpstreamError) or error.code == "insufficient_quota":
        # The gateway has used its own attempts; three tries of the client would multiply them. And
        # a budget that is spent stays so.
        headers["x-should-retry"] = "false"
    return Response(
        body,
        status_code=status,
        media_type="application/json",
        headers=headers,
    )


def install_error_handlers(app: FastAPI) -> None:
    """Make every failure of `app` an error body of the caller's protocol."""
    app.add_exception_handler(GatewayError, _on_gateway_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(Exception, _on_unexpected_error)


def refusal(path: str, context: RequestContext, error: GatewayError) -> Response:
    """The logged answer to a request that failed."""
    log_refused(context.request_id, error)
    return error_response(path, context, error)


def unexpected(path: str, context: RequestContext, error: Exception) -> Response:
    """The logged answer to a request that failed for a reason nobody has foreseen."""
    _log.error("unexpected_error", exc_info=error)
    return refusal(path, context, InternalError("the gateway failed; its log has the request id"))


async def _on_gateway_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, GatewayError):
        raise error
    return _refusal(request, error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 404:
        return _refusal(request, NotFoundError(f"no such path: {request.url.path[:200]}"))
    if error.status_code == 405:
        return _refusal(request, method_not_allowed(request.method, request.url.path))
    refused = InvalidRequestError(str(error.detail))
    refused.status = error.status_code
    return _refusal(request, refused)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    place, *path = first["loc"]
    param = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return _refusal(
        request, InvalidRequestError(f"{place}: {first['msg']}", param=param.lstrip(".") or "$")
    )


async def _on_unexpected_error(request: Request, error: Exception) -> Response:
    return unexpected(request.url.path, context_of(request), error)


def _refusal(request: Request, error: GatewayError) -> Response:
    return refusal(request.url.path, context_of(request), error)


def method_not_allowed(method: str, path: str) -> MethodNotAllowedError:
    """The error for a method that a path does not take."""
    return MethodNotAllowedError(f"{path[:200]} does not take {method[:20]}")
