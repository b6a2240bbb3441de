"""What runs by the clock: roll-up, retention, outcomes of routing."""

from dataclasses import dataclass

USAGE_ROLLUP_WORKFLOW = "UsageRollupWorkflow"
USAGE_ROLLUP_ID = "usage-rollup"
"""Id of the schedule, and the beginning of the id of each of its runs."""

RETENTION_WORKFLOW = "RetentionWorkflow"
RETENTION_ID = "retention"
"""Id of the schedule, and the beginning of the id of each of its runs."""

ROUTING_OUTCOMES_WORKFLOW = "RoutingOutcomesWorkflow"
ROUTING_OUTCOMES_ID = "routing-outcomes"
"""Id of the schedule, and the beginning of the id of each of its runs."""


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
