"""Errors in the words of each client protocol, and Claude's errors as the gateway's own.

Anthropic: {"type": "error", "error": {"type", "message", "details"?}, "request_id"?}, whole or as
an `error` event in a stream. OpenAI: {"error": {"message", "type", "param", "code"}}. Not every
body comes from the API itself: its edge answers in HTML or plain text.
"""

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from gateway import wire
from gateway.errors import GatewayError, UpstreamError, UpstreamTimeoutError
from gateway.protocols.shared.safe_text import safe_text
from gateway.structs import Struct
from gateway.wire import JSON, JSONObject


class _Mapped(Struct, frozen=True):
    """What an OpenAI client sees of one upstream status; `message` when upstream's has no use."""

    status: int
    code: str
    kind: str
    retryable: bool
    message: str


_FAILED = "Claude's API failed"
_MAPPED: dict[int, _Mapped] = {
    400: _Mapped(
        400, "invalid_value", "invalid_request_error", False, "Claude's API refused the request"
    ),
    401: _Mapped(
        502,  # the gateway's key is not the client's: a 401 would make clients ask for a new one
        "upstream_auth",
        "authentication_error",
        False,
        "Claude's API did not accept the gateway's credentials",
    ),
    402: _Mapped(
        429, "insufficient_quota", "billing_error", False, "the gateway's account has no credit"
    ),
    403: _Mapped(403, "permission_denied", "permission_error", False, "Claude's API forbids this"),
    404: _Mapped(404, "not_found", "not_found_error", False, "Claude's API knows no such thing"),
    408: _Mapped(504, "timeout", "timeout_error", True, "Claude's API timed out"),
    409: _Mapped(409, "conflict", "conflict_error", True, "Claude's API reports a conflict"),
    413: _Mapped(
        413,
        "request_too_large",
        "request_too_large",
        False,
        "the request is larger than Claude's API accepts",
    ),
    422: _Mapped(
        422, "invalid_value", "invalid_request_error", False, "Claude's API refused the request"
    ),
    429: _Mapped(
        429, "rate_limit_exceeded", "rate_limit_error", True, "Claude's API is limiting requests"
    ),
    500: _Mapped(502, "upstream_error", "api_error", True, _FAILED),
    503: _Mapped(503, "upstream_unavailable", "api_error", True, "Claude's API is unavailable"),
    504: _Mapped(504, "timeout", "timeout_error", True, "Claude's API timed out"),
    529: _Mapped(503, "overloaded", "overloaded_error", True, "Claude's API is overloaded"),
}
_OTHER_REFUSAL = _Mapped(502, "upstream_error", "api_error", False, _FAILED)
_OTHER_FAILURE = _Mapped(502, "upstream_error", "api_error", True, _FAILED)

_SAYS_ITS_STATUS = frozenset({401, 402, 408, 413, 429, 529})
"""4xx statuses that mean the same when they come from the edge, in a body that is not JSON."""

_STATUS_OF_KIND = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}

_TOO_LONG = re.compile(
    r"prompt is too long|input is too long|exceeds?\b.{0,60}\bcontext (?:limit|window|length)",
    re.IGNORECASE | re.DOTALL,
)
_OVERFLOW = re.compile(r"(?<![\d,])(\d[\d,]*+) \+ (\d[\d,]*+) > (\d[\d,]*+)")
_NO_CREDIT = re.compile(
    r"you have reached your specified .{0,80}\busage limits|credit balance is too low",
    re.IGNORECASE | re.DOTALL,
)
_SPEND_LIMITS = frozenset({"enforced_spend_limit_reached", "contract_spend_limit_reached"})


class ContextOverflow(Struct, frozen=True):
    """The sums in `input length and max_tokens exceed context limit: 190000 + 20000 > 200000`."""

    input_tokens: int
    max_tokens: int
    limit: int


def openai_error(error: GatewayError, request_id: str = "") -> JSONObject:
    """The body of an OpenAI error (SDK type `ErrorObject`)."""
    return {
        "error": {
            "message": _with_request_id(error, request_id),
            "type": _openai_type(error),
            "param": error.param,
            "code": error.code,
        }
    }


def anthropic_error(error: GatewayError, request_id: str = "") -> JSONObject:
    """The body of an Anthropic error (SDK type `ErrorResponse`).

    An error of upstream that may be shown as it is has its bytes in `upstream_body`.
    """
    body: JSONObject = {
        "type": "error",
        "error": {"type": _anthropic_kind(error), "message": error.message},
    }
    if request_id:
        body["request_id"] = request_id
    return body


def anthropic_status(error: GatewayError) -> int:
    """The HTTP status for an Anthropic client: upstream's own, but never its 401."""
    if isinstance(error, UpstreamError) and error.upstream_status not in (None, 401):
        return error.upstream_status or error.status
    return error.status


def upstream_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """Claude's HTTP error as ours: status and code as an OpenAI client shall see them."""
    said = _read_error(body)
    mapped = _mapped(status, said is not None)
    lowered = {name.lower(): value for name, value in headers.items()}
    error = _build(mapped, said or {}, _retry_after_seconds(lowered, time.time()))
    error.upstream_status = status
    error.upstream_body = body
    error.upstream_headers = lowered
    if lowered.get("x-should-retry") in ("true", "false") and error.code != "insufficient_quota":
        error.retryable = lowered["x-should-retry"] == "true"
    error.detail = f"HTTP {status} {error.upstream_kind} {lowered.get('request-id', '')}".strip()
    return error


def upstream_event_error(data: JSON) -> UpstreamError:
    """The `error` event of a stream as ours; the status is the one its kind has over HTTP."""
    said = _error_inside(data) or {}
    status = _STATUS_OF_KIND.get(said.get("type", ""), 500)
    error = _build(_MAPPED[status], said, None)
    error.upstream_status = status
    error.upstream_body = wire.dumps(data)
    error.detail = f"error event {error.upstream_kind}"
    return error


UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)
"""What goes wrong with an event that is not what the Messages API sends."""


def unreadable_event(cause: Exception) -> UpstreamError:
    """The error for an event that is not what the Messages API sends."""
    error = UpstreamError(
        "Claude's API sent an event that cannot be read",
        detail=f"{type(cause).__name__}: {cause}",
    )
    error.__cause__ = cause
    return error


def context_overflow(error: GatewayError) -> ContextOverflow | None:
    """The numbers of an overflow caused by `max_tokens`, so that a smaller one can be tried."""
    found = _OVERFLOW.search(error.message)
    if found is None or error.code != "context_length_exceeded":
        return None
    return ContextOverflow(*(int(number.replace(",", "")) for number in found.groups()))


def _openai_type(error: GatewayError) -> str:
    if error.code == "insufficient_quota":
        return "insufficient_quota"
    if error.status == 429:
        return "rate_limit_error"
    return "server_error" if error.status >= 500 else "invalid_request_error"


def _anthropic_kind(error: GatewayError) -> str:
    if isinstance(error, UpstreamTimeoutError):
        return "timeout_error"
    if isinstance(error, UpstreamError):
        return "api_error" if error.upstream_status == 401 else error.upstream_kind
    return error.kind


def _with_request_id(error: GatewayError, request_id: str) -> str:
    """Faults of the gateway itself name the request, whose log lines tell the rest."""
    if request_id and error.status == 500:
        return f"{error.message} (request id {request_id})"
    return error.message


def _mapped(status: int, is_api_error: bool) -> _Mapped:
    if is_api_error or status >= 500 or status in _SAYS_ITS_STATUS:
        fallback = _OTHER_FAILURE if status >= 500 else _OTHER_REFUSAL
        return _MAPPED.get(status, fallback)
    return _OTHER_REFUSAL


def _build(mapped: _Mapped, said: JSONObject, retry_after_seconds: float | None) -> UpstreamError:
    """The error of a row of the table, refined by what upstream said."""
    text = said.get("message")
    message = safe_text(text) if isinstance(text, str) and text else mapped.message
    if mapped.code == "upstream_auth":
        message = mapped.message
    status, code, retryable = _refined(mapped, said, message)
    error = UpstreamError(message, status=status, retry_after_seconds=retry_after_seconds)
    error.code = code
    error.retryable = retryable
    kind = said.get("type")
    error.upstream_kind = kind if isinstance(kind, str) and kind else mapped.kind
    return error


def _refined(mapped: _Mapped, said: JSONObject, message: str) -> tuple[int, str, bool]:
    """Status, code and retryability where the kind alone does not tell."""
    details = said.get("details")
    typed = details.get("error_code") if isinstance(details, dict) else None
    if mapped.status in (400, 413) and _TOO_LONG.search(message):
        return 400, "context_length_exceeded", False
    if typed in _SPEND_LIMITS or (mapped.status in (400, 429) and _NO_CREDIT.search(message)):
        return 429, "insufficient_quota", False
    if mapped.code == "not_found" and "model" in message.lower():
        return 404, "model_not_found", False
    if mapped.code == "invalid_value" and isinstance(typed, str) and typed:
        return mapped.status, typed, mapped.retryable
    return mapped.status, mapped.code, mapped.retryable


def _read_error(body: bytes) -> JSONObject | None:
    try:
        return _error_inside(wire.loads(body))
    except wire.JSONDecodeError:
        return None


def _error_inside(data: JSON) -> JSONObject | None:
    """The `error` object of an Anthropic error body; None when there is none."""
    error = data.get("error") if isinstance(data, dict) else None
    if isinstance(error, dict) and isinstance(error.get("type"), str):
        return error
    return None


def _retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """The wait that upstream asks for, from `retry-after-ms` or `retry-after`."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or not value:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None
