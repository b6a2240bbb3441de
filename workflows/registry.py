"""The workflows of each task queue."""

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
)
"""What runs by the clock, and what is small enough to run beside it."""
