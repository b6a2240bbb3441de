"""Limits of tokens, requests at once and money, of projects and of keys."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TABLES = ("projects", "api_keys")
_WHOLE = ("tokens_per_minute", "concurrent_requests")
_DOLLARS = ("budget_day_usd", "budget_month_usd")


def upgrade() -> None:
    """Adds the columns, empty, with checks against nonsense."""
    for table in _TABLES:
        for name in _WHOLE:
            op.add_column(table, sa.Column(name, sa.Integer))
        for name in _DOLLARS:
            op.add_column(table, sa.Column(name, sa.Numeric))
        for name in ("requests_per_minute", *_WHOLE, *_DOLLARS):
            op.execute(f"update {table} set {name} = null where {name} < 0")  # noqa: S608
            op.create_check_constraint(f"{table}_{name}_check", table, f"{name} >= 0")


def downgrade() -> None:
    """Removes the columns."""
    for table in _TABLES:
        op.drop_constraint(f"{table}_requests_per_minute_check", table)
        for name in (*_WHOLE, *_DOLLARS):
            op.drop_column(table, name)
