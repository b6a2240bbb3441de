"""The tables of files and batches as the statements of this package see them."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from gateway.storage.tables import metadata

WAITING, RUNNING, SUCCEEDED, FAILED, CANCELLED, EXPIRED = range(6)
"""States of an item."""

_ZERO = text("0")
_EMPTY = text("''")


def _moment(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True))


def _created() -> Column[object]:
    now = text("now()")
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=now)


def _of_batch() -> Column[object]:
    key = ForeignKey("batches.id", ondelete="CASCADE")
    return Column("batch_id", Text, key, primary_key=True)


def _label(name: str) -> Column[object]:
    return Column(name, Text, nullable=False, server_default=_EMPTY)


def _integer(name: str) -> Column[object]:
    return Column(name, Integer, nullable=False, server_default=_ZERO)


def _count(name: str) -> Column[object]:
    return Column(name, BigInteger, nullable=False, server_default=_ZERO)


files = Table(
    "files",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    _label("purpose"),
    _label("filename"),
    _count("bytes"),
    _label("status"),
    Column("idempotency_key", Text),
    Column("body_digest", LargeBinary),
    _created(),
    _moment("expires_at"),
    _moment("deleted_at"),
    UniqueConstraint("project_id", "idempotency_key", name="files_idempotency_key"),
    Index("files_page_idx", "project_id", "created_at", "id"),
    Index(None, "expires_at"),
)

file_chunks = Table(
    "file_chunks",
    metadata,
    Column("file_id", Text, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

# Counts and sums are kept by the statement that writes results, never counted anew.
batches = Table(
    "batches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    *(_label(name) for name in ("key_id", "form", "endpoint", "mode")),
    Column("chosen_mode", Text),
    _label("mode_reason"),
    _integer("parallelism"),
    _label("status"),
    *(_integer(name) for name in ("total", "succeeded", "failed", "cancelled", "expired")),
    Column("metadata", JSONB),
    *(
        Column(name, Text)
        for name in ("webhook", "input_file_id", "output_file_id", "error_file_id")
    ),
    Column("output_expires_seconds", Integer),
    Column("idempotency_key", Text),
    Column("body_digest", LargeBinary),
    Column("errors", JSONB),
    Column("cost_usd", Numeric, nullable=False, server_default=_ZERO),
    _count("input_tokens"),
    _count("output_tokens"),
    _created(),
    *(
        _moment(f"{name}_at")
        for name in ("started", "finalizing", "completed", "failed", "cancelling", "cancelled")
    ),
    *(_moment(f"{name}_at") for name in ("expires", "expired", "paused", "workflow_started")),
    _moment("results_expire_at"),
    UniqueConstraint("project_id", "idempotency_key", name="batches_idempotency_key"),
    Index("batches_page_idx", "project_id", "created_at", "id"),
    Index(None, "results_expire_at"),
    # Holds only what the sweep has to start.
    Index(
        "batches_not_started_idx",
        "created_at",
        postgresql_where=text("workflow_started_at is null"),
    ),
)

batch_items = Table(
    "batch_items",
    metadata,
    _of_batch(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _label("custom_id"),
    Column("body", LargeBinary, nullable=False),
    Column("prefix", LargeBinary, nullable=False),
    Column("state", SmallInteger, nullable=False, server_default=_ZERO),
    Column("status_code", Integer),
    Column("result", LargeBinary),
    Column("error", JSONB),
    Column("request_id", Text),
    *(_count(name) for name in ("input_tokens", "output_tokens", "cache_read_tokens")),
    Column("cost_usd", Numeric),
    Column("upstream_part", Integer),
    _integer("attempts"),
    _moment("finished_at"),
    Index("batch_items_state_idx", "batch_id", "state"),
    Index(
        "batch_items_finished_idx",
        "batch_id",
        "finished_at",
        "number",
        postgresql_where=text("finished_at is not null"),
    ),
)

batch_parts = Table(
    "batch_parts",
    metadata,
    _of_batch(),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
    _label("upstream"),
    Column("upstream_id", Text),
    _label("tag"),
    _label("state"),
    _integer("requests"),
    _moment("called_at"),
    _created(),
    _moment("ended_at"),
    _count("results_read"),
)
