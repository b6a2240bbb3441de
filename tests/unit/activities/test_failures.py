"""What Temporal is told about a failed activity."""

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from activities.failures import failure, reported
from gateway.errors import InvalidRequestError, RateLimitError, UnavailableError


def test_a_part_that_is_down_is_tried_again() -> None:
    told = failure(UnavailableError("the database does not answer", detail="secret"))
    assert not told.non_retryable
    assert told.type == "UnavailableError"
    assert "secret" not in str(told)


def test_what_cannot_get_better_is_not_tried_again() -> None:
    assert failure(InvalidRequestError("no")).non_retryable


def test_a_stated_wait_is_kept() -> None:
    error = UnavailableError("later", retry_after_seconds=3.5)
    assert failure(error).next_retry_delay == timedelta(seconds=3.5)
    assert failure(RateLimitError("no wait given")).next_retry_delay is None


async def test_an_unexpected_failure_is_tried_again_and_its_text_kept_out() -> None:
    with pytest.raises(ApplicationError) as told:
        async with reported():
            raise ValueError("what a client sent")
    assert not told.value.non_retryable
    assert told.value.type == "ValueError"
    assert "client" not in told.value.message


async def test_an_error_made_for_temporal_passes_as_it_is() -> None:
    made = ApplicationError("mine", type="Mine")
    with pytest.raises(ApplicationError) as told:
        async with reported():
            raise made
    assert told.value is made
