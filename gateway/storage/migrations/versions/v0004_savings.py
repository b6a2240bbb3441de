"""What each request's input would have cost, and what each technique saved a day."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"

_COUNTS = (
    "measured_requests",
    "reduced_requests",
    "held_out_requests",
    "measured_prompt_tokens",
    "held_out_prompt_tokens",
)
_DOLLARS = ("baseline_input_usd", "billed_input_usd", "held_out_input_usd")


def upgrade() -> None:
    """Adds the columns, none of which rewrites a row, and makes the table."""
    op.add_column("usage_events", sa.Column("reduction", JSONB))
    for name in ("baseline_input_usd", "billed_input_usd"):
        op.add_column("usage_events", sa.Column(name, sa.Numeric))
    for name in ("reduced", "held_out"):
        op.add_column("usage_events", _flag(name))
    for table in ("usage_hourly", "usage_daily"):
        for name in _COUNTS:
            op.add_column(table, _count(name))
        for name in _DOLLARS:
            op.add_column(table, _dollars(name))
    op.create_table(
        "savings_daily",
        sa.Column("day", sa.Date, nullable=False),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("project", "client", "protocol", "technique")
        ),
        _count("requests"),
        _count("removed_tokens"),
        _dollars("saved_usd"),
        sa.PrimaryKeyConstraint(
            *("day", "project", "client", "protocol", "technique"), name="savings_daily_pkey"
        ),
    )


def downgrade() -> None:
    """Drops the table and the columns with everything in them."""
    op.drop_table("savings_daily")
    for table in ("usage_hourly", "usage_daily"):
        for name in (*_COUNTS, *_DOLLARS):
            op.drop_column(table, name)
    for name in ("reduction", "baseline_input_usd", "billed_input_usd", "reduced", "held_out"):
        op.drop_column("usage_events", name)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"))


def _dollars(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Numeric, nullable=False, server_default=sa.text("0"))


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.text("false"))
