"""Batches in the shape of Message Batches (anthropic 2.12, types/messages/message_batch.py)."""

from datetime import datetime

from gateway import wire
from gateway.storage.batch_items_store import FinishedItem
from gateway.storage.batch_store import BatchRow
from gateway.storage.batch_tables import CANCELLED, EXPIRED, SUCCEEDED
from gateway.wire import JSONObject

_OTHERS = {CANCELLED: "canceled", EXPIRED: "expired"}
_KINDS = {400: "invalid_request_error", 404: "not_found_error", 413: "request_too_large"}


def shown(batch: BatchRow) -> JSONObject:
    """The batch as the API answers it: counts stay 0 until it has ended.

    The address of the results has no host: it is read at the client's own base URL, and the key
    cannot go anywhere else.
    """
    ended = batch.has_ended
    status = "ended" if ended else "canceling" if batch.status == "cancelling" else "in_progress"
    moments = (batch.completed_at, batch.cancelled_at, batch.expired_at, batch.failed_at)
    ended_at = next((moment for moment in moments if moment is not None), None) if ended else None
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": status,
        "request_counts": {
            "processing": 0 if ended else batch.total,
            "succeeded": batch.succeeded if ended else 0,
            "errored": batch.failed if ended else 0,
            "canceled": batch.cancelled if ended else 0,
            "expired": batch.expired if ended else 0,
        },
        "created_at": _rfc3339(batch.created_at),
        "expires_at": _rfc3339(batch.expires_at or batch.created_at),
        "ended_at": _rfc3339(ended_at),
        "cancel_initiated_at": _rfc3339(batch.cancelling_at),
        "archived_at": None,
        "results_url": f"/v1/messages/batches/{batch.id}/results" if ended else None,
    }


def line(item: FinishedItem) -> bytes:
    """The line of an item in the results."""
    result: JSONObject
    if item.state == SUCCEEDED:
        result = {"type": "succeeded", "message": wire.Fragment(item.result or b"null")}
    elif item.state in _OTHERS:
        result = {"type": _OTHERS[item.state]}
    else:
        result = {"type": "errored", "error": _error(item)}
    return wire.dumps({"custom_id": item.custom_id, "result": result})


def _error(item: FinishedItem) -> JSONObject:
    """What a live client would have got: its body, or one made of what is known."""
    body = None if item.result is None else wire.loads(item.result)
    if isinstance(body, dict) and body.get("type") == "error":
        return {"request_id": item.request_id, **body}
    known = item.error or {}
    kind = _KINDS.get(known.get("status") or item.status_code or 500, "api_error")
    message = known.get("message") or "the request failed"
    return {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": item.request_id,
    }


def _rfc3339(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
