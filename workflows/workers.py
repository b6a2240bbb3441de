"""A worker for a task queue, tuned by the settings."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from gateway.config import Settings
from workflows.registry import WORKFLOWS

# Heartbeats bring cancellations, and tell what was under way when a worker dies.
_HEARTBEAT_INTERVAL = timedelta(seconds=2)


def worker_of(
    client: Client, settings: Settings, queue: str, activities: Sequence[Callable[..., Any]]
) -> Worker:
    """The worker of `queue`, not polling yet.

    Told to stop it takes nothing new, lets activities end for WORKER_GRACE_SECONDS and then cancels
    them; what is cut off is taken over by another worker.
    """
    return Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS[queue],
        activities=activities,
        max_concurrent_activities=settings.worker_max_activities,
        max_concurrent_workflow_tasks=settings.worker_max_workflow_tasks,
        max_concurrent_activity_task_polls=settings.worker_pollers,
        max_concurrent_workflow_task_polls=settings.worker_pollers,
        max_heartbeat_throttle_interval=_HEARTBEAT_INTERVAL,
        graceful_shutdown_timeout=timedelta(seconds=settings.worker_grace_seconds),
    )


@asynccontextmanager
async def polling(workers: Sequence[Worker]) -> AsyncIterator[None]:
    """Runs the workers; on leaving all of them are told to stop at once, and waited for.

    One that fails for good ends the block.
    """
    async with asyncio.TaskGroup() as running:
        for worker in workers:
            running.create_task(worker.run())
        try:
            yield
        finally:
            for worker in workers:
                running.create_task(worker.shutdown())
