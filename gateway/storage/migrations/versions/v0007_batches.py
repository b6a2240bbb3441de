"""Files and batches."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"

_ZERO = sa.text("0")


def upgrade() -> None:
    """Makes the tables."""
    _make_files()
    _make_batches()
    _make_items()
    op.create_table(
        "batch_parts",
        _batch_id(),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("last", sa.Integer, nullable=False),
        sa.Column("upstream_id", sa.Text),
        _text("tag"),
        _text("state"),
        _moment("created_at", default=True),
        _moment("ended_at"),
        sa.Column("results_read", sa.BigInteger, nullable=False, server_default=_ZERO),
    )


def downgrade() -> None:
    """Removes the tables."""
    for name in ("batch_parts", "batch_items", "batches", "file_chunks", "files"):
        op.drop_table(name)


def _make_files() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("project_id", sa.Text, nullable=False),
        _text("purpose"),
        _text("filename"),
        sa.Column("bytes", sa.BigInteger, nullable=False, server_default=_ZERO),
        _text("status"),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("body_digest", sa.LargeBinary),
        _moment("created_at", default=True),
        _moment("expires_at"),
        _moment("deleted_at"),
        sa.UniqueConstraint("project_id", "idempotency_key", name="files_idempotency_key"),
    )
    op.create_index("files_page_idx", "files", ["project_id", "created_at", "id"])
    op.create_index("files_expires_at_idx", "files", ["expires_at"])
    op.create_table(
        "file_chunks",
        sa.Column(
            "file_id", sa.Text, sa.ForeignKey("files.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("file_id", "number", name="file_chunks_pkey"),
    )


def _make_batches() -> None:
    moments = ("started", "finalizing", "completed", "failed", "cancelling", "cancelled")
    op.create_table(
        "batches",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("project_id", sa.Text, nullable=False),
        *(_text(name) for name in ("key_id", "form", "endpoint", "mode")),
        sa.Column("chosen_mode", sa.Text),
        _text("mode_reason"),
        sa.Column("parallelism", sa.Integer, nullable=False, server_default=_ZERO),
        _text("status"),
        *(_integer(name) for name in ("total", "succeeded", "failed", "cancelled", "expired")),
        sa.Column("metadata", JSONB),
        *(
            sa.Column(name, sa.Text)
            for name in ("webhook", "input_file_id", "output_file_id", "error_file_id")
        ),
        sa.Column("output_expires_seconds", sa.Integer),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("body_digest", sa.LargeBinary),
        sa.Column("errors", JSONB),
        sa.Column("cost_usd", sa.Numeric, nullable=False, server_default=_ZERO),
        *(
            sa.Column(name, sa.BigInteger, nullable=False, server_default=_ZERO)
            for name in ("input_tokens", "output_tokens")
        ),
        _moment("created_at", default=True),
        *(_moment(f"{name}_at") for name in (*moments, "expires", "expired", "paused")),
        _moment("workflow_started_at"),
        _moment("results_expire_at"),
        sa.UniqueConstraint("project_id", "idempotency_key", name="batches_idempotency_key"),
    )
    op.create_index("batches_page_idx", "batches", ["project_id", "created_at", "id"])
    op.create_index("batches_results_expire_at_idx", "batches", ["results_expire_at"])
    op.create_index(
        "batches_not_started_idx",
        "batches",
        ["created_at"],
        postgresql_where=sa.text("workflow_started_at is null"),
    )


def _make_items() -> None:
    op.create_table(
        "batch_items",
        _batch_id(),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _text("custom_id"),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("prefix", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False, server_default=_ZERO),
        sa.Column("status_code", sa.Integer),
        sa.Column("result", sa.LargeBinary),
        sa.Column("error", JSONB),
        sa.Column("request_id", sa.Text),
        *(
            sa.Column(name, sa.BigInteger, nullable=False, server_default=_ZERO)
            for name in ("input_tokens", "output_tokens", "cache_read_tokens")
        ),
        sa.Column("cost_usd", sa.Numeric),
        sa.Column("upstream_part", sa.Integer),
        _integer("attempts"),
        _moment("finished_at"),
    )
    op.create_index("batch_items_state_idx", "batch_items", ["batch_id", "state"])


def _batch_id() -> sa.Column[str]:
    key = sa.ForeignKey("batches.id", ondelete="CASCADE")
    return sa.Column("batch_id", sa.Text, key, primary_key=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default=sa.text("''"))


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default=_ZERO)


def _moment(name: str, *, default: bool = False) -> sa.Column[object]:
    now = sa.text("now()") if default else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not default, server_default=now)
