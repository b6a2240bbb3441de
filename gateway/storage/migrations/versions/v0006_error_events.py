"""What went wrong, kept for a while."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_LABELS = ("source", "kind", "code", "project", "key_id", "request_id", "endpoint", "model")


def upgrade() -> None:
    """Makes the table."""
    empty = sa.text("''")
    op.create_table(
        "error_events",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.Column(name, sa.Text, nullable=False, server_default=empty)
            for name in (*_LABELS, "upstream")
        ),
        sa.Column("status", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("attempt", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("is_final", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("retry_after_seconds", sa.Double),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    for name in ("at", "request_id", "expires_at"):
        op.create_index(f"error_events_{name}_idx", "error_events", [name])


def downgrade() -> None:
    """Removes the table."""
    op.drop_table("error_events")
