"""The border between the gateway's errors and Temporal's: who may try again, and when."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.exceptions import (
    ApplicationError,
    ApplicationErrorCategory,
    FailureError,
)

from gateway.errors import GatewayError


@asynccontextmanager
async def reported() -> AsyncIterator[None]:
    """Turns every failure of an activity into one that Temporal can judge.

    A GatewayError says whether another try can help and after how long. Anything else is a fault
    of ours or the network's and is tried again; its text stays out of the history, which may quote
    what a client sent.
    """
    try:
        yield
    except FailureError:
        raise
    except GatewayError as error:
        raise failure(error) from None
    except Exception as error:
        raise ApplicationError(
            "unexpected failure; the worker's log has the details", type=type(error).__name__
        ) from error


def failure(error: GatewayError) -> ApplicationError:
    """The error of an activity that failed with `error`."""
    wait = error.retry_after_seconds
    return ApplicationError(
        error.message,
        type=type(error).__name__,
        non_retryable=not error.retryable,
        next_retry_delay=None if wait is None else timedelta(seconds=wait),
    )


def later(error: GatewayError) -> ApplicationError:
    """The end of a try that has nothing to do yet: no failure, and none in metrics."""
    return ApplicationError(
        error.message,
        type=type(error).__name__,
        next_retry_delay=timedelta(seconds=error.retry_after_seconds or 1.0),
        category=ApplicationErrorCategory.BENIGN,
    )
