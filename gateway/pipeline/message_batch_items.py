"""Items of batches through Claude's Message Batches: params on the way up, answers on the way back.

What a batch costs is half of what live requests do.
"""

from contextlib import suppress

from gateway import wire
from gateway.batches.execution import Answered
from gateway.catalog.models import Catalog
from gateway.errors import GatewayError
from gateway.pipeline.batch_items import item_id_of, with_usage
from gateway.pipeline.batch_translation import BatchTranslation, PreparedItem, meter_of
from gateway.pipeline.unattended import told_error
from gateway.protocols.shared.failures import upstream_event_error
from gateway.storage.batch_items_store import ItemResult, ItemRow
from gateway.storage.batch_store import BatchRow
from gateway.storage.batch_tables import FAILED, SUCCEEDED
from gateway.structs import Struct, replace
from gateway.usage.events import (
    NOTHING_USED,
    Outcome,
    RequestOpened,
    TokenUsage,
    close_event,
    close_record,
    now,
    used,
)
from gateway.usage.pricing import cost_usd
from gateway.wire import JSONObject

_NOT_IN_BATCHES = ("speed", "thread", "fallbacks")


class MessageBatchItems(Struct, frozen=True):
    """Translates items and their results. Implements `PartItems`."""

    translation: BatchTranslation
    catalog: Catalog

    def params(self, batch: BatchRow, row: ItemRow) -> bytes | None:
        """The item as params in JSON; None for what Message Batches do not take."""
        try:
            prepared = self._prepared(batch, row)
        except GatewayError:
            return None  # executed by itself it fails, and says why
        if any(prepared.params.get(name) for name in _NOT_IN_BATCHES):
            return None
        return wire.dumps(prepared.params)

    def ended(
        self, batch: BatchRow, row: ItemRow, result: JSONObject, upstream: str
    ) -> Answered | None:
        """What the item comes to by its `result`; None when it is still to be executed."""
        message = result.get("message")
        if result.get("type") == "succeeded" and isinstance(message, dict):
            return self._succeeded(batch, row, message, upstream)
        if result.get("type") == "errored":
            error = upstream_event_error(result.get("error"))
            return None if error.retryable else self._failed(batch, row, error, upstream)
        return None

    def _prepared(self, batch: BatchRow, row: ItemRow) -> PreparedItem:
        return self.translation.prepare_params(batch.endpoint, row.body, batch.project_id)

    def _succeeded(
        self, batch: BatchRow, row: ItemRow, message: JSONObject, upstream: str
    ) -> Answered:
        """The answer in the form of the endpoint; it is paid for even where it has none."""
        meter = meter_of(message)
        usage = used(meter)
        opened = _opened(batch, row)
        try:
            prepared = self._prepared(batch, row)
            result = ItemResult(row.number, SUCCEEDED, 200, prepared.finish(message))
            opened = replace(opened, asked_model=prepared.asked_model, model=prepared.model.id)
            outcome = Outcome("ok", 200, stop_reason=meter.stop_reason)
        except GatewayError as error:
            result, outcome = _failed_with(row, error)
        served = self.catalog.find(meter.upstream_model or "") or self.catalog.find(opened.model)
        outcome = replace(outcome, model=served.id if served is not None else opened.model)
        return self._answered(result, opened, replace(outcome, upstream=upstream), usage)

    def _failed(
        self, batch: BatchRow, row: ItemRow, error: GatewayError, upstream: str
    ) -> Answered:
        """A refused item: Claude bills nothing for it."""
        result, outcome = _failed_with(row, error)
        opened = _opened(batch, row)
        with suppress(GatewayError):
            prepared = self._prepared(batch, row)
            opened = replace(opened, asked_model=prepared.asked_model, model=prepared.model.id)
        return self._answered(result, opened, replace(outcome, upstream=upstream), NOTHING_USED)

    def _answered(
        self, result: ItemResult, opened: RequestOpened, outcome: Outcome, usage: TokenUsage
    ) -> Answered:
        """The result with its usage row, at the price of batches."""
        cost = cost_usd(self.catalog.find(outcome.model), usage, batch=True)
        dated = None if cost is None else self.catalog.collected_on
        outcome = replace(outcome, cost_usd=cost, price_date=dated)
        event = close_event(opened, outcome, usage)
        result = replace(result, request_id=opened.request_id)
        return Answered(with_usage(result, event), close_record(event))


def _opened(batch: BatchRow, row: ItemRow) -> RequestOpened:
    """The item as a request, under an id that is the same however often it is made."""
    started_at, day = now()
    item_id = item_id_of(batch.id, row.number, row.attempts)
    return RequestOpened(
        event_id=item_id,
        day=day,
        started_at=started_at,
        project=batch.project_id,
        key_id=batch.key_id,
        request_id=item_id,
        endpoint=batch.endpoint,
        batch_id=batch.id,
    )


def _failed_with(row: ItemRow, error: GatewayError) -> tuple[ItemResult, Outcome]:
    result = ItemResult(row.number, FAILED, error.status, error=told_error(error))
    return result, Outcome("error", error.status, error_code=error.code)
