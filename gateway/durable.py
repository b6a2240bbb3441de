"""What outlives a request: names, inputs and results of workflows, and the port to the engine.

The gateway knows the durable engine only by this module. Workflows and activities share these
dataclasses; each takes one of them, so that fields can be added. `workflows.client` implements the
port and is handed to the services by the application that uses it.
"""

from dataclasses import dataclass
from typing import Protocol

from gateway.config import Settings
from gateway.errors import UnavailableError

MAINTENANCE_QUEUE = "maintenance"
"""Task queue of what runs by the clock."""

USAGE_ROLLUP_WORKFLOW = "UsageRollupWorkflow"
USAGE_ROLLUP_ID = "usage-rollup"
"""Id of the schedule, and the beginning of the id of each of its runs."""

RETENTION_WORKFLOW = "RetentionWorkflow"
RETENTION_ID = "retention"
"""Id of the schedule, and the beginning of the id of each of its runs."""

ROUTING_OUTCOMES_WORKFLOW = "RoutingOutcomesWorkflow"
ROUTING_OUTCOMES_ID = "routing-outcomes"
"""Id of the schedule, and the beginning of the id of each of its runs."""

CONTEXT_SUMMARY_WORKFLOW = "ContextSummaryWorkflow"

SEARCH_ATTRIBUTES = ("GatewayProject", "GatewayKind", "GatewayStatus")
"""Keywords that every workflow can be found by."""


def context_summary_id(key: str) -> str:
    """Id of the workflow that writes the summary of that key."""
    return f"context-summary-{key}"


class DurableUnavailableError(UnavailableError):
    """The durable engine did not answer in time; nothing on the live path waits for it."""

    code = "durable_engine_unavailable"


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where the engine is. A key means that it is reached by TLS."""

    host_and_port: str
    namespace: str = "default"
    api_key: str | None = None

    def __repr__(self) -> str:
        return f"EngineAddress({self.host_and_port!r}, {self.namespace!r})"


def engine_address(settings: Settings) -> EngineAddress | None:
    """Where the settings say the engine is; None when they do not."""
    if settings.temporal_address is None:
        return None
    key = settings.temporal_api_key
    return EngineAddress(
        settings.temporal_address,
        settings.temporal_namespace,
        key.get_secret_value() if key else None,
    )


@dataclass(frozen=True, slots=True)
class UsageRollupInput:
    """How much one roll-up takes on: `steps` transactions of up to `events_per_step` events.

    What is left waits for the next run; the defaults are 1,000,000 events.
    """

    events_per_step: int = 20_000
    steps: int = 50


@dataclass(frozen=True, slots=True)
class UsageRollupResult:
    """What a roll-up did: events folded, transactions, and whether events were left."""

    events: int
    steps: int
    more: bool


@dataclass(frozen=True, slots=True)
class FoldUsageInput:
    """One step of the roll-up."""

    limit: int


@dataclass(frozen=True, slots=True)
class FoldUsageResult:
    """What one step of the roll-up did."""

    events: int
    more: bool


@dataclass(frozen=True, slots=True)
class PartitionsInput:
    """How many days ahead of today usage gets its tables."""

    days_ahead: int = 2


@dataclass(frozen=True, slots=True)
class PartitionsResult:
    """The days (YYYY-MM-DD) whose tables were made."""

    made: list[str]


@dataclass(frozen=True, slots=True)
class RetentionInput:
    """How much one run removes: of each kind `steps` transactions of up to `rows_per_step` rows.

    What is left waits for the next run; the defaults are a million rows of each kind.
    """

    rows_per_step: int = 1_000
    steps: int = 1_000


@dataclass(frozen=True, slots=True)
class RetentionResult:
    """Rows removed by kind, and whether any were left."""

    removed: dict[str, int]
    more: bool


@dataclass(frozen=True, slots=True)
class RemoveExpiredInput:
    """One step: up to `limit` rows of a kind (`turns`, `responses`)."""

    kind: str
    limit: int


@dataclass(frozen=True, slots=True)
class RemoveExpiredResult:
    """What one step removed, and whether more may be left."""

    removed: int
    more: bool


@dataclass(frozen=True, slots=True)
class RoutingOutcomesInput:
    """How much one run counts: `steps` transactions of up to `events_per_step` events.

    What is left waits for the next run.
    """

    events_per_step: int = 10_000
    steps: int = 50


@dataclass(frozen=True, slots=True)
class RoutingOutcomesResult:
    """What a run did: events counted, rows published, whether events were left.

    `published` is None when no process could be told.
    """

    events: int
    published: int | None
    more: bool


@dataclass(frozen=True, slots=True)
class FoldOutcomesInput:
    """One step of counting outcomes."""

    limit: int


@dataclass(frozen=True, slots=True)
class FoldOutcomesResult:
    """What one step of counting outcomes did."""

    events: int
    more: bool


@dataclass(frozen=True, slots=True)
class PublishOutcomesInput:
    """Publishing what is known takes no choices yet."""


@dataclass(frozen=True, slots=True)
class PublishOutcomesResult:
    """How many rows were published, None when nobody could be told."""

    rows: int | None


@dataclass(frozen=True, slots=True)
class ContextSummaryInput:
    """A summary to write: its text lies sealed in Valkey under the project and the key."""

    project: str
    key: str


@dataclass(frozen=True, slots=True)
class ContextSummaryResult:
    """How much was written; zeros when there was nothing to do any more."""

    chars: int
    input_tokens: int
    output_tokens: int


class DurableEngine(Protocol):
    """The engine as the gateway sees it. Every method but `close` has a deadline.

    They raise DurableUnavailableError when the engine is down, slow or refuses.
    """

    async def is_reachable(self) -> bool:
        """True when the engine answers now; never raises."""

    async def ensure_schedules(self) -> None:
        """Makes what runs by the clock, or brings it to the state this version wants."""

    async def roll_up_usage_now(self) -> None:
        """Starts a roll-up unless one is running."""

    async def start_context_summary(self, wanted: ContextSummaryInput) -> None:
        """Starts the writing of a summary, unless it was started before."""

    async def close(self) -> None:
        """Lets go of the connection."""
