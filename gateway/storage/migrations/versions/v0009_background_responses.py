"""Responses in the background, and the events of their streams."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Makes the tables."""
    zero, empty = sa.text("0"), sa.text("''")
    op.create_table(
        "background_responses",
        sa.Column("id", sa.Text, primary_key=True),
        *(
            sa.Column(name, sa.Text, nullable=False, server_default=empty)
            for name in ("project_id", "key_id", "endpoint", "status")
        ),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("failure", JSONB),
        sa.Column("usage", JSONB),
        sa.Column("attempt", sa.Integer, nullable=False, server_default=zero),
        *(
            sa.Column(name, sa.BigInteger, nullable=False, server_default=zero)
            for name in ("first_event", "next_event")
        ),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("body_digest", sa.LargeBinary),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
        *(
            sa.Column(f"{name}_at", sa.DateTime(timezone=True))
            for name in ("started", "ended", "expires", "kept_until", "workflow_started")
        ),
        sa.UniqueConstraint("project_id", "idempotency_key", name="background_idempotency_key"),
    )
    table = "background_responses"
    op.create_index("background_responses_kept_until_at_idx", table, ["kept_until_at"])
    op.create_index(
        "background_not_started_idx",
        table,
        ["created_at"],
        postgresql_where=sa.text("workflow_started_at is null"),
    )
    op.create_table(
        "background_events",
        sa.Column(
            "response_id",
            sa.Text,
            sa.ForeignKey("background_responses.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Removes the tables."""
    op.drop_table("background_events")
    op.drop_table("background_responses")
