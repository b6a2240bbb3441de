"""Parts of batches: where they are upstream, and when that was asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Adds the columns."""
    empty, zero = sa.text("''"), sa.text("0")
    columns: tuple[sa.Column[object], ...] = (
        sa.Column("upstream", sa.Text, nullable=False, server_default=empty),
        sa.Column("requests", sa.Integer, nullable=False, server_default=zero),
        sa.Column("called_at", sa.DateTime(timezone=True)),
    )
    for column in columns:
        op.add_column("batch_parts", column)


def downgrade() -> None:
    """Removes the columns."""
    for name in ("called_at", "requests", "upstream"):
        op.drop_column("batch_parts", name)
