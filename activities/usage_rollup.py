"""The side effects of the usage roll-up."""

from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.failures import reported
from gateway.durable import FoldUsageInput, FoldUsageResult, PartitionsInput, PartitionsResult
from gateway.storage.usage_rollup import UsageRollupStore
from gateway.storage.usage_store import UsageStore


class UsageRollupActivities:
    """Statements on the usage tables; each is one transaction."""

    def __init__(self, events: UsageStore, rollups: UsageRollupStore) -> None:
        self._events = events
        self._rollups = rollups

    @activity.defn
    async def make_usage_partitions(self, wanted: PartitionsInput) -> PartitionsResult:
        """Makes the tables of today and the coming days that are missing."""
        today = datetime.now(UTC).date()
        days = [today + timedelta(days=ahead) for ahead in range(wanted.days_ahead + 1)]
        async with reported():
            made = await self._events.make_days(days)
        return PartitionsResult([day.isoformat() for day in made])

    @activity.defn
    async def fold_usage(self, wanted: FoldUsageInput) -> FoldUsageResult:
        """Adds events that are not rolled up yet to their hour and day."""
        async with reported():
            done = await self._rollups.roll_up(wanted.limit)
        return FoldUsageResult(done.events, done.more)
