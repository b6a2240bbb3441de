"""Retention's one side effect, and the order its workflow keeps."""

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.retention import RetentionActivities
from gateway.durable import RemoveExpiredInput, RemoveExpiredResult
from gateway.errors import UnavailableError


async def run(activities: RetentionActivities, kind: str, limit: int) -> RemoveExpiredResult:
    return await ActivityEnvironment().run(
        activities.remove_expired, RemoveExpiredInput(kind, limit)
    )


async def test_a_full_batch_may_have_left_some_over() -> None:
    async def remove(limit: int) -> int:
        return min(limit, 15)

    activities = RetentionActivities({"turns": remove})
    assert await run(activities, "turns", 10) == RemoveExpiredResult(10, more=True)
    assert await run(activities, "turns", 20) == RemoveExpiredResult(15, more=False)


async def test_an_unknown_kind_is_not_tried_again() -> None:
    with pytest.raises(ApplicationError) as failed:
        await run(RetentionActivities({}), "unicorns", 10)
    assert failed.value.non_retryable


async def test_a_database_that_is_away_is_tried_again() -> None:
    async def remove(limit: int) -> int:
        raise UnavailableError("the database does not answer")

    with pytest.raises(ApplicationError) as failed:
        await run(RetentionActivities({"turns": remove}), "turns", 10)
    assert not failed.value.non_retryable
