"""Every metric the gateway exports: one declaration each."""

from typing import Literal

from gateway.structs import Struct

# From a cached short answer to the longest thinking run.
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Series(Struct, frozen=True, eq=False):
    """One metric: its name, kind, help text and label names.

    `buckets` are upper bounds of a histogram. `merge` is how gauges of several processes become
    one value. Compared by identity, so that it is a cheap dictionary key.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()
    merge: Literal["sum", "max"] = "sum"


REQUESTS = Series(
    "gateway_requests_total",
    "counter",
    "Requests that were answered, by HTTP status.",
    ("model", "project", "status", "endpoint"),
)
REQUEST_LATENCY = Series(
    "gateway_request_latency_seconds",
    "histogram",
    "Time from the request's first byte to the answer's last.",
    ("model", "project", "endpoint"),
    buckets=_SECONDS,
)
TOKENS = Series(
    "gateway_tokens_total",
    "counter",
    "Tokens billed, by type: input, output, cache_read, cache_write.",
    ("model", "project", "type"),
)
COST = Series(
    "gateway_cost_usd_total",
    "counter",
    "Cost of the tokens in US dollars.",
    ("model", "project"),
)
ACTIVE_REQUESTS = Series(
    "gateway_active_requests", "gauge", "Requests being served now.", ("model",)
)
CIRCUIT_STATE = Series(
    "gateway_circuit_state",
    "gauge",
    "State of the circuit breaker: 0 closed, 1 half-open, 2 open; the worst of all processes.",
    ("upstream",),
    merge="max",
)
CACHE_HITS = Series(
    "gateway_cache_hits_total", "counter", "Answers and lookups from a cache.", ("cache_type",)
)
RATE_LIMIT_HITS = Series(
    "gateway_rate_limit_hits_total",
    "counter",
    "Requests refused because of the project's rate limit.",
    ("project",),
)
STREAM_DURATION = Series(
    "gateway_stream_duration_seconds",
    "histogram",
    "Time from a streamed answer's first byte to its last.",
    ("model", "project"),
    buckets=_SECONDS,
)
UPSTREAM_ERRORS = Series(
    "gateway_upstream_errors_total",
    "counter",
    "Failed attempts at the upstream, also those a retry made good.",
    ("model", "error_type", "status_code"),
)
IGNORED_FIELDS = Series(
    "gateway_ignored_fields_total",
    "counter",
    "Request fields dropped because Claude has no counterpart.",
    ("field",),
)
UNKNOWN_PRICE = Series(
    "gateway_unknown_price_total",
    "counter",
    "Requests whose cost is unknown because the model has no price.",
    ("model",),
)
INPUT_BASELINE = Series(
    "gateway_input_baseline_usd_total",
    "counter",
    "Estimate of what the input of chats and Responses would have cost without the gateway.",
    ("project",),
)
INPUT_BILLED = Series(
    "gateway_input_billed_usd_total",
    "counter",
    "What the input of the same requests cost, by the API's usage.",
    ("project",),
)
REDUCED_TOKENS = Series(
    "gateway_reduced_tokens_total",
    "counter",
    "Estimate of the tokens that a technique left out of prompts.",
    ("technique", "project"),
)
ADDED_TOKENS = Series(
    "gateway_added_tokens_total",
    "counter",
    "Estimate of the tokens that a technique added to prompts, in requests where it added some.",
    ("technique", "project"),
)
CACHE_TOKENS = Series(
    "gateway_cache_tokens_total",
    "counter",
    "Prompt tokens by what the cache did: read, write_5m, write_1h, uncached.",
    ("kind",),
)
ERROR_EVENTS_DROPPED = Series(
    "gateway_error_events_dropped_total",
    "counter",
    "Error events that were not kept, by place (postgres, file, endpoint) or because of a flood.",
    ("kind",),
)
TASKS = Series("gateway_tasks", "gauge", "Tasks of the event loops of all API processes.", ())
DEGRADED = Series(
    "gateway_degraded",
    "gauge",
    "1 while a process works without this part: valkey, postgres, journal.",
    ("part",),
    merge="max",
)

SERIES: tuple[Series, ...] = (
    REQUESTS,
    REQUEST_LATENCY,
    TOKENS,
    COST,
    ACTIVE_REQUESTS,
    CIRCUIT_STATE,
    CACHE_HITS,
    RATE_LIMIT_HITS,
    STREAM_DURATION,
    UPSTREAM_ERRORS,
    IGNORED_FIELDS,
    UNKNOWN_PRICE,
    INPUT_BASELINE,
    INPUT_BILLED,
    REDUCED_TOKENS,
    ADDED_TOKENS,
    CACHE_TOKENS,
    ERROR_EVENTS_DROPPED,
    TASKS,
    DEGRADED,
)
"""Every series, in the order of the exposition."""

TOKEN_TYPES = ("input", "output", "cache_read", "cache_write")
"""Values of the label `type` of gateway_tokens_total, in the order of a token tuple."""

MAX_LABEL_VALUES = {
    "model": 100,
    "project": 1000,
    "endpoint": 40,
    "status": 60,
    "status_code": 60,
    "error_type": 60,
    "field": 200,
    "upstream": 60,
    "type": 10,
    "cache_type": 20,
    "part": 20,
    "technique": 20,
    "kind": 10,
}
"""How many values of a label a process tells apart; any further one is counted as "other"."""
