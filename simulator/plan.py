"""What is going to be answered, before limits are applied: blocks, stop reason, faults.

A plan comes from a script (control endpoint), from markers in the prompt, or from the built-in
coding agent. Scripts and markers share one JSON form, read by `plan_from`:

    {"blocks": [{"type": "text", "text": "..."} |
                {"type": "text", "deltas": ["a", "b"]} |
                {"type": "text", "repeat": {"count": 100, "chars": 5}} |
                {"type": "tool_use", "name": "...", "input": {...}, "id"?: "..."} |
                {"type": "thinking", "thinking": "..." } | {"type": "redacted_thinking"} |
                any other block, sent as it is],
     "stop_reason"?, "stop_sequence"?, "stop_details"?, "usage"?: {overrides},
     "error"?: {"type", "status"?, "message"?, "retry_after"?, "error_code"?, "details"?,
                "headers"?, "after_events"?: k},
     "delivery"?: the fields of `Delivery`}

An error with `after_events` comes as an SSE `error` event after k events on a 200 (k = 0: as the
first one); without it, it is the HTTP answer. Without blocks the built-in agent answers.
"""

from dataclasses import dataclass, field, fields

from simulator.errors import ERROR_MESSAGES, ApiError, invalid, status_of
from simulator.wire import Json, JsonValue, new_id

_WORDS = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor "
SILENT_PLACES = ("before_head", "after_head", "after_events")


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an answer is sent, with the faults to play. Times are in seconds.

    delay_seconds: between two events. head_delay_seconds: before the response head.
    silence_place and silence_seconds: no bytes for a while before_head, after_head, or
    after_events, then after `silence_events` events. cut_bytes, cut_events: the connection is
    closed after so many body bytes or events; `reset` sends RST instead of FIN. split_bytes: every
    write carries exactly so many bytes. pings, ping_seconds: so many ping events after
    message_start, so far apart; with `pings_only` nothing follows them. malformed_events: an event
    of broken JSON after so many events. unknown: events of unknown types and comments in between.
    crlf: lines end in CRLF.
    """

    delay_seconds: float | None = None
    head_delay_seconds: float = 0.0
    silence_place: str = ""
    silence_events: int = 0
    silence_seconds: float = 0.0
    cut_bytes: int | None = None
    cut_events: int | None = None
    reset: bool = False
    split_bytes: int | None = None
    pings: int = 0
    ping_seconds: float = 0.0
    pings_only: bool = False
    malformed_events: int | None = None
    unknown: bool = False
    crlf: bool = False


@dataclass(slots=True)
class Block:
    """One planned content block.

    `text` is the text, or the thinking; `hidden` is thinking that was done but is not shown.
    `cut` is set when max_tokens fell inside the block: the JSON text a tool_use got to.
    """

    kind: str
    text: str = ""
    hidden: str = ""
    name: str = ""
    input: Json = field(default_factory=dict)
    id: str = ""
    signature: str = ""
    deltas: tuple[str, ...] | None = None
    raw: Json | None = None
    cut: str | None = None


@dataclass(slots=True)
class Plan:
    """A planned answer.

    `blocks` None leaves them to the built-in agent; `stop_reason` None means what follows from
    the blocks.
    """

    blocks: list[Block] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Json | None = None
    usage: Json = field(default_factory=dict)
    error: ApiError | None = None
    error_after_events: int | None = None
    delivery: Delivery = field(default_factory=Delivery)


def text_block(text: str) -> Block:
    """A planned text block."""
    return Block("text", text=text)


def tool_block(name: str, arguments: Json, tool_use_id: str = "") -> Block:
    """A planned tool call."""
    return Block("tool_use", name=name, input=arguments, id=tool_use_id or new_id("toolu_"))


def thinking_block(thinking: str, hidden: str = "") -> Block:
    """A planned thinking block; it is signed when the answer is composed."""
    return Block("thinking", text=thinking, hidden=hidden or thinking)


def plan_from(script: Json) -> Plan:
    """The plan of a script in JSON; raises a 400 when it is wrong."""
    error, after = _error(script["error"]) if script.get("error") else (None, None)
    blocks = script.get("blocks")
    return Plan(
        blocks=None if blocks is None else [_block(block) for block in blocks],
        stop_reason=script.get("stop_reason"),
        stop_sequence=script.get("stop_sequence"),
        stop_details=script.get("stop_details"),
        usage=script.get("usage") or {},
        error=error,
        error_after_events=after,
        delivery=delivery_from(script.get("delivery") or {}),
    )


def delivery_from(values: Json) -> Delivery:
    """A delivery of its fields; unknown names are a 400."""
    known = {item.name for item in fields(Delivery)}
    for name in values:
        if name not in known:
            raise invalid(f"delivery.{name}", "Extra inputs are not permitted")
    if values.get("silence_place", "") not in ("", *SILENT_PLACES):
        raise invalid("delivery.silence_place", f"Input should be one of {SILENT_PLACES}")
    if values.get("split_bytes", 1) < 1:
        raise invalid("delivery.split_bytes", "Input should be greater than or equal to 1")
    return Delivery(**values)


def _error(value: Json) -> tuple[ApiError, int | None]:
    kind = str(value.get("type") or "api_error")
    code = value.get("error_code")
    details: Json | None = value.get("details")
    if code is not None:
        details = {"error_code": code, **(details or {})}
    retry_after = value.get("retry_after")
    error = ApiError(
        status=int(value.get("status") or status_of(kind)),
        message=str(value.get("message") or ERROR_MESSAGES.get(kind, "Internal server error")),
        kind=kind,
        details=details,
        retry_after=None if retry_after is None else str(retry_after),
        headers={str(k): str(v) for k, v in (value.get("headers") or {}).items()},
    )
    return error, value.get("after_events")


def _block(value: JsonValue) -> Block:
    if not isinstance(value, dict) or "type" not in value:
        raise invalid("blocks", "every block is an object with a `type`")
    kind = value["type"]
    if kind == "text":
        return _text(value)
    if kind == "tool_use":
        deltas = value.get("deltas")
        block = tool_block(str(value["name"]), value.get("input") or {}, value.get("id", ""))
        block.deltas = tuple(deltas) if deltas is not None else None
        return block
    if kind == "thinking":
        thought = str(value.get("thinking", ""))
        block = thinking_block(thought, hidden=thought or "considering the request")
        block.signature = str(value.get("signature") or "")
        return block
    if kind == "redacted_thinking":
        return Block("redacted_thinking", hidden="redacted", signature=value.get("data", ""))
    return Block("raw", raw=value)


def _text(value: Json) -> Block:
    if "repeat" in value:
        count, chars = int(value["repeat"]["count"]), int(value["repeat"].get("chars", 5))
        deltas = repeated_deltas(count, chars)
        return Block("text", text="".join(deltas), deltas=deltas)
    if "deltas" in value:
        deltas = tuple(str(item) for item in value["deltas"])
        return Block("text", text="".join(deltas), deltas=deltas)
    return text_block(str(value.get("text", "")))


def repeated_deltas(count: int, chars: int) -> tuple[str, ...]:
    """`count` deltas of `chars` characters each, cut out of running words."""
    source = _WORDS * (chars // len(_WORDS) + 2)
    return tuple(
        source[offset : offset + chars]
        for offset in ((index * chars) % len(_WORDS) for index in range(count))
    )
