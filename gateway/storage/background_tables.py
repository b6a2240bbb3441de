"""The tables of responses in the background as the statements of this package see them."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from gateway.storage.tables import metadata

_ZERO = text("0")
_EMPTY = text("''")

background_responses = Table(
    "background_responses",
    metadata,
    Column("id", Text, primary_key=True),
    *(
        Column(name, Text, nullable=False, server_default=_EMPTY)
        for name in ("project_id", "key_id", "endpoint", "status")
    ),
    # Both sealed: what was asked, and what a client that looks is shown.
    Column("request", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("failure", JSONB),
    Column("usage", JSONB),
    Column("attempt", Integer, nullable=False, server_default=_ZERO),
    *(
        Column(name, BigInteger, nullable=False, server_default=_ZERO)
        for name in ("first_event", "next_event")
    ),
    Column("idempotency_key", Text),
    Column("body_digest", LargeBinary),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    *(
        Column(f"{name}_at", DateTime(timezone=True))
        for name in ("started", "ended", "expires", "kept_until", "workflow_started")
    ),
    UniqueConstraint("project_id", "idempotency_key", name="background_idempotency_key"),
    Index(None, "kept_until_at"),
    # Holds only what the sweep looks for.
    Index(
        "background_not_started_idx",
        "created_at",
        postgresql_where=text("workflow_started_at is null"),
    ),
)

background_events = Table(
    "background_events",
    metadata,
    Column(
        "response_id",
        Text,
        ForeignKey("background_responses.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
)
