"""What runs by the clock, and how the server is brought to it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError

from gateway.durable import (
    BATCH_SWEEP_ID,
    BATCH_SWEEP_WORKFLOW,
    MAINTENANCE_QUEUE,
    RETENTION_ID,
    RETENTION_WORKFLOW,
    ROUTING_OUTCOMES_ID,
    ROUTING_OUTCOMES_WORKFLOW,
    SEARCH_ATTRIBUTES,
    USAGE_ROLLUP_ID,
    USAGE_ROLLUP_WORKFLOW,
    BatchSweepInput,
    RetentionInput,
    RoutingOutcomesInput,
    UsageRollupInput,
)
from workflows.options import MAINTENANCE_RUN_TIMEOUT, WORKFLOW_TASK_TIMEOUT

ROLLUP_INTERVAL = timedelta(minutes=1)
RETENTION_INTERVAL = timedelta(hours=1)
BATCH_SWEEP_INTERVAL = timedelta(seconds=15)
ROUTING_OUTCOMES_INTERVAL = timedelta(minutes=5)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ByTheClock:
    """A workflow that runs every `every`; `id` names its schedule and its kind."""

    id: str
    workflow: str
    wanted: object
    every: timedelta
    summary: str


BY_THE_CLOCK = (
    ByTheClock(
        USAGE_ROLLUP_ID,
        USAGE_ROLLUP_WORKFLOW,
        UsageRollupInput(),
        ROLLUP_INTERVAL,
        "Fold usage events into hours and days",
    ),
    ByTheClock(
        RETENTION_ID,
        RETENTION_WORKFLOW,
        RetentionInput(),
        RETENTION_INTERVAL,
        "Remove expired turns and responses",
    ),
    ByTheClock(
        ROUTING_OUTCOMES_ID,
        ROUTING_OUTCOMES_WORKFLOW,
        RoutingOutcomesInput(),
        ROUTING_OUTCOMES_INTERVAL,
        "Count how routed requests turned out",
    ),
    ByTheClock(
        BATCH_SWEEP_ID,
        BATCH_SWEEP_WORKFLOW,
        BatchSweepInput(),
        BATCH_SWEEP_INTERVAL,
        "Start jobs that were accepted while Temporal was away",
    ),
)
"""Everything that runs by the clock."""


async def ensure_schedules(client: Client) -> None:
    """Makes every schedule, or updates it where it stands. Safe from any number of processes."""
    searchable = await ensure_search_attributes(client)
    for each in BY_THE_CLOCK:
        await _ensure(client, each.id, schedule_of(each, searchable=searchable))


def schedule_of(each: ByTheClock, *, searchable: bool = True) -> Schedule:
    """Never two runs at a time; after an outage one, not one for each that was missed."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            each.workflow,
            each.wanted,
            id=each.id,
            task_queue=MAINTENANCE_QUEUE,
            run_timeout=MAINTENANCE_RUN_TIMEOUT,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            typed_search_attributes=(
                _attributes({"GatewayKind": each.id}) if searchable else TypedSearchAttributes.empty
            ),
            static_summary=each.summary,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=each.every)]),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)
        ),
    )


async def ensure_search_attributes(client: Client) -> bool:
    """Registers the gateway's search attributes; False when the server does not let us.

    On Temporal Cloud an administrator adds them; without them everything runs, only the lists of
    the UI cannot be filtered.
    """
    try:
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        missing = [name for name in SEARCH_ATTRIBUTES if name not in known.custom_attributes]
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(
                    namespace=client.namespace,
                    search_attributes=dict.fromkeys(
                        missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
                    ),
                )
            )
    except RPCError as error:
        _log.warning(
            "search attributes %s are not registered (%s)",
            ", ".join(SEARCH_ATTRIBUTES),
            error.status.name,
        )
        return False
    return True


async def _ensure(client: Client, schedule_id: str, wanted: Schedule) -> None:
    try:
        await client.create_schedule(schedule_id, wanted)
    except ScheduleAlreadyRunningError:

        def updated(standing: ScheduleUpdateInput) -> ScheduleUpdate:
            wanted.state = standing.description.schedule.state  # a pause by an operator stays
            return ScheduleUpdate(schedule=wanted)

        await client.get_schedule_handle(schedule_id).update(updated)


def _attributes(values: Mapping[str, str]) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
            for name, value in values.items()
        ]
    )
