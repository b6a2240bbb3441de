"""The worker process: runs workflows and activities until it is told to stop.

    python worker.py [--task-queue maintenance]... [--ready-file PATH]

Needs DATABASE_URL and TEMPORAL_ADDRESS, uses REDIS_URL; waits for Temporal as long as it takes.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

from activities.registry import activities_of, refused_queue
from gateway.config import Settings, SettingsError, load_settings, secret_values
from gateway.durable import EngineAddress, engine_address
from gateway.services.from_settings import check_before_start
from gateway.telemetry.logs import configure_logging
from workflows.client import TemporalEngine
from workflows.connection import connect_in_the_end
from workflows.registry import WORKFLOWS
from workflows.schedules import ensure_schedules
from workflows.workers import polling, worker_of

_log = logging.getLogger("worker")


def main(arguments: list[str] | None = None) -> int:
    """Runs the worker; the exit status is 0 after SIGTERM or SIGINT, 2 for wrong settings."""
    parser = argparse.ArgumentParser(prog="worker.py", description="Runs the durable part.")
    parser.add_argument(
        "--task-queue",
        action="append",
        choices=list(WORKFLOWS),
        help="what to work on, may be repeated; without it everything these settings allow",
    )
    parser.add_argument("--ready-file", type=Path, help="made when the worker polls")
    chosen = parser.parse_args(arguments)
    try:
        settings = load_settings()
        address = engine_address(settings)
        if settings.database_url is None or address is None:
            raise SettingsError("DATABASE_URL and TEMPORAL_ADDRESS: the worker needs both")
        has_key = settings.upstreams is not None or settings.anthropic_api_key is not None
        check_before_start(settings, simulates=not has_key)
        configure_logging(settings.log_level, secret_values(settings))
        asyncio.run(_run(address, settings, _queues(settings, chosen.task_queue), chosen))
    except SettingsError as error:
        sys.stderr.write(f"{error.message}\n")
        return 2
    return 0


def _queues(settings: Settings, asked: list[str] | None) -> list[str]:
    """The queues to poll. Raises SettingsError when one that was asked for cannot be served."""
    served: list[str] = []
    for queue in dict.fromkeys(asked or WORKFLOWS):
        refused = refused_queue(settings, queue)
        if refused is None:
            served.append(queue)
        elif asked:
            raise SettingsError(refused)
        else:
            _log.warning("worker: leaves task queue %s to others (%s)", queue, refused)
    return served


async def _run(
    address: EngineAddress, settings: Settings, queues: list[str], chosen: argparse.Namespace
) -> None:
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    client = await connect_in_the_end(address, ensure_schedules, stop)
    if client is None:
        return
    async with contextlib.AsyncExitStack() as exits:
        activities = await exits.enter_async_context(
            activities_of(settings, TemporalEngine(address), queues)
        )
        # The workers are left together, so that all of them drain at once.
        workers = [worker_of(client, settings, queue, activities[queue]) for queue in queues]
        await exits.enter_async_context(polling(workers))
        if chosen.ready_file is not None:
            chosen.ready_file.touch()
            exits.callback(chosen.ready_file.unlink, missing_ok=True)
        _log.info("worker: polls task queues %s", ", ".join(queues))
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
