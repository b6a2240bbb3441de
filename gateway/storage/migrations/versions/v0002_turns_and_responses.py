"""Stored turns and stored responses, each with an end."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "turns",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        *_times(),
        sa.PrimaryKeyConstraint("project", "key", name="turns_pkey"),
    )
    op.create_table(
        "responses",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("previous_id", sa.Text),
        sa.Column("status", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("sealed", sa.Text, nullable=False),
        *_times(),
        sa.PrimaryKeyConstraint("project", "id", name="responses_pkey"),
    )
    for table in ("turns", "responses"):
        op.create_index(f"{table}_expires_at_idx", table, ["expires_at"])
        # Sealed text does not compress; trying costs time at each write.
        op.execute(f"alter table {table} alter column sealed set storage external")


def downgrade() -> None:
    """Drops the tables with everything in them."""
    op.drop_table("responses")
    op.drop_table("turns")


def _times() -> list[sa.Column[object]]:
    moment = sa.DateTime(timezone=True)
    return [
        sa.Column("created_at", moment, nullable=False, server_default=sa.text("now()")),
        sa.Column("expires_at", moment, nullable=False),
    ]
