"""The tables as the statements of this package see them; `migrations` makes them."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "ix": "%(table_name)s_%(column_0_name)s_idx",
    }
)

_NOW = text("now()")
_ZERO = text("0")
_EMPTY = text("''")
_FALSE = text("false")


def _moment(name: str, *, nullable: bool = False) -> Column[object]:
    default = None if nullable else _NOW
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=default)


# Of a project or a key; NULL leaves the settings' value, or none.
def _limits() -> list[Column[object]]:
    whole = ("requests_per_minute", "tokens_per_minute", "concurrent_requests")
    return [
        *(Column(name, Integer) for name in whole),
        *(Column(name, Numeric) for name in ("budget_day_usd", "budget_month_usd")),
    ]


projects = Table(
    "projects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, server_default=_EMPTY),
    *_limits(),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _moment("created_at"),
    _moment("archived_at", nullable=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("key_hash", Text, nullable=False, unique=True),
    Column("prefix", Text, nullable=False, server_default=_EMPTY),
    Column("name", Text, nullable=False, server_default=_EMPTY),
    Column("scopes", ARRAY(Text), nullable=False, server_default=text("'{chat}'::text[]")),
    *_limits(),
    _moment("created_at"),
    _moment("expires_at", nullable=True),
    _moment("revoked_at", nullable=True),
    Index(None, "project_id"),
)


def _count(name: str) -> Column[object]:
    return Column(name, BigInteger, nullable=False, server_default=_ZERO)


def _label(name: str) -> Column[object]:
    return Column(name, Text, nullable=False, server_default=_EMPTY)


# Partitioned by day, so that retention drops a table instead of deleting rows. PostgreSQL wants
# the partition key in every unique key: the day is frozen when a request is admitted.
usage_events = Table(
    "usage_events",
    metadata,
    Column("day", Date, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("started_at", DateTime(timezone=True), nullable=False),
    _label("project"),
    _label("key_id"),
    _label("request_id"),
    _label("endpoint"),
    _label("client"),
    Column("session_id", Text),
    Column("agent_id", Text),
    _label("asked_model"),
    _label("model"),
    _label("upstream"),
    Column("stream", Boolean, nullable=False, server_default=_FALSE),
    _label("status"),
    Column("http_status", Integer, nullable=False, server_default=_ZERO),
    Column("error_code", Text),
    Column("stop_reason", Text),
    _label("route_reason"),
    _label("task_class"),
    _label("conversation"),
    Column("failed_results", Integer, nullable=False, server_default=_ZERO),
    Column("repeats", Boolean, nullable=False, server_default=_FALSE),
    Column("route_detail", JSONB),
    _count("input_tokens"),
    _count("output_tokens"),
    _count("cache_read_tokens"),
    _count("cache_write_5m_tokens"),
    _count("cache_write_1h_tokens"),
    _count("thinking_tokens"),
    _count("web_search_requests"),
    Column("service_tier", Text),
    Column("speed", Text),
    Column("inference_geo", Text),
    Column("estimated", Boolean, nullable=False, server_default=_FALSE),
    Column("cost_usd", Numeric),
    Column("price_date", Text),
    Column("latency_ms", Double, nullable=False, server_default=_ZERO),
    Column("first_token_ms", Double),
    Column("batch_id", Text),
    Column("reduction", JSONB),
    Column("baseline_input_usd", Numeric),
    Column("billed_input_usd", Numeric),
    Column("reduced", Boolean, nullable=False, server_default=_FALSE),
    Column("held_out", Boolean, nullable=False, server_default=_FALSE),
    _moment("stored_at"),
    Column("rolled_up", Boolean, nullable=False, server_default=_FALSE),
    Column("outcome_counted", Boolean, nullable=False, server_default=_FALSE),
    Index("usage_events_started_at_idx", "started_at"),
    # Holds only what the roll-up has not seen: small at any size of the table.
    Index("usage_events_pending_idx", "day", "event_id", postgresql_where=text("not rolled_up")),
    # The same for the outcomes of routing.
    Index(
        "usage_events_uncounted_idx",
        "day",
        "event_id",
        postgresql_where=text("not outcome_counted and task_class <> ''"),
    ),
    Index(
        "usage_events_conversation_idx",
        "conversation",
        postgresql_where=text("conversation <> ''"),
    ),
    Index("usage_events_request_idx", "request_id", postgresql_where=text("task_class <> ''")),
    postgresql_partition_by="RANGE (day)",
)

EVENT_COLUMNS: tuple[str, ...] = tuple(
    column.name
    for column in usage_events.columns
    if column.name not in {"stored_at", "rolled_up", "outcome_counted"}
)
"""The columns an event fills, in order."""

DIMENSIONS = ("project", "key_id", "model", "endpoint", "client", "upstream")
"""What roll-ups keep apart, besides time."""

TOKEN_SUMS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "thinking_tokens",
    "web_search_requests",
)
"""Sums that a roll-up row and an event have under the same name."""

PROMPT_SUMS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
)
"""Those of them that make the prompt."""

COUNTS = (
    "requests",
    "errors",
    "aborted",
    "estimated_requests",
    "unpriced_requests",
    "first_token_requests",
    "measured_requests",
    "reduced_requests",
    "held_out_requests",
    "measured_prompt_tokens",
    "held_out_prompt_tokens",
)
"""Counts in a roll-up row; `unpriced_requests` used something of unknown price.

`measured_requests` are those whose input dollars are known, with the gateway and without, and
`reduced_requests` those of them that were changed; what is `held_out` is measured as well.
"""

DOLLARS = ("cost_usd", "baseline_input_usd", "billed_input_usd", "held_out_input_usd")
"""Sums of money, each without what has no price; the last one is of what is billed."""

AMOUNTS = (*DOLLARS, "latency_ms", "first_token_ms")
"""Sums that are no whole numbers."""

MEASURES = (*COUNTS, *TOKEN_SUMS, *AMOUNTS)
"""Every summed column of a roll-up row."""


def _rollup(name: str, period: Column[object]) -> Table:
    return Table(
        name,
        metadata,
        period,
        *(Column(dimension, Text, primary_key=True) for dimension in DIMENSIONS),
        *(_count(measure) for measure in (*COUNTS, *TOKEN_SUMS)),
        *(Column(sum_, Numeric, nullable=False, server_default=_ZERO) for sum_ in DOLLARS),
        Column("latency_ms", Double, nullable=False, server_default=_ZERO),
        Column("first_token_ms", Double, nullable=False, server_default=_ZERO),
    )


usage_hourly = _rollup("usage_hourly", Column("hour", DateTime(timezone=True), primary_key=True))
usage_daily = _rollup("usage_daily", Column("day", Date, primary_key=True))

SAVINGS_DIMENSIONS = ("day", "project", "client", "protocol", "technique")
"""What `savings_daily` keeps apart. `protocol` is "messages", "responses" or "chat"."""

SAVINGS_MEASURES = ("requests", "removed_tokens", "saved_usd")
"""Every summed column of `savings_daily`."""

savings_daily = Table(
    "savings_daily",
    metadata,
    Column("day", Date, primary_key=True),
    *(Column(dimension, Text, primary_key=True) for dimension in SAVINGS_DIMENSIONS[1:]),
    _count("requests"),
    _count("removed_tokens"),
    Column("saved_usd", Numeric, nullable=False, server_default=_ZERO),
)

usage_rollup_state = Table(
    "usage_rollup_state",
    metadata,
    Column("name", Text, primary_key=True),
    _moment("watermark", nullable=True),
    _count("events"),
    _moment("updated_at"),
)

# Successes and failures are worth half after a while; they stand as of `as_of`.
routing_outcomes = Table(
    "routing_outcomes",
    metadata,
    Column("project", Text, primary_key=True),
    Column("task_class", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("successes", Double, nullable=False, server_default=_ZERO),
    Column("failures", Double, nullable=False, server_default=_ZERO),
    _count("events"),
    Column("as_of", DateTime(timezone=True), nullable=False),
)

journal_offsets = Table(
    "journal_offsets",
    metadata,
    Column("file", Text, primary_key=True),
    _count("position"),
    _moment("updated_at"),
)

error_events = Table(
    "error_events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    *(
        _label(name)
        for name in ("source", "kind", "code", "project", "key_id", "request_id", "endpoint")
    ),
    _label("model"),
    _label("upstream"),
    Column("status", Integer, nullable=False, server_default=_ZERO),
    Column("attempt", Integer, nullable=False, server_default=_ZERO),
    Column("is_final", Boolean, nullable=False, server_default=_FALSE),
    Column("retry_after_seconds", Double),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index(None, "at"),
    Index(None, "request_id"),
    Index(None, "expires_at"),
)

turns = Table(
    "turns",
    metadata,
    Column("project", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("sealed", Text, nullable=False),
    _moment("created_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index(None, "expires_at"),
)

responses = Table(
    "responses",
    metadata,
    Column("project", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("previous_id", Text),
    _label("status"),
    Column("sealed", Text, nullable=False),
    _moment("created_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index(None, "expires_at"),
)
