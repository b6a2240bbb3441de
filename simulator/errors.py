"""Errors in the API's own shape.

Body: `{"type":"error","error":{"type","message","details"?},"request_id"}`; header `request-id`.
Every status the API documents has its `error.type` here.
"""

from dataclasses import dataclass, field

from simulator.wire import Json

ERROR_TYPES: dict[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
ERROR_MESSAGES: dict[str, str] = {
    "invalid_request_error": "Invalid request",
    "authentication_error": "invalid x-api-key",
    "billing_error": "Your credit balance is too low to access the Anthropic API. "
    "Please go to Plans & Billing to upgrade or purchase credits.",
    "permission_error": "Your API key does not have permission to use the specified resource.",
    "not_found_error": "Not Found",
    "conflict_error": "The request conflicts with the current state of the resource.",
    "request_too_large": "Request exceeds the maximum size",
    "rate_limit_error": "This request would exceed your organization's rate limit.",
    "api_error": "Internal server error",
    "timeout_error": "The request timed out",
    "overloaded_error": "Overloaded",
}


@dataclass(slots=True)
class ApiError(Exception):
    """An answer that is an error.

    `details` goes to `error.details`, usually `{"error_code": ...}`. `headers` are added to the
    response; `retry_after` is in seconds.
    """

    status: int
    message: str
    kind: str = ""
    details: Json | None = None
    retry_after: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fills in the error type that belongs to the status."""
        Exception.__init__(self, self.message)
        self.kind = self.kind or ERROR_TYPES.get(self.status, "api_error")

    def error(self) -> Json:
        """The `error` object."""
        error: Json = {"type": self.kind, "message": self.message}
        if self.details is not None:
            error["details"] = self.details
        return error

    def body(self, request_id: str) -> Json:
        """The whole response body."""
        return {"type": "error", "error": self.error(), "request_id": request_id}


def invalid(path: str, message: str) -> ApiError:
    """A 400 whose message begins with the path of the field at fault."""
    return ApiError(400, f"{path}: {message}" if path else message)


def status_of(kind: str) -> int:
    """The HTTP status that goes with an error type; 500 for an unknown one."""
    for status, known in ERROR_TYPES.items():
        if known == kind:
            return status
    return 500
