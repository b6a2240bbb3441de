"""What the routes of batches share."""

from fastapi import Request

from api.deps import context_of, services_of
from api.request_body import AsgiBody, read_body
from gateway import wire
from gateway.batches.batches import Batches, Sent
from gateway.context import Caller
from gateway.errors import InvalidRequestError, RequestTooLargeError

JSON_LINES = "application/x-ndjson"

_KEY_CHARS = 255


def batches_of(request: Request) -> Batches:
    """The batches of this process."""
    return services_of(request).batches


def idempotency_key(request: Request) -> str | None:
    """The client's key for a create call that may be sent again. Raises InvalidRequestError."""
    key = request.headers.get("idempotency-key")
    if key is not None and len(key) > _KEY_CHARS:
        raise InvalidRequestError("Idempotency-Key is longer than 255 characters")
    return key or None


async def read_sent(request: Request, caller: Caller) -> Sent:
    """A create call with a JSON body."""
    limit = services_of(request).settings.max_body_bytes
    try:
        data = await read_body(AsgiBody(request.receive), context_of(request), limit)
    except RequestTooLargeError as error:
        raise RequestTooLargeError(
            f"{error.message}: larger batches go by file, see input_file_id of /v1/batch",
            param=error.param,
        ) from error
    return Sent(caller, wire.loads_object(data), data, idempotency_key(request))
