"""What routing learns: outcomes of requests counted, and told to every API process."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.routing_outcomes import RoutingOutcomesActivities
    from gateway.durable import (
        ROUTING_OUTCOMES_WORKFLOW,
        FoldOutcomesInput,
        PublishOutcomesInput,
        RoutingOutcomesInput,
        RoutingOutcomesResult,
    )
    from workflows.options import database_step


@workflow.defn(name=ROUTING_OUTCOMES_WORKFLOW)
class RoutingOutcomesWorkflow:
    """Counts events until none is left, then publishes the sums.

    Killed or repeated at any point it counts every event once: a step marks what it counts in the
    same transaction. It publishes also when nothing was counted, since what is known grows old.
    """

    @workflow.run
    async def run(self, wanted: RoutingOutcomesInput) -> RoutingOutcomesResult:
        """Counts up to `steps * events_per_step` events."""
        events, steps, more = 0, 0, True
        while more and steps < wanted.steps:
            folded = await workflow.execute_activity_method(
                RoutingOutcomesActivities.fold_outcomes,
                FoldOutcomesInput(limit=wanted.events_per_step),
                **database_step("events into outcomes"),
            )
            events, steps, more = events + folded.events, steps + 1, folded.more
        published = await workflow.execute_activity_method(
            RoutingOutcomesActivities.publish_outcomes,
            PublishOutcomesInput(),
            **database_step("outcomes for every process"),
        )
        return RoutingOutcomesResult(events, published.rows, more)
