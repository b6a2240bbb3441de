"""How each request was routed, and what routing has learned from the outcomes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the columns and makes the table."""
    op.add_column("usage_events", sa.Column("stop_reason", sa.Text))
    for name in ("route_reason", "task_class", "conversation"):
        op.add_column(
            "usage_events",
            sa.Column(name, sa.Text, nullable=False, server_default=sa.text("''")),
        )
    op.add_column(
        "usage_events",
        sa.Column("failed_results", sa.Integer, nullable=False, server_default=sa.text("0")),
    )
    op.add_column("usage_events", _flag("repeats"))
    op.add_column("usage_events", sa.Column("route_detail", JSONB))
    op.add_column("usage_events", _flag("outcome_counted"))
    _make_indexes()
    op.create_table(
        "routing_outcomes",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("task_class", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("successes", sa.Double, nullable=False, server_default=sa.text("0")),
        sa.Column("failures", sa.Double, nullable=False, server_default=sa.text("0")),
        sa.Column("events", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", "task_class", "model", name="routing_outcomes_pkey"),
    )


def downgrade() -> None:
    """Drops the table and the columns with everything in them."""
    op.drop_table("routing_outcomes")
    for index in ("uncounted", "conversation", "request"):
        op.drop_index(f"usage_events_{index}_idx", "usage_events")
    for name in (
        "outcome_counted",
        "route_detail",
        "repeats",
        "failed_results",
        "conversation",
        "task_class",
        "route_reason",
        "stop_reason",
    ):
        op.drop_column("usage_events", name)


def _make_indexes() -> None:
    op.create_index(
        "usage_events_uncounted_idx",
        "usage_events",
        ["day", "event_id"],
        postgresql_where=sa.text("not outcome_counted and task_class <> ''"),
    )
    op.create_index(
        "usage_events_conversation_idx",
        "usage_events",
        ["conversation"],
        postgresql_where=sa.text("conversation <> ''"),
    )
    op.create_index(
        "usage_events_request_idx",
        "usage_events",
        ["request_id"],
        postgresql_where=sa.text("task_class <> ''"),
    )


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.text("false"))
