"""Batches in OpenAI's shape (openai 3.54, types/batch.py), and the lines of their files."""

import hashlib
from datetime import datetime

from gateway import wire
from gateway.storage.batch_items_store import FinishedItem
from gateway.storage.batch_store import BatchRow
from gateway.storage.batch_tables import CANCELLED, EXPIRED, SUCCEEDED
from gateway.wire import JSONObject

_STATUSES = {"paused": "in_progress"}
_CODES = {CANCELLED: "batch_cancelled", EXPIRED: "batch_expired"}
_MESSAGES = {
    CANCELLED: "This request was not executed because its batch was cancelled.",
    EXPIRED: "This request could not be executed before the completion window expired.",
}
_MOMENTS = ("expires", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


def shown(batch: BatchRow) -> JSONObject:
    """The batch as the API answers it."""
    errors = batch.errors
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "errors": None if errors is None else {"object": "list", "data": errors},
        "input_file_id": batch.input_file_id or "",
        "completion_window": "24h",
        "status": _STATUSES.get(batch.status, batch.status),
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": unix(batch.created_at),
        "in_progress_at": unix(batch.started_at),
        **{f"{name}_at": unix(getattr(batch, f"{name}_at")) for name in _MOMENTS},
        "request_counts": {
            "total": batch.total,
            "completed": batch.succeeded,
            "failed": batch.failed + batch.expired,
        },
        "usage": {
            "input_tokens": batch.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": batch.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": batch.input_tokens + batch.output_tokens,
        },
        "metadata": batch.metadata,
    }


def line(batch_id: str, item: FinishedItem) -> bytes:
    """The line of an item in the output file, or in the error file when it did not succeed."""
    response: JSONObject | None = None
    error: JSONObject | None = None
    if item.result is not None:
        response = {
            "status_code": item.status_code,
            "request_id": item.request_id,
            "body": wire.Fragment(item.result),
        }
    elif item.state in _CODES:
        error = {"code": _CODES[item.state], "message": _MESSAGES[item.state]}
    else:
        known = item.error or {}
        error = {"code": known.get("code"), "message": known.get("message")}
    request_id = hashlib.sha256(f"{batch_id}/{item.number}".encode()).hexdigest()[:24]
    return wire.dumps(
        {
            "id": f"batch_req_{request_id}",
            "custom_id": item.custom_id,
            "response": response,
            "error": error,
        }
    )


def belongs_to_output(item: FinishedItem) -> bool:
    """True for the lines of the output file; the others are in the error file."""
    return item.state == SUCCEEDED


def unix(moment: datetime | None) -> int | None:
    """A moment as OpenAI writes it: seconds since 1970."""
    return None if moment is None else int(moment.timestamp())
