"""A summary of the beginning of a long conversation, ready before it is needed."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.context_summary import ContextSummaryActivities
    from gateway.durable import (
        CONTEXT_SUMMARY_WORKFLOW,
        ContextSummaryInput,
        ContextSummaryResult,
    )
    from workflows.options import model_call


@workflow.defn(name=CONTEXT_SUMMARY_WORKFLOW)
class ContextSummaryWorkflow:
    """Has one summary written; the conversation goes on with an extract when it fails.

    The texts are in Valkey, sealed: only the key, the project and counts are in the history.
    """

    @workflow.run
    async def run(self, wanted: ContextSummaryInput) -> ContextSummaryResult:
        """Writes the summary of that key, unless it is there."""
        return await workflow.execute_activity_method(
            ContextSummaryActivities.write_context_summary,
            wanted,
            **model_call("summary of a conversation"),
        )
