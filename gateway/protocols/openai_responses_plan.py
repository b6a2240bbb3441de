"""What the answer to a Responses request must know, and the Response object around its output.

Source: SDK types `Response`, `ResponseUsage`.
"""

from collections.abc import Callable

from gateway.errors import GatewayError
from gateway.protocols.shared.draft import ReplyPlan
from gateway.protocols.shared.reply_parts import service_tier
from gateway.protocols.shared.sealed_thinking import NO_THINKING, ThinkingSeal
from gateway.protocols.shared.stops import is_cut
from gateway.protocols.shared.usage import UsageMeter
from gateway.structs import Struct, field
from gateway.wire import JSONObject

_ITEM_PREFIXES = ("rs", "msg", "fc", "ctc", "in")
_SHOWN_CODES = frozenset({"rate_limit_exceeded", "context_length_exceeded", "insufficient_quota"})
"""Codes that clients act upon; Codex compacts or stops by them and retries on `server_error`."""


class ResponsePlan(Struct, frozen=True):
    """What the request says about its Response.

    `echo` are the request's fields that a Response repeats, `echo_json` the same as JSON.
    `encrypted`: reasoning items carry their `encrypted_content`. `namespaces` maps sent tool names
    to (namespace, name). `chain` is the digest of the thinking in the request: whoever changes the
    messages after the translation sets it anew (`thinking_chain`).
    """

    echo: JSONObject
    echo_json: bytes
    encrypted: bool = False
    store: bool = True
    previous_response_id: str | None = None
    namespaces: dict[str, tuple[str, str]] = field(default_factory=dict)
    chain: str = NO_THINKING


class ResponseEnvelope(Struct, frozen=True):
    """The identity of one Response.

    `response_id` begins with "resp_" and is not to be guessed; the ids of the output items are made
    of it. `clock` gives Unix seconds. Without `seal` no reasoning can come back. A `background`
    response was created before its answer began, and may go on from the events of an earlier
    attempt, which `first_event` follows.
    """

    response_id: str
    clock: Callable[[], float]
    seal: ThinkingSeal | None = None
    background: bool = False
    first_event: int = 0
    created_at: int | None = None

    def created(self) -> int:
        """When the Response was created, in Unix seconds; now, unless it was before."""
        return int(self.clock()) if self.created_at is None else self.created_at


class AnswerFrame(Struct, frozen=True):
    """Everything but the model's own words that an answer is made of."""

    reply: ReplyPlan
    plan: ResponsePlan
    envelope: ResponseEnvelope

    def item_id(self, prefix: str, index: int) -> str:
        """The id of output item `index`."""
        return item_id(self.envelope.response_id, prefix, index)


def item_id(response_id: str, prefix: str, index: int) -> str:
    """The id of an item of a Response: of the output, or of its own input with prefix "in"."""
    return f"{prefix}_{response_id.removeprefix('resp_')}_{index}"


def response_of_item(item: str) -> str | None:
    """The id of the Response that an item id belongs to; None for ids of other makers."""
    prefix, _, rest = item.partition("_")
    own, _, index = rest.rpartition("_")
    if prefix not in _ITEM_PREFIXES or not own or not index.isdecimal():
        return None
    return f"resp_{own}"


def opening_fields(frame: AnswerFrame, created: int, status: str) -> JSONObject:
    """The fields before the echo."""
    envelope = frame.envelope
    return head_fields(envelope.response_id, created, status, background=envelope.background)


def head_fields(response_id: str, created: int, status: str, *, background: bool) -> JSONObject:
    """The fields that a Response begins with, whatever becomes of it."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": status,
        "background": background,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
    }


def final_fields(frame: AnswerFrame, created: int, stop_reason: str | None) -> JSONObject:
    """The fields before the echo of an answer that came to its end."""
    incomplete = is_cut(stop_reason)
    fields = opening_fields(frame, created, "incomplete" if incomplete else "completed")
    if incomplete:
        reason = "content_filter" if stop_reason == "refusal" else "max_output_tokens"
        fields["incomplete_details"] = {"reason": reason}
    else:
        fields["completed_at"] = int(frame.envelope.clock())
    return fields


def failed_fields(frame: AnswerFrame, created: int, error: GatewayError) -> JSONObject:
    """The fields before the echo of an answer that failed."""
    fields = opening_fields(frame, created, "failed")
    fields["error"] = shown_error(error)
    return fields


def shown_error(error: GatewayError) -> JSONObject:
    """The `error` of a Response that failed."""
    if error.code in _SHOWN_CODES:
        code = str(error.code)
    else:
        code = "invalid_prompt" if 400 <= error.status < 500 else "server_error"
    return {"code": code, "message": error.message}


def closing_fields(
    frame: AnswerFrame, items: list[JSONObject], meter: UsageMeter | None
) -> JSONObject:
    """The fields behind the echo; without a meter the usage is not known yet."""
    fields: JSONObject = {"output": items, "usage": None if meter is None else usage(meter)}
    tier = None if meter is None else service_tier(meter.service_tier, frame.reply)
    return fields if tier is None else {"service_tier": tier, **fields}


def usage(meter: UsageMeter) -> JSONObject:
    """The `usage` of a Response; SDKs demand both details."""
    return {
        "input_tokens": meter.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": meter.cache_read_tokens,
            "cache_write_tokens": meter.cache_write_tokens,
        },
        "output_tokens": meter.output_tokens,
        "output_tokens_details": {"reasoning_tokens": meter.thinking_tokens},
        "total_tokens": meter.prompt_tokens + meter.output_tokens,
    }
