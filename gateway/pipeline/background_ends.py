"""How responses in the background end without an answer, and the usage of all their attempts."""

from decimal import Decimal

from gateway import wire
from gateway.errors import ConflictError, GatewayError, UnavailableError
from gateway.pipeline.background_vault import BackgroundVault
from gateway.pipeline.unattended import SUMMED, told_error
from gateway.protocols.background import cancelled, failed, last_events, numbered
from gateway.storage.background_store import BackgroundRow, BackgroundStore, Ended
from gateway.structs import replace
from gateway.usage.events import UsageEvent, close_record
from gateway.wire import JSONObject

CANCELLED = ConflictError("the response was cancelled", code="response_cancelled")
"""Why a response has no answer that its client did not want any more."""

NOT_IN_TIME = UnavailableError("the response could not be made within 24 hours")
"""Why a response has no answer when no attempt says more."""


async def ended_without_answer(
    store: BackgroundStore,
    vault: BackgroundVault,
    row: BackgroundRow,
    error: GatewayError,
    usage: JSONObject | None = None,
) -> BackgroundRow:
    """The response after it was ended because of `error`; one that has ended stays as it is."""
    shown = vault.open_json(row.project_id, row.id, "shown", await store.shown(row.id))
    while not row.has_ended:
        ended = ending(vault, row, shown, error, usage)
        if await store.end(row.id, row.attempt, ended):
            break
        row = await store.get(row.id)  # another attempt has begun, or it has ended by itself
    return await store.get(row.id)


def ending(
    vault: BackgroundVault,
    row: BackgroundRow,
    shown: JSONObject,
    error: GatewayError,
    usage: JSONObject | None,
) -> Ended:
    """The end of a response that `error` leaves without an answer."""
    is_cancelled = error is CANCELLED
    told = cancelled(shown) if is_cancelled else failed(shown, error)
    events, count = numbered(last_events(told, error, row.next_event), row.next_event)
    project, response_id = row.project_id, row.id
    return Ended(
        "cancelled" if is_cancelled else "failed",
        vault.seal(project, response_id, "shown", wire.dumps(told)),
        vault.seal_events(project, response_id, row.next_event, count, events),
        usage,
        told_error(error),
    )


def stored_error(failure: JSONObject) -> GatewayError:
    """The error that a response has failed with, as it was stored."""
    error = GatewayError(failure["message"], param=failure["param"], code=failure["code"])
    error.status = failure["status"]
    return error


def usage_row(
    response_id: str, event: UsageEvent | None, earlier: JSONObject | None
) -> JSONObject | None:
    """The row of `usage_events` of a response: its last attempt with what earlier ones have used.

    None when no attempt has come so far. The id is the same however often it is made.
    """
    if event is None:
        return earlier
    row = close_record(replace(event, event_id=response_id))
    if earlier is None:
        return row
    for name in SUMMED:
        row[name] += earlier[name]
    costs = (row["cost_usd"], earlier["cost_usd"])
    if None not in costs:
        row["cost_usd"] = str(sum(map(Decimal, costs), Decimal()))
    return row
