"""The workflows of each task queue."""

from workflows.retention import RetentionWorkflow
from workflows.usage_rollup import UsageRollupWorkflow

MAINTENANCE_WORKFLOWS: tuple[type, ...] = (UsageRollupWorkflow, RetentionWorkflow)
"""What runs by the clock."""
