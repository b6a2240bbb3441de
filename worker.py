"""The worker process: runs workflows and activities until it is told to stop.

    python worker.py [--task-queue maintenance] [--ready-file PATH]

Needs DATABASE_URL and TEMPORAL_ADDRESS, uses REDIS_URL; waits for Temporal as long as it takes.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.registry import maintenance_activities
from gateway.config import Settings, SettingsError, load_settings, secret_values
from gateway.durable import MAINTENANCE_QUEUE, EngineAddress, engine_address
from gateway.telemetry.logs import configure_logging
from workflows.connection import connect
from workflows.registry import MAINTENANCE_WORKFLOWS
from workflows.schedules import ensure_schedules

_GRACE = timedelta(seconds=10)  # for activities that run when the worker is told to stop
_log = logging.getLogger("worker")


def main(arguments: list[str] | None = None) -> int:
    """Runs the worker; the exit status is 0 after SIGTERM or SIGINT, 2 for wrong settings."""
    parser = argparse.ArgumentParser(prog="worker.py", description="Runs the durable part.")
    parser.add_argument("--task-queue", default=MAINTENANCE_QUEUE, choices=[MAINTENANCE_QUEUE])
    parser.add_argument("--ready-file", type=Path, help="made when the worker polls")
    chosen = parser.parse_args(arguments)
    try:
        settings = load_settings()
        address = engine_address(settings)
        if settings.database_url is None or address is None:
            raise SettingsError("DATABASE_URL and TEMPORAL_ADDRESS: the worker needs both")
    except SettingsError as error:
        sys.stderr.write(f"{error.message}\n")
        return 2
    configure_logging(settings.log_level, secret_values(settings))
    asyncio.run(_run(address, settings, chosen))
    return 0


async def _run(address: EngineAddress, settings: Settings, chosen: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    client = await _connected(address, stop)
    if client is None:
        return
    async with contextlib.AsyncExitStack() as exits:
        worker = Worker(
            client,
            task_queue=chosen.task_queue,
            workflows=MAINTENANCE_WORKFLOWS,
            activities=await exits.enter_async_context(maintenance_activities(settings)),
            graceful_shutdown_timeout=_GRACE,
        )
        await exits.enter_async_context(worker)
        if chosen.ready_file is not None:
            chosen.ready_file.touch()
            exits.callback(chosen.ready_file.unlink, missing_ok=True)
        _log.info("worker: polls task queue %s", chosen.task_queue)
        await stop.wait()


async def _connected(address: EngineAddress, stop: asyncio.Event) -> Client | None:
    """A client once Temporal answers and has its schedules; None when told to stop before."""
    waiting = False
    while not stop.is_set():
        try:
            client = await connect(address)
            await ensure_schedules(client)
            return client
        except (RuntimeError, RPCError) as error:
            if not waiting:
                _log.warning("worker: waits for Temporal (%s)", type(error).__name__)
            waiting = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)
    return None


if __name__ == "__main__":
    sys.exit(main())
