"""Errors in each protocol's words, and upstream's errors as ours."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import openai
import pytest

from gateway import wire
from gateway.errors import (
    AuthenticationError,
    ContextLengthError,
    GatewayError,
    InternalError,
    InvalidRequestError,
    ModelNotFoundError,
    RateLimitError,
    UpstreamCutError,
    UpstreamError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from gateway.protocols.shared.failures import (
    ContextOverflow,
    anthropic_error,
    anthropic_status,
    context_overflow,
    openai_error,
    upstream_error,
    upstream_event_error,
)
from tests.support.messages_stream import openai_sdk


def said(kind: str, message: str = "As it is.", **details: Any) -> bytes:
    error: dict[str, Any] = {"type": kind, "message": message}
    if details:
        error["details"] = details
    return wire.dumps({"type": "error", "error": error, "request_id": "req_1"})


TABLE = [
    # upstream status, kind, client status, type, code, retryable
    (400, "invalid_request_error", 400, "invalid_request_error", "invalid_value", False),
    (401, "authentication_error", 502, "server_error", "upstream_auth", False),
    (402, "billing_error", 429, "insufficient_quota", "insufficient_quota", False),
    (403, "permission_error", 403, "invalid_request_error", "permission_denied", False),
    (404, "not_found_error", 404, "invalid_request_error", "not_found", False),
    (409, "conflict_error", 409, "invalid_request_error", "conflict", True),
    (413, "request_too_large", 413, "invalid_request_error", "request_too_large", False),
    (429, "rate_limit_error", 429, "rate_limit_error", "rate_limit_exceeded", True),
    (500, "api_error", 502, "server_error", "upstream_error", True),
    (503, "api_error", 503, "server_error", "upstream_unavailable", True),
    (504, "timeout_error", 504, "server_error", "timeout", True),
    (529, "overloaded_error", 503, "server_error", "overloaded", True),
    (418, "teapot_error", 502, "server_error", "upstream_error", False),
    (520, "api_error", 502, "server_error", "upstream_error", True),
]


@pytest.mark.parametrize(("upstream", "kind", "status", "openai_type", "code", "retryable"), TABLE)
def test_table_of_upstream_errors(
    upstream: int, kind: str, status: int, openai_type: str, code: str, retryable: bool
) -> None:
    body = said(kind)
    error = upstream_error(upstream, {}, body)
    assert (error.status, error.code, error.retryable) == (status, code, retryable)
    assert (error.upstream_status, error.upstream_kind) == (upstream, kind)
    assert error.upstream_body == body
    shown = openai_error(error)["error"]
    assert list(shown) == ["message", "type", "param", "code"]
    assert (shown["type"], shown["code"]) == (openai_type, code)


@pytest.mark.parametrize(
    ("upstream", "kind", "status", "code"),
    [(row[0], row[1], row[2], row[4]) for row in TABLE if row[1] != "teapot_error"],
)
def test_error_events_map_like_their_http_forms(
    upstream: int, kind: str, status: int, code: str
) -> None:
    if kind == "api_error":
        status, code = 502, "upstream_error"
    error = upstream_event_error(wire.loads(said(kind)))
    assert (error.status, error.code) == (status, code)
    assert error.upstream_body == said(kind)


@pytest.mark.parametrize("data", [{}, {"error": None}, {"error": {"type": 3}}, [], "x", None])
def test_an_odd_error_event_is_an_upstream_error(data: object) -> None:
    error = upstream_event_error(data)
    assert (error.status, error.code, error.message) == (
        502,
        "upstream_error",
        "Claude's API failed",
    )


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 208310 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        "This request exceeds the model's context window of 200000 tokens",
        "Input is too long for requested model.",
    ],
)
@pytest.mark.parametrize("status", [400, 413])
def test_an_overlong_prompt_has_its_code_and_its_words(status: int, message: str) -> None:
    error = upstream_error(status, {}, said("invalid_request_error", message))
    assert (error.status, error.code, error.message) == (400, "context_length_exceeded", message)
    assert openai_error(error)["error"]["type"] == "invalid_request_error"


def test_the_numbers_of_an_overflow_can_be_read() -> None:
    message = "input length and `max_tokens` exceed context limit: 190,000 + 20000 > 200000, ..."
    error = upstream_error(400, {}, said("invalid_request_error", message))
    assert context_overflow(error) == ContextOverflow(190_000, 20_000, 200_000)
    other = upstream_error(400, {}, said("invalid_request_error", "1 + 2 > 2"))
    assert context_overflow(other) is None
    too_long = said("invalid_request_error", "prompt is too long: 3 tokens > 2 maximum")
    assert context_overflow(upstream_error(400, {}, too_long)) is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (
            400,
            said(
                "invalid_request_error",
                "You have reached your specified workspace API usage limits. ...",
            ),
        ),
        (400, said("invalid_request_error", "Your credit balance is too low to access the API.")),
        (429, said("rate_limit_error", error_code="enforced_spend_limit_reached")),
        (429, said("rate_limit_error", error_code="contract_spend_limit_reached")),
    ],
)
def test_a_spend_limit_is_no_quota_and_not_worth_a_retry(status: int, body: bytes) -> None:
    error = upstream_error(status, {"x-should-retry": "true"}, body)
    assert (error.status, error.code, error.retryable) == (429, "insufficient_quota", False)
    assert openai_error(error)["error"]["type"] == "insufficient_quota"


def test_typed_codes_reach_the_client() -> None:
    body = said("invalid_request_error", "Too big.", error_code="image_dimensions_too_large")
    assert upstream_error(400, {}, body).code == "image_dimensions_too_large"
    body = said("rate_limit_error", error_code="ramp_limit_exceeded")
    assert upstream_error(429, {}, body).code == "rate_limit_exceeded"


def test_an_unknown_model_is_named() -> None:
    error = upstream_error(404, {}, said("not_found_error", "model: claude-nope"))
    assert (error.status, error.code, error.message) == (
        404,
        "model_not_found",
        "model: claude-nope",
    )


@pytest.mark.parametrize(
    ("status", "client_status", "code"),
    [
        (413, 413, "request_too_large"),
        (429, 429, "rate_limit_exceeded"),
        (401, 502, "upstream_auth"),
        (502, 502, "upstream_error"),
        (503, 503, "upstream_unavailable"),
        (400, 502, "upstream_error"),
        (403, 502, "upstream_error"),
        (404, 502, "upstream_error"),
        (301, 502, "upstream_error"),
        (200, 502, "upstream_error"),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>secret host</html>", b"\xff\xfe", b"[1]", b'{"error":"x"}', b'{"a":1}']
)
def test_bodies_that_are_not_the_apis(
    status: int, client_status: int, code: str, body: bytes
) -> None:
    error = upstream_error(status, {}, body)
    assert (error.status, error.code) == (client_status, code)
    assert error.message
    assert "secret" not in error.message


@pytest.mark.parametrize("upstream", [401, 403])
@pytest.mark.parametrize("body", [said("authentication_error", "bad key"), b"<html>"])
def test_an_upstream_key_problem_is_never_a_401(upstream: int, body: bytes) -> None:
    error = upstream_error(upstream, {}, body)
    assert error.status != 401
    assert anthropic_status(error) != 401


def test_an_upstream_401_says_nothing_of_the_key() -> None:
    error = upstream_error(401, {}, said("authentication_error", "invalid bearer token sk-x"))
    assert error.message == "Claude's API did not accept the gateway's credentials"
    assert anthropic_error(error)["error"]["type"] == "api_error"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("key sk-ant-api03-AbC_d-9 is bad", "key [redacted] is bad"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]"),
        ("see http://10.0.0.7:8080/v1/x?k=1 now", "see [redacted] now"),
        ("to https://proxy.corp.example/v1", "to [redacted]"),
        ("at 10.0.0.7:8080", "at [redacted]"),
        ("at api.llm.svc.cluster.local:80", "at [redacted]"),
        ("localhost:8000 refused", "[redacted] refused"),
        ("organization 0f3c1a52-1111-2222-3333-444455556666", "organization [redacted]"),
        ("workspace wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ", "workspace [redacted]"),
        ("https://docs.claude.com.evil.example/x", "[redacted]"),
        ("https://docs.claude.com@evil.example/x", "[redacted]"),
        (
            "see https://docs.claude.com/en/api/errors.",
            "see https://docs.claude.com/en/api/errors.",
        ),
        ("`toolu_01A09q90qw90lq917835lq9` in req_011CSHoEeqs5", None),
        ("messages.1.content.0: text content blocks must be non-empty", None),
        ("user_profile_id: Extra inputs are not permitted", None),
    ],
)
def test_messages_keep_their_words_but_no_secret(message: str, shown: str | None) -> None:
    error = upstream_error(400, {}, said("invalid_request_error", message))
    assert error.message == (shown or message)


def test_endless_messages_are_cut() -> None:
    error = upstream_error(400, {}, said("invalid_request_error", "x" * 100_000))
    assert len(error.message) < 5000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"Retry-After": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    error = upstream_error(429, headers, said("rate_limit_error"))
    assert error.retry_after_seconds == seconds


def test_retry_after_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    seconds = upstream_error(529, {"retry-after": later}, b"").retry_after_seconds
    assert seconds is not None
    assert 30 < seconds <= 91


def test_upstream_decides_on_retries_when_it_says_so() -> None:
    assert not upstream_error(529, {"x-should-retry": "false"}, b"").retryable
    assert upstream_error(400, {"X-Should-Retry": "true"}, said("invalid_request_error")).retryable


def test_the_log_detail_names_the_upstream_request() -> None:
    error = upstream_error(500, {"request-id": "req_9"}, said("api_error"))
    assert error.detail == "HTTP 500 api_error req_9"


GATEWAY_ERRORS: list[tuple[GatewayError, str, str]] = [
    (
        InvalidRequestError("x", param="messages[0]"),
        "invalid_request_error",
        "invalid_request_error",
    ),
    (AuthenticationError("x"), "invalid_request_error", "authentication_error"),
    (ModelNotFoundError("x"), "invalid_request_error", "not_found_error"),
    (ContextLengthError("x"), "invalid_request_error", "invalid_request_error"),
    (RateLimitError("x"), "rate_limit_error", "rate_limit_error"),
    (InternalError("x"), "server_error", "api_error"),
    (UpstreamCutError("x"), "server_error", "api_error"),
    (UpstreamUnreachableError("x"), "server_error", "api_error"),
    (UpstreamTimeoutError("x", status=504), "server_error", "timeout_error"),
]


@pytest.mark.parametrize(("error", "openai_type", "kind"), GATEWAY_ERRORS)
def test_the_gateways_own_errors_in_both_protocols(
    error: GatewayError, openai_type: str, kind: str
) -> None:
    assert openai_error(error)["error"] == {
        "message": "x",
        "type": openai_type,
        "param": error.param,
        "code": error.code,
    }
    assert anthropic_error(error, "req_2") == {
        "type": "error",
        "error": {"type": kind, "message": "x"},
        "request_id": "req_2",
    }
    assert anthropic_status(error) == error.status


def test_a_fault_of_the_gateway_names_the_request() -> None:
    assert "req_3" in openai_error(InternalError("oops"), "req_3")["error"]["message"]
    assert "req_3" not in openai_error(InvalidRequestError("no"), "req_3")["error"]["message"]


def test_anthropic_clients_see_upstreams_own_status() -> None:
    error = upstream_error(529, {}, said("overloaded_error", "Overloaded"))
    assert anthropic_status(error) == 529
    assert anthropic_error(error)["error"] == {"type": "overloaded_error", "message": "Overloaded"}
    assert anthropic_status(UpstreamError("x")) == 502


@pytest.mark.parametrize(
    ("upstream", "kind", "raised"),
    [
        (400, "invalid_request_error", openai.BadRequestError),
        (403, "permission_error", openai.PermissionDeniedError),
        (404, "not_found_error", openai.NotFoundError),
        (429, "rate_limit_error", openai.RateLimitError),
        (401, "authentication_error", openai.InternalServerError),
        (529, "overloaded_error", openai.InternalServerError),
        (413, "request_too_large", openai.APIStatusError),
    ],
)
async def test_the_official_client_raises_its_own_error(
    upstream: int, kind: str, raised: type[openai.APIStatusError]
) -> None:
    error = upstream_error(upstream, {}, said(kind))
    async with openai_sdk(wire.dumps(openai_error(error)), status=error.status) as client:
        with pytest.raises(raised) as caught:
            await client.chat.completions.create(model="gpt-5", messages=[])
    assert (caught.value.code, caught.value.status_code) == (error.code, error.status)
