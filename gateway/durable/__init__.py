"""What outlives a request: names, inputs and results of workflows, and the port to the engine.

The gateway knows the durable engine only by this module. Workflows and activities share these
dataclasses; each takes one of them, so that fields can be added. `workflows.client` implements the
port and is handed to the services by the application that uses it.
"""

from gateway.durable.engine import (
    MAINTENANCE_QUEUE,
    SEARCH_ATTRIBUTES,
    DurableEngine,
    DurableUnavailableError,
    EngineAddress,
    engine_address,
)
from gateway.durable.maintenance import (
    RETENTION_ID,
    RETENTION_WORKFLOW,
    ROUTING_OUTCOMES_ID,
    ROUTING_OUTCOMES_WORKFLOW,
    USAGE_ROLLUP_ID,
    USAGE_ROLLUP_WORKFLOW,
    FoldOutcomesInput,
    FoldOutcomesResult,
    FoldUsageInput,
    FoldUsageResult,
    PartitionsInput,
    PartitionsResult,
    PublishOutcomesInput,
    PublishOutcomesResult,
    RemoveExpiredInput,
    RemoveExpiredResult,
    RetentionInput,
    RetentionResult,
    RoutingOutcomesInput,
    RoutingOutcomesResult,
    UsageRollupInput,
    UsageRollupResult,
)
from gateway.durable.summaries import (
    CONTEXT_SUMMARY_WORKFLOW,
    ContextSummaryInput,
    ContextSummaryResult,
    context_summary_id,
)

__all__ = [
    "CONTEXT_SUMMARY_WORKFLOW",
    "MAINTENANCE_QUEUE",
    "RETENTION_ID",
    "RETENTION_WORKFLOW",
    "ROUTING_OUTCOMES_ID",
    "ROUTING_OUTCOMES_WORKFLOW",
    "SEARCH_ATTRIBUTES",
    "USAGE_ROLLUP_ID",
    "USAGE_ROLLUP_WORKFLOW",
    "ContextSummaryInput",
    "ContextSummaryResult",
    "DurableEngine",
    "DurableUnavailableError",
    "EngineAddress",
    "FoldOutcomesInput",
    "FoldOutcomesResult",
    "FoldUsageInput",
    "FoldUsageResult",
    "PartitionsInput",
    "PartitionsResult",
    "PublishOutcomesInput",
    "PublishOutcomesResult",
    "RemoveExpiredInput",
    "RemoveExpiredResult",
    "RetentionInput",
    "RetentionResult",
    "RoutingOutcomesInput",
    "RoutingOutcomesResult",
    "UsageRollupInput",
    "UsageRollupResult",
    "context_summary_id",
    "engine_address",
]
