"""The workflows of each task queue."""

from workflows.retention import RetentionWorkflow
from workflows.routing_outcomes import RoutingOutcomesWorkflow
from workflows.usage_rollup import UsageRollupWorkflow

MAINTENANCE_WORKFLOWS: tuple[type, ...] = (
    UsageRollupWorkflow,
    RetentionWorkflow,
    RoutingOutcomesWorkflow,
)
"""What runs by the clock."""
