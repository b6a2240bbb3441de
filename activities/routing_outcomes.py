"""The side effects of counting how routed requests turned out."""

from temporalio import activity

from activities.failures import reported
from gateway.durable import (
    FoldOutcomesInput,
    FoldOutcomesResult,
    PublishOutcomesInput,
    PublishOutcomesResult,
)
from gateway.storage.routing_outcomes import OutcomeBoard, RoutingOutcomeStore


class RoutingOutcomesActivities:
    """Statements on the sums, and their publication; without a board there is nobody to tell."""

    def __init__(self, outcomes: RoutingOutcomeStore, board: OutcomeBoard | None) -> None:
        self._outcomes = outcomes
        self._board = board

    @activity.defn
    async def fold_outcomes(self, wanted: FoldOutcomesInput) -> FoldOutcomesResult:
        """Counts events that are not counted yet, in one transaction; safe to run twice."""
        async with reported():
            done = await self._outcomes.fold(wanted.limit)
        return FoldOutcomesResult(done.events, done.more)

    @activity.defn
    async def publish_outcomes(self, _: PublishOutcomesInput) -> PublishOutcomesResult:
        """Tells every API process what is known now. With Valkey down the next run does."""
        if self._board is None:
            return PublishOutcomesResult(None)
        async with reported():
            rows = await self._outcomes.snapshot()
            told = await self._board.publish(rows)
        return PublishOutcomesResult(len(rows) if told else None)
