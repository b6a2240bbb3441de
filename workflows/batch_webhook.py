"""Tells a client's server that a batch has ended."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.batch_items import BatchActivities
    from gateway.durable import BATCH_WEBHOOK_WORKFLOW, BatchOf, WebhookResult
    from workflows.options import webhook_step


@workflow.defn(name=BATCH_WEBHOOK_WORKFLOW)
class BatchWebhookWorkflow:
    """Posts until the server takes it, for a day. Fails when it never does."""

    @workflow.run
    async def run(self, wanted: BatchOf) -> WebhookResult:
        """Tells of the end of one batch."""
        return await workflow.execute_activity_method(
            BatchActivities.deliver_webhook, wanted, **webhook_step("webhook")
        )
