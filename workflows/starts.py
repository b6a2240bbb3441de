"""Workflows that a request starts, by name."""

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from gateway.durable import (
    CONTEXT_SUMMARY_WORKFLOW,
    MAINTENANCE_QUEUE,
    ContextSummaryInput,
    context_summary_id,
)
from workflows.options import CONTEXT_SUMMARY_RUN_TIMEOUT, WORKFLOW_TASK_TIMEOUT


async def start_context_summary(client: Client, wanted: ContextSummaryInput) -> None:
    """Starts the writing of a summary; one that failed may be tried again."""
    try:
        await client.start_workflow(
            CONTEXT_SUMMARY_WORKFLOW,
            wanted,
            id=context_summary_id(wanted.key),
            task_queue=MAINTENANCE_QUEUE,
            run_timeout=CONTEXT_SUMMARY_RUN_TIMEOUT,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            static_summary="Summarise the beginning of a long conversation",
        )
    except WorkflowAlreadyStartedError:
        return
