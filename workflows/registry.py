"""The workflows of each task queue."""

from collections.abc import Mapping, Sequence

from gateway.durable import BACKGROUND_QUEUE, BATCH_QUEUE, MAINTENANCE_QUEUE
from workflows.background_response import BackgroundResponseWorkflow
from workflows.batch import BatchWorkflow
from workflows.batch_sweep import BatchSweepWorkflow
from workflows.batch_webhook import BatchWebhookWorkflow
from workflows.context_summary import ContextSummaryWorkflow
from workflows.retention import RetentionWorkflow
from workflows.routing_outcomes import RoutingOutcomesWorkflow
from workflows.upstream_circuit import UpstreamCircuitWorkflow
from workflows.usage_rollup import UsageRollupWorkflow

MAINTENANCE_WORKFLOWS: tuple[type, ...] = (
    UsageRollupWorkflow,
    RetentionWorkflow,
    RoutingOutcomesWorkflow,
    ContextSummaryWorkflow,
    UpstreamCircuitWorkflow,
    BatchSweepWorkflow,
)
"""What runs by the clock, and what is small enough to run beside it."""

WORKFLOWS: Mapping[str, Sequence[type]] = {
    MAINTENANCE_QUEUE: MAINTENANCE_WORKFLOWS,
    BATCH_QUEUE: (BatchWorkflow, BatchWebhookWorkflow),
    BACKGROUND_QUEUE: (BackgroundResponseWorkflow,),
}
"""What runs on each queue; a queue has its own workers where it needs them."""

ALL_WORKFLOWS: tuple[type, ...] = tuple(each for kinds in WORKFLOWS.values() for each in kinds)
