"""Timeouts and retry policies of activities, by what the activity does."""

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig


def database_step(summary: str) -> ActivityConfig:
    """One transaction on PostgreSQL, a few seconds at most. `summary` is for people."""
    return {
        "summary": summary,
        # Ten times what a step takes; also how long the step of a killed worker is waited for.
        "start_to_close_timeout": timedelta(seconds=20),
        # What runs by the clock comes again: an outage need not be waited out.
        "schedule_to_close_timeout": timedelta(minutes=10),
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=1),
            backoff_coefficient=2.0,
            maximum_interval=timedelta(seconds=30),
        ),
    }


WORKFLOW_TASK_TIMEOUT = timedelta(seconds=10)

MAINTENANCE_RUN_TIMEOUT = timedelta(minutes=30)
"""A run by the clock that takes longer is stuck; the next one takes over."""
