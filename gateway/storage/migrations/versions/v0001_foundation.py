"""Projects and keys, usage events by day, their roll-ups, the journal's offsets."""

import logging

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_log = logging.getLogger(__name__)


def upgrade() -> None:
    """Makes the tables."""
    _make_vector_extension()
    _make_projects()
    _make_usage_events()
    _make_rollup("usage_hourly", sa.Column("hour", sa.DateTime(timezone=True), nullable=False))
    _make_rollup("usage_daily", sa.Column("day", sa.Date, nullable=False))
    op.create_table(
        "usage_rollup_state",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("watermark", sa.DateTime(timezone=True)),
        _count("events"),
        _now("updated_at"),
    )
    op.create_table(
        "journal_offsets",
        sa.Column("file", sa.Text, primary_key=True),
        _count("position"),
        _now("updated_at"),
    )


def downgrade() -> None:
    """Drops the tables with everything in them."""
    for table in (
        "journal_offsets",
        "usage_rollup_state",
        "usage_daily",
        "usage_hourly",
        "usage_events",
        "api_keys",
        "projects",
    ):
        op.drop_table(table)


def _make_vector_extension() -> None:
    """Needs a right that a plain owner may lack; only semantic memory misses it."""
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            connection.execute(sa.text("create extension if not exists vector"))
    except sa.exc.DBAPIError:
        _log.warning(
            "the extension 'vector' could not be made; have an administrator run "
            "'create extension vector' in this database"
        )


def _make_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Text, primary_key=True),
        _label("name"),
        sa.Column("requests_per_minute", sa.Integer),
        sa.Column("settings", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        _now("created_at"),
        sa.Column("archived_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column(
            "project_id",
            sa.Text,
            sa.ForeignKey("projects.id", ondelete="CASCADE", name="api_keys_project_id_fkey"),
            nullable=False,
        ),
        sa.Column("key_hash", sa.Text, nullable=False),
        _label("prefix"),
        _label("name"),
        sa.Column(
            "scopes", sa.ARRAY(sa.Text), nullable=False, server_default=sa.text("'{chat}'::text[]")
        ),
        sa.Column("requests_per_minute", sa.Integer),
        _now("created_at"),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("key_hash", name="api_keys_key_hash_key"),
    )
    op.create_index("api_keys_project_id_idx", "api_keys", ["project_id"])


def _make_usage_events() -> None:
    op.create_table(
        "usage_events",
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        *map(_label, ("project", "key_id", "request_id", "endpoint", "client")),
        sa.Column("session_id", sa.Text),
        sa.Column("agent_id", sa.Text),
        *map(_label, ("asked_model", "model", "upstream")),
        _flag("stream"),
        _label("status"),
        sa.Column("http_status", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("error_code", sa.Text),
        *_tokens(),
        sa.Column("service_tier", sa.Text),
        sa.Column("speed", sa.Text),
        sa.Column("inference_geo", sa.Text),
        _flag("estimated"),
        sa.Column("cost_usd", sa.Numeric),
        sa.Column("price_date", sa.Text),
        _real("latency_ms"),
        sa.Column("first_token_ms", sa.Double),
        sa.Column("batch_id", sa.Text),
        _now("stored_at"),
        _flag("rolled_up"),
        sa.PrimaryKeyConstraint("day", "event_id", name="usage_events_pkey"),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_index("usage_events_started_at_idx", "usage_events", ["started_at"])
    op.create_index(
        "usage_events_pending_idx",
        "usage_events",
        ["day", "event_id"],
        postgresql_where=sa.text("not rolled_up"),
    )


def _make_rollup(table: str, period: sa.Column[object]) -> None:
    dimensions = ("project", "key_id", "model", "endpoint", "client", "upstream")
    op.create_table(
        table,
        period,
        *(sa.Column(name, sa.Text, nullable=False) for name in dimensions),
        _count("requests"),
        _count("errors"),
        _count("aborted"),
        _count("estimated_requests"),
        _count("unpriced_requests"),
        _count("first_token_requests"),
        *_tokens(),
        sa.Column("cost_usd", sa.Numeric, nullable=False, server_default=sa.text("0")),
        _real("latency_ms"),
        _real("first_token_ms"),
        sa.PrimaryKeyConstraint(period.name, *dimensions, name=f"{table}_pkey"),
    )


def _tokens() -> list[sa.Column[int]]:
    return [
        _count("input_tokens"),
        _count("output_tokens"),
        _count("cache_read_tokens"),
        _count("cache_write_5m_tokens"),
        _count("cache_write_1h_tokens"),
        _count("thinking_tokens"),
        _count("web_search_requests"),
    ]


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"))


def _real(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=False, server_default=sa.text("0"))


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.text("false"))


def _label(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default=sa.text("''"))


def _now(name: str) -> sa.Column[object]:
    return sa.Column(
        name, sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")
    )
