"""Every failure has the body of the caller's own protocol."""

import pytest

from api.errors import error_response, speaks_anthropic
from gateway import wire
from gateway.context import RequestContext
from gateway.errors import (
    AuthenticationError,
    GatewayError,
    InvalidRequestError,
    RateLimitError,
    UpstreamError,
)


def _context(**headers: str) -> RequestContext:
    return RequestContext("req_1", "/x", headers, 0.0)


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/v1/messages", {}, True),
        ("/v1/messages/count_tokens", {}, True),
        ("/v1/models", {"anthropic-version": "2023-06-01"}, True),
        ("/v1/models", {}, False),
        ("/v1/chat/completions", {"anthropic-version": "2023-06-01"}, False),
    ],
)
def test_the_protocol_is_told_by_path_and_version(
    path: str, headers: dict[str, str], expected: bool
) -> None:
    assert speaks_anthropic(path, headers) is expected


def test_an_openai_caller_gets_the_json_path() -> None:
    error = InvalidRequestError("must be a string", param="messages[0].content")
    response = error_response("/v1/chat/completions", _context(), error)
    body = wire.loads(bytes(response.body))
    assert response.status_code == 400
    assert body["error"]["param"] == "messages[0].content"
    assert body["error"]["type"] == "invalid_request_error"


def test_an_anthropic_caller_gets_anthropics_shape() -> None:
    response = error_response("/v1/messages", _context(), AuthenticationError("no key"))
    body = wire.loads(bytes(response.body))
    assert response.status_code == 401
    assert (body["type"], body["error"]["type"]) == ("error", "authentication_error")


def test_the_wait_is_never_rounded_down() -> None:
    response = error_response("/x", _context(), RateLimitError("slow", retry_after_seconds=1.2))
    assert response.headers["retry-after"] == "2"
    assert response.headers["retry-after-ms"] == "1200"


def test_p51_a_client_is_told_not_to_multiply_our_attempts() -> None:
    response = error_response("/x", _context(), UpstreamError("no", status=503))
    assert response.headers["x-should-retry"] == "false"


def test_headers_that_were_set_on_the_way_are_kept() -> None:
    context = _context()
    context.set_header("X-Routed-Model", "claude-opus-5-5")
    response = error_response("/x", context, GatewayError("no"))
    assert response.headers["x-routed-model"] == "claude-opus-5-5"
