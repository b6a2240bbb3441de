"""Alembic's entry point: runs the steps on the connection it was handed."""

from alembic import context

from gateway.storage.batch_tables import batches


def run() -> None:
    """Runs the steps that are due on `config.attributes["connection"]`, in its transaction."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=batches.metadata)
    context.run_migrations()


if __name__ == "env_py":  # the name Alembic loads this file by; an ordinary import does nothing
    run()
