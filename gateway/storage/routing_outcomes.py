"""What routing learns from: usage events folded into successes and failures, and their snapshot.

An event is marked as counted in the transaction that adds it to the sums, as in `usage_rollup`: a
fold may be repeated or killed, and events that arrive late are taken the next time.

A sum loses half of its worth in a week. Each row says as of when its sums stand; what is added is
brought to the same moment, the later one of the two.
"""

from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    and_,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway import wire
from gateway.storage.database import database_errors
from gateway.storage.tables import routing_outcomes, usage_events
from gateway.storage.valkey import Valkey, ValkeyDown
from gateway.structs import Struct
from gateway.wire import JSONObject

HALF_LIFE_SECONDS = 7 * 86_400.0

_KEY = "gateway:routing:outcomes"
_KEPT_SECONDS = 7 * 86_400  # a snapshot nobody has renewed for a week says nothing
_MOST_ROWS = 20_000  # about 2 MB; the rows with the fewest outcomes are left out
_LEAST_TOTAL = 0.1
_LOCK = 0x726F757465  # any constant; makes folds wait for each other
_DECISIONS = 50
_SHOWN = (
    "request_id",
    "started_at",
    "project",
    "conversation",
    "asked_model",
    "model",
    "route_reason",
    "task_class",
    "route_detail",
    "failed_results",
    "repeats",
    "status",
    "http_status",
    "error_code",
    "stop_reason",
)


class Folded(Struct, frozen=True):
    """What one step did. `more` says that events were left for the next step."""

    events: int
    more: bool


class RoutingOutcomeStore:
    """Statements of what routing learns from. Raises UnavailableError."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def fold(self, limit: int) -> Folded:
        """Counts up to `limit` events in one transaction; a second caller at the time waits."""
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            events = (await connection.execute(_fold_statement(limit))).scalar_one()
        return Folded(events, more=events == limit)

    async def snapshot(self) -> list[tuple[str, str, str, float, float]]:
        """Project, class of task, model, successes, failures: what they are worth now."""
        table = routing_outcomes
        worth = _worth(func.now(), table.c.as_of)
        total = (table.c.successes + table.c.failures) * worth
        statement = (
            select(
                table.c.project,
                table.c.task_class,
                table.c.model,
                table.c.successes * worth,
                table.c.failures * worth,
            )
            .where(total >= _LEAST_TOTAL)
            .order_by(total.desc())
            .limit(_MOST_ROWS)
        )
        async with database_errors(), self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        return [(row[0], row[1], row[2], round(row[3], 3), round(row[4], 3)) for row in rows]

    async def decisions(
        self, *, conversation: str | None = None, request_id: str | None = None
    ) -> list[JSONObject]:
        """How the requests of a conversation, or one request, were routed; the newest first."""
        conditions = [usage_events.c.task_class != literal_column("''")]
        if conversation is not None:
            conditions += [
                usage_events.c.conversation == conversation,
                usage_events.c.conversation != literal_column("''"),
            ]
        if request_id is not None:
            conditions.append(usage_events.c.request_id == request_id)
        statement = (
            select(*(usage_events.c[name] for name in _SHOWN))
            .where(*conditions)
            .order_by(usage_events.c.started_at.desc())
            .limit(_DECISIONS)
        )
        async with database_errors(), self._engine.connect() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [{**row, "started_at": row["started_at"].isoformat()} for row in rows]


class OutcomeBoard:
    """The one key in Valkey from which every API process reads the snapshot."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey

    async def publish(self, rows: list[tuple[str, str, str, float, float]]) -> bool:
        """Replace the snapshot; False when Valkey is down."""
        try:
            await self._valkey.call("SET", _KEY, wire.dumps({"rows": rows}), "EX", _KEPT_SECONDS)
        except ValkeyDown:
            return False
        return True

    async def read(self) -> bytes | None:
        """The snapshot as it was published, None when there is none or Valkey is down."""
        try:
            published: bytes | None = await self._valkey.call("GET", _KEY)
        except ValkeyDown:
            return None
        return published


def _worth(until: ColumnElement[Any], since: ColumnElement[Any]) -> ColumnElement[float]:
    """What is left of 1 after the time from `since` to `until`."""
    seconds = func.extract("epoch", until - since)
    worth: ColumnElement[float] = func.power(
        literal_column("0.5::float8"),
        func.greatest(seconds, 0) / literal_column(str(HALF_LIFE_SECONDS)),
    )
    return worth


def _fold_statement(limit: int) -> Select[int]:
    """Marks events, adds what they tell to the sums and counts them, in one statement."""
    key = tuple_(usage_events.c.day, usage_events.c.event_id)
    pending = (
        select(usage_events.c.day, usage_events.c.event_id)
        .where(
            usage_events.c.outcome_counted.is_(False),
            usage_events.c.task_class != literal_column("''"),
        )
        .limit(limit)
    )
    fresh = (
        update(usage_events)
        .where(key.in_(pending))
        .values(outcome_counted=True)
        .returning(*usage_events.columns)
        .cte("fresh")
    )
    added = _added(_told(fresh)).returning(literal_column("1")).cte("added")
    return select(func.count()).select_from(fresh).add_cte(added)


def _told(event: CTE) -> CTE:
    """One row for each thing an event tells: of which model, and success or failure.

    An event tells how its own answer ended, and by its tool results how good the one before was:
    of the same model, unless its detail names another. An answer counts once: as failed when the
    next request says so, else as its own end says.
    """
    c = event.c
    judged = c.route_detail.op("->>")("from")
    blames = or_(c.failed_results > 0, c.repeats)
    failed = or_(
        # Claude's own failures; a connection that failed tells nothing of the model.
        and_(
            c.status == "error",
            c.http_status >= 500,
            c.error_code.is_distinct_from("upstream_unreachable"),
        ),
        c.stop_reason == "refusal",
        # Short calls are cut on purpose.
        and_(c.stop_reason == "max_tokens", c.task_class != "one_shot"),
    )
    own_failed = func.coalesce(failed, False)
    succeeded = and_(c.status == "ok", ~own_failed, or_(~blames, judged.is_not(None)))
    own = select(
        c.project,
        c.task_class,
        c.model,
        c.started_at,
        case((succeeded, 1.0), else_=0.0).label("success"),
        case((own_failed, 1.0), else_=0.0).label("failure"),
        literal(1).label("events"),
    ).where(or_(succeeded, own_failed))
    verdict = select(
        c.project,
        c.task_class,
        func.coalesce(judged, c.model),
        c.started_at,
        literal(0.0),
        literal(1.0),
        literal(0),
    ).where(blames)
    return union_all(own, verdict).cte("told")


def _added(told: CTE) -> Insert:
    """`routing_outcomes` with what was told added to its rows."""
    group = (told.c.project, told.c.task_class, told.c.model)
    latest = func.max(told.c.started_at).over(partition_by=group)
    dated = select(told, latest.label("as_of")).cte("dated")
    worth = _worth(dated.c.as_of, dated.c.started_at)
    sums = select(
        dated.c.project,
        dated.c.task_class,
        dated.c.model,
        func.sum(dated.c.success * worth),
        func.sum(dated.c.failure * worth),
        func.sum(dated.c.events),
        dated.c.as_of,
    ).group_by(dated.c.project, dated.c.task_class, dated.c.model, dated.c.as_of)
    table = routing_outcomes
    statement = insert(table).from_select([each.name for each in table.columns], sums)
    new = statement.excluded
    as_of = func.greatest(table.c.as_of, new.as_of)
    return statement.on_conflict_do_update(
        index_elements=[each.name for each in table.primary_key],
        set_={
            name: table.c[name] * _worth(as_of, table.c.as_of)
            + new[name] * _worth(as_of, new.as_of)
            for name in ("successes", "failures")
        }
        | {"events": table.c.events + new.events, "as_of": as_of},
    )
