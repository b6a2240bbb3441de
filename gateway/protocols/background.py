"""What clients of responses in the background see beside their answer: states and events.

A Response has its own statuses (SDK type `Response.status`). Chat completions have none; until one
has ended it is shown with a `status` and without choices. Events carry their number as the `id` of
server-sent events, which is the `sequence_number` of a Response's.
"""

from gateway import wire
from gateway.errors import GatewayError
from gateway.protocols.openai_responses_events import EventWriter
from gateway.protocols.openai_responses_fields import echoed
from gateway.protocols.openai_responses_plan import head_fields, shown_error
from gateway.protocols.shared.failures import openai_error
from gateway.wire import JSONObject

RESPONSES = "/v1/responses"
CHAT = "/v1/chat/completions"


def queued(endpoint: str, response_id: str, body: JSONObject, created: int) -> JSONObject:
    """What is shown of a request that has just been accepted; `created` in Unix seconds."""
    if endpoint == RESPONSES:
        head = head_fields(response_id, created, "queued", background=True)
        return {**head, **echoed(body), "output": [], "usage": None}
    return {
        "id": response_id,
        "object": "chat.completion",
        "created": created,
        "model": body.get("model"),
        "choices": [],
        "usage": None,
        "status": "queued",
    }


def failed(shown: JSONObject, error: GatewayError) -> JSONObject:
    """`shown` of a request that has failed for good."""
    if shown["object"] == "response":
        return {**shown, "status": "failed", "error": shown_error(error)}
    return {**shown, "status": "failed", **openai_error(error)}


def cancelled(shown: JSONObject) -> JSONObject:
    """`shown` of a request that was cancelled."""
    return {**shown, "status": "cancelled"}


def last_events(shown: JSONObject, error: GatewayError, first: int) -> bytes:
    """The end of a stream that has no answer; numbered from `first`.

    A client of Responses waits for an event with the Response in it.
    """
    if shown["object"] != "response":
        return b"data: " + wire.dumps(openai_error(error)) + b"\n\n"
    writer = EventWriter(first)
    told = b""
    if shown["status"] == "failed":
        told = _told(writer, error)
    return told + writer.write_response("response.failed", wire.dumps(shown))


def told_events(endpoint: str, error: GatewayError, number: int) -> bytes:
    """An event that ends this connection, not the response."""
    if endpoint == RESPONSES:
        return _told(EventWriter(number), error)
    return b"data: " + wire.dumps(openai_error(error)) + b"\n\n"


def numbered(data: bytes, first: int) -> tuple[bytes, int]:
    """The whole events in `data`, each with its number as its id, and how many they are.

    Comments are left out: they keep a connection alive, and a stored stream has none.
    """
    out: list[bytes] = []
    for event in data.split(b"\n\n"):
        if event and not event.startswith(b":"):
            out.append(b"id: %d\n%b\n\n" % (first + len(out), event))
    return b"".join(out), len(out)


def behind(events: bytes, first: int, after: int) -> bytes:
    """`events`, numbered from `first`, without those up to number `after`."""
    if after < first:
        return events
    kept = events.split(b"\n\n")[after + 1 - first :]
    return b"\n\n".join(kept)


def _told(writer: EventWriter, error: GatewayError) -> bytes:
    fields = {"code": error.code, "message": error.message, "param": error.param}
    return writer.write("error", fields)
