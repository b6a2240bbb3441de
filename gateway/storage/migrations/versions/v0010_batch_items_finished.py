"""Items of batches in the order they were finished."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_NAME = "batch_items_finished_idx"


def upgrade() -> None:
    """Makes the index."""
    op.create_index(
        _NAME,
        "batch_items",
        ["batch_id", "finished_at", "number"],
        postgresql_where=sa.text("finished_at is not null"),
    )


def downgrade() -> None:
    """Removes the index."""
    op.drop_index(_NAME, "batch_items")
