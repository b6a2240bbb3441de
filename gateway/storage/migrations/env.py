"""Alembic's entry point: runs the steps on the connection it was handed."""

from alembic import context

from gateway.storage.tables import metadata


def run() -> None:
    """Runs the steps that are due on `config.attributes["connection"]`, in its transaction."""
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
    context.run_migrations()


if __name__ == "env_py":  # the name Alembic loads this file by; an ordinary import does nothing
    run()
