"""The side effects of retention."""

from collections.abc import Awaitable, Callable, Mapping

from temporalio import activity

from activities.failures import reported
from gateway.durable import RemoveExpiredInput, RemoveExpiredResult
from gateway.errors import InternalError

RemoveExpired = Callable[[int], Awaitable[int]]


class RetentionActivities:
    """Removes what has expired; `kinds` has a statement for each kind of row."""

    def __init__(self, kinds: Mapping[str, RemoveExpired]) -> None:
        self._kinds = dict(kinds)

    @activity.defn
    async def remove_expired(self, wanted: RemoveExpiredInput) -> RemoveExpiredResult:
        """Removes up to `limit` rows of a kind in one transaction; safe to run twice."""
        async with reported():
            remove = self._kinds.get(wanted.kind)
            if remove is None:
                raise InternalError(f"nothing of the kind {wanted.kind} is kept")
            removed = await remove(wanted.limit)
        return RemoveExpiredResult(removed, more=removed >= wanted.limit)
