"""The one tree of errors the gateway raises on purpose.

    GatewayError
      InvalidRequestError            400  the client's request cannot be served as it stands
        UnsupportedValueError        400  legal at OpenAI, has no counterpart at Claude
        ContextLengthError           400  the conversation is longer than the model's window
      AuthenticationError            401  no key, or one that is not known
      PermissionDeniedError          403  a known key that may not do this
      NotFoundError                  404  no such path or object
        ModelNotFoundError           404  no such model
      MethodNotAllowedError          405  the path exists, the method does not
      RequestTimeoutError            408  the body did not arrive in time
      ConflictError                  409  an idempotency key that was used for another request
      RequestTooLargeError           413  body over the limit
      RateLimitError                 429  a limit of the gateway itself
      InternalError                  500  a fault of the gateway
      NotConfiguredError             501  a part that this gateway was set up without
      UnavailableError               503  a part the request needs is down
        NoSchemaError                503  nobody has migrated the database
      UpstreamError                  ---  Claude's API refused or failed; status as mapped
        UpstreamUnreachableError     502  connection, TLS or protocol failure
        UpstreamTimeoutError         504  no first byte, or silence in the middle
        UpstreamCutError             502  the stream ended before its last event

Each carries what every protocol needs to print its own error body: `status`, `kind` (Anthropic's
error type), `code` (OpenAI's machine code), `param` (JSON path) and `retry_after_seconds`. The
message is safe to show to the client; `detail` goes to the log only.
"""

from typing import ClassVar


class GatewayError(Exception):
    """An error with everything a client protocol needs to report it."""

    status: int = 500
    kind: ClassVar[str] = "api_error"
    code: str | None = "internal_error"
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_seconds: float | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_seconds = retry_after_seconds
        self.detail = detail
        if code is not None:
            self.code = code


class InvalidRequestError(GatewayError):
    """The request cannot be served as it stands; `param` names the JSON path."""

    status = 400
    kind = "invalid_request_error"
    code = "invalid_value"


class UnsupportedValueError(InvalidRequestError):
    """A value that is legal at OpenAI and would lose its meaning here."""

    code = "unsupported_value"


class ContextLengthError(InvalidRequestError):
    """The conversation does not fit the model's context window."""

    code = "context_length_exceeded"


class AuthenticationError(GatewayError):
    """No key, or a key nobody knows."""

    status = 401
    kind = "authentication_error"
    code = "invalid_api_key"


class PermissionDeniedError(GatewayError):
    """A known caller that may not do this."""

    status = 403
    kind = "permission_error"
    code = "permission_denied"


class NotFoundError(GatewayError):
    """No such path or object."""

    status = 404
    kind = "not_found_error"
    code = "not_found"


class ModelNotFoundError(NotFoundError):
    """No model of that name; the message suggests the nearest ones."""

    code = "model_not_found"


class MethodNotAllowedError(GatewayError):
    """The path exists, the method does not."""

    status = 405
    kind = "invalid_request_error"
    code = "method_not_allowed"


class RequestTimeoutError(GatewayError):
    """The client began a request and did not finish it."""

    status = 408
    kind = "timeout_error"
    code = "request_timeout"


class ConflictError(GatewayError):
    """An idempotency key that was used before, for another request."""

    status = 409
    kind = "invalid_request_error"
    code = "idempotency_conflict"


class RequestTooLargeError(GatewayError):
    """The body is larger than the gateway or Claude accepts."""

    status = 413
    kind = "request_too_large"
    code = "request_too_large"


class RateLimitError(GatewayError):
    """A limit of the gateway itself; `retry_after_seconds` is exact."""

    status = 429
    kind = "rate_limit_error"
    code = "rate_limit_exceeded"


class InternalError(GatewayError):
    """A fault of the gateway; the log has the detail under the request id."""


class NotConfiguredError(GatewayError):
    """The request needs a part that this gateway was set up without."""

    status = 501
    code = "not_configured"


class UnavailableError(GatewayError):
    """A part this request needs is down."""

    status = 503
    code = "service_unavailable"
    retryable = True


class NoSchemaError(UnavailableError):
    """The database answers and lacks tables or columns that this version needs."""


class UpstreamError(GatewayError):
    """Claude's API refused or failed.

    `status` and `code` are what an OpenAI client sees; `upstream_status`, `upstream_kind` and
    `upstream_body` are what Claude's API said, forwarded as they are to Anthropic clients with
    `upstream_headers`, names in lower case.
    `retryable` tells whether another attempt of the gateway can help.
    """

    status = 502
    code = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        status: int = 502,
        code: str | None = None,
        retry_after_seconds: float | None = None,
        retryable: bool = False,
        detail: str = "",
    ) -> None:
        super().__init__(
            message,
            code=code,
            retry_after_seconds=retry_after_seconds,
            detail=detail,
        )
        self.status = status
        self.retryable = retryable
        self.upstream_status: int | None = None
        self.upstream_kind = "api_error"
        self.upstream_body = b""
        self.upstream_headers: dict[str, str] = {}


class UpstreamUnreachableError(UpstreamError):
    """Connection, TLS or HTTP framing failed before an answer."""

    code = "upstream_unreachable"


class UpstreamTimeoutError(UpstreamError):
    """No first byte within the limit, or silence in the middle of a stream."""

    code = "timeout"


class UpstreamCutError(UpstreamError):
    """The stream ended before its last event; nothing that was cut may look complete."""

    code = "upstream_cut"
