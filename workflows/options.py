"""Timeouts and retry policies of activities, by what the activity does."""

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig


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


def model_call(summary: str) -> ActivityConfig:
    """One request to Claude that no client waits for. `summary` is for people."""
    return {
        "summary": summary,
        # The request is given up after 120 s; the step of a killed worker is waited for as long.
        "start_to_close_timeout": timedelta(seconds=140),
        # What it is made from is kept for an hour.
        "schedule_to_close_timeout": timedelta(minutes=50),
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=2),
            backoff_coefficient=2.0,
            maximum_interval=timedelta(minutes=2),
            maximum_attempts=8,  # each may have to be paid for
        ),
    }


def circuit_step(summary: str) -> ActivityConfig:
    """A notice to all processes, or a small question to an upstream. `summary` is for people."""
    return {
        "summary": summary,
        "start_to_close_timeout": timedelta(seconds=12),
        # Processes go on by their own rules meanwhile; a notice of minutes ago would be wrong.
        "schedule_to_close_timeout": timedelta(minutes=2),
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=1),
            backoff_coefficient=2.0,
            maximum_interval=timedelta(seconds=10),
        ),
    }


def batch_items_step(summary: str) -> ActivityConfig:
    """A chunk of a batch. `summary` is for people.

    Rate limits and outages are waited out by retries; the batch's own end bounds them.
    """
    return {
        "summary": summary,
        "start_to_close_timeout": timedelta(hours=24),
        # How long the chunk of a killed worker is waited for.
        "heartbeat_timeout": timedelta(seconds=15),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=1),
            backoff_coefficient=2.0,
            maximum_interval=timedelta(seconds=30),
        ),
    }


def batch_step(summary: str) -> ActivityConfig:
    """One step in the life of a batch; it must be made, however long a part is away."""
    return {
        "summary": summary,
        "start_to_close_timeout": timedelta(seconds=60),
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=1),
            backoff_coefficient=2.0,
            maximum_interval=timedelta(seconds=30),
        ),
    }


def batch_end_step(summary: str) -> ActivityConfig:
    """The end of a batch, for which files of any size may have to be written."""
    return {
        **batch_step(summary),
        "start_to_close_timeout": timedelta(hours=1),
        "heartbeat_timeout": timedelta(seconds=60),
    }


def background_call(summary: str, seconds_left: float) -> ActivityConfig:
    """A request of a client that waits for its answer, for `seconds_left` with all its attempts.

    Rate limits and outages are waited out by retries. `summary` is for people.
    """
    return {
        "summary": summary,
        "start_to_close_timeout": timedelta(hours=24),
        "schedule_to_close_timeout": timedelta(seconds=max(1.0, seconds_left)),
        # How long the call of a killed worker is waited for.
        "heartbeat_timeout": timedelta(seconds=15),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=1),
            backoff_coefficient=2.0,
            maximum_interval=timedelta(minutes=1),
        ),
    }


def background_step(summary: str) -> ActivityConfig:
    """The end of a response; it must be written, however long a part is away."""
    return batch_step(summary)


def webhook_step(summary: str) -> ActivityConfig:
    """A notice to a client's server, which may be away for a day."""
    return {
        "summary": summary,
        "start_to_close_timeout": timedelta(seconds=30),
        "schedule_to_close_timeout": timedelta(hours=24),
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=2),
            backoff_coefficient=2.0,
            maximum_interval=timedelta(minutes=15),
        ),
    }


WORKFLOW_TASK_TIMEOUT = timedelta(seconds=10)

CONTEXT_SUMMARY_RUN_TIMEOUT = timedelta(hours=1)
"""A summary that comes later is of no use."""

MAINTENANCE_RUN_TIMEOUT = timedelta(minutes=30)
"""A run by the clock that takes longer is stuck; the next one takes over."""
