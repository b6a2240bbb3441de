"""The usage event and the records of the journal it is made from.

A record is one JSON object on one line, its kind under "record":

    open    RequestOpened: the request was admitted, who, what, when; the day is frozen here
    start   UsageStarted: the upstream's first event came, what the prompt will cost; not of an
            answer that has come whole and whose `close` is next
    close   UsageEvent: all of it, under the names of the columns of `usage_events`
"""

import time
from datetime import UTC, date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Literal, Protocol

from gateway.ids import random_hex
from gateway.structs import Struct, asdict, to_builtins
from gateway.usage.prompt_reduction import (
    NOTHING_KNOWN,
    Ledger,
    PromptReduction,
    reduction_of,
)
from gateway.wire import JSONObject

Status = Literal["ok", "error", "aborted"]


class UsageNumbers(Protocol):
    """What the upstream says a request used; the meter of a stream has these too.

    `input_tokens` are those neither read from nor written to the cache; `output_tokens` include
    thinking.
    """

    @property
    def input_tokens(self) -> int: ...  # noqa: D102 - the field's word
    @property
    def output_tokens(self) -> int: ...  # noqa: D102
    @property
    def cache_read_tokens(self) -> int: ...  # noqa: D102
    @property
    def cache_write_5m_tokens(self) -> int: ...  # noqa: D102
    @property
    def cache_write_1h_tokens(self) -> int: ...  # noqa: D102
    @property
    def thinking_tokens(self) -> int: ...  # noqa: D102
    @property
    def web_search_requests(self) -> int: ...  # noqa: D102
    @property
    def service_tier(self) -> str | None: ...  # noqa: D102
    @property
    def speed(self) -> str | None: ...  # noqa: D102
    @property
    def inference_geo(self) -> str | None: ...  # noqa: D102


class TokenUsage(Struct, frozen=True):
    """Usage numbers of one request; zero where nothing is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    thinking_tokens: int = 0
    web_search_requests: int = 0
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None


NOTHING_USED = TokenUsage()


class RoutingNote(Struct, frozen=True):
    """How a request found its model, for its usage row.

    `conversation` is the conversation's identity in hex digits. `failed_results` counts failed tool
    results in the newest message and `repeats` tells that the request was sent before: both are the
    verdict on the answer before. `route_detail` holds the numbers behind the choice and, under
    "from", the model the verdict is about when it is another one.
    """

    route_reason: str = ""
    task_class: str = ""
    conversation: str = ""
    failed_results: int = 0
    repeats: bool = False
    route_detail: JSONObject | None = None


class RequestOpened(Struct, frozen=True, tag_field="record", tag="open"):
    """An admitted request. `started_at` is UTC and `day` its date; times of day never move it.

    The fields from `route_reason` to `route_detail` are those of its RoutingNote.
    `reduction` is what was done to its prompt, None when nobody looked at it; `reduced` says that
    something was, `held_out` that the conversation goes untouched to prove the saving.
    """

    event_id: str
    day: date
    started_at: datetime
    project: str
    key_id: str
    request_id: str
    endpoint: str
    client: str = ""
    session_id: str | None = None
    agent_id: str | None = None
    route_reason: str = ""
    task_class: str = ""
    conversation: str = ""
    failed_results: int = 0
    repeats: bool = False
    route_detail: JSONObject | None = None
    asked_model: str = ""
    model: str = ""
    upstream: str = ""
    stream: bool = False
    batch_id: str | None = None
    reduction: PromptReduction | None = None
    reduced: bool = False
    held_out: bool = False


class Outcome(Struct):
    """How a request ended. `model` and `upstream` are those that served it.

    `cost_usd` is None when the price is unknown; `estimated` says that the output was counted by
    the gateway because the answer was cut.
    """

    status: Status
    http_status: int
    model: str = ""
    upstream: str = ""
    error_code: str | None = None
    stop_reason: str | None = None
    estimated: bool = False
    cost_usd: Decimal | None = None
    price_date: str | None = None
    latency_ms: float = 0.0
    first_token_ms: float | None = None


class UsageEvent(Struct, frozen=True, tag_field="record", tag="close"):
    """One finished, failed or cut request: a row of `usage_events`, field by field.

    `reduction` holds the techniques of its ledger; the dollars of the input are those of `Ledger`.
    """

    event_id: str
    day: date
    started_at: datetime
    project: str
    key_id: str
    request_id: str
    endpoint: str
    client: str
    session_id: str | None
    agent_id: str | None
    route_reason: str
    task_class: str
    conversation: str
    failed_results: int
    repeats: bool
    route_detail: JSONObject | None
    asked_model: str
    model: str
    upstream: str
    stream: bool
    status: Status
    http_status: int
    error_code: str | None
    stop_reason: str | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    thinking_tokens: int
    web_search_requests: int
    service_tier: str | None
    speed: str | None
    inference_geo: str | None
    estimated: bool
    cost_usd: Decimal | None
    price_date: str | None
    latency_ms: float
    first_token_ms: float | None
    batch_id: str | None
    reduction: JSONObject | None
    baseline_input_usd: float | None
    billed_input_usd: float | None
    reduced: bool
    held_out: bool


class UsageStarted(TokenUsage, frozen=True, kw_only=True, tag_field="record", tag="start"):
    """What a request owes even if nothing more is heard of it."""

    event_id: str
    model: str
    upstream: str
    first_token_ms: float | None


_OPENED = RequestOpened.__struct_fields__
_NUMBERS = TokenUsage.__struct_fields__
_OPENED_VALUES = UsageEvent.__struct_fields__[: UsageEvent.__struct_fields__.index("model")]
_opened_values = attrgetter(*_OPENED_VALUES)
_number_values = attrgetter(*_NUMBERS)


def new_event_id() -> str:
    """A new id: 12 hex digits of milliseconds, so that ids sort by time, and 20 of chance."""
    return f"{time.time_ns() // 1_000_000:012x}{random_hex(20)}"


def now() -> tuple[datetime, date]:
    """The moment a request starts and the day it is billed on, both UTC."""
    started_at = datetime.now(UTC)
    return started_at, started_at.date()


def note_fields(note: RoutingNote | None) -> JSONObject:
    """The fields of an admitted request that say how it was routed; {} without a note."""
    return {} if note is None else asdict(note)


def close_event(
    opened: RequestOpened,
    outcome: Outcome,
    usage: UsageNumbers,
    ledger: Ledger = NOTHING_KNOWN,
) -> UsageEvent:
    """The event of a request that has ended."""
    values: tuple[Any, ...] = (  # in the order of its fields: by name it takes three times as long
        *_opened_values(opened),
        outcome.model or opened.model,
        outcome.upstream or opened.upstream,
        opened.stream,
        outcome.status,
        outcome.http_status,
        outcome.error_code,
        outcome.stop_reason,
        *_number_values(usage),
        outcome.estimated,
        outcome.cost_usd,
        outcome.price_date,
        outcome.latency_ms,
        outcome.first_token_ms,
        opened.batch_id,
        None if ledger.techniques is None else {"techniques": ledger.techniques},
        ledger.baseline_usd,
        ledger.billed_usd,
        opened.reduced,
        opened.held_out,
    )
    return UsageEvent(*values)


def start_record(
    event_id: str, model: str, upstream: str, usage: UsageNumbers, first_token_ms: float | None
) -> UsageStarted:
    """The `start` record of a request."""
    return UsageStarted(
        *_number_values(usage),
        event_id=event_id,
        model=model,
        upstream=upstream,
        first_token_ms=first_token_ms,
    )


def close_record(event: UsageEvent) -> JSONObject:
    """The `close` record of a request as JSON. The cost is written in digits: it is money."""
    record: JSONObject = to_builtins(event)
    return record


def used(usage: UsageNumbers) -> TokenUsage:
    """The numbers of `usage` as they are now."""
    return TokenUsage(*_number_values(usage))


def usage_of(record: JSONObject) -> TokenUsage:
    """The usage numbers in a `start` or `close` record; unknown fields of it are left alone."""
    return TokenUsage(**{name: record[name] for name in _NUMBERS if name in record})


def opened_of(record: JSONObject) -> RequestOpened:
    """The request in an `open` record. Raises KeyError, TypeError or ValueError when it is none."""
    values = {name: record[name] for name in _OPENED if name in record}
    values["day"] = date.fromisoformat(record["day"])
    values["started_at"] = datetime.fromisoformat(record["started_at"])
    if values.get("reduction") is not None:
        values["reduction"] = reduction_of(values["reduction"])
    return RequestOpened(**values)
