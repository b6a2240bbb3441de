"""Batches in the gateway's own, shortest form: what is asked, and what is shown."""

import re
from datetime import UTC, datetime

from gateway import wire
from gateway.batches.checks import ENDPOINTS
from gateway.batches.input import MAX_ITEMS, Asked
from gateway.durable import batch_workflow_id
from gateway.errors import InvalidRequestError
from gateway.protocols.shared.reading import invalid, optional_string, storable, wrong_type
from gateway.storage.batch_items_store import FinishedItem
from gateway.storage.batch_store import BatchRow
from gateway.storage.batch_tables import CANCELLED, EXPIRED, FAILED, SUCCEEDED
from gateway.structs import Struct
from gateway.wire import JSON, JSONObject

MODES = ("auto", "anthropic", "paced")
"""How a batch may ask to be executed."""

_MAX_PARALLELISM = 1_000
_STATES = {SUCCEEDED: "succeeded", FAILED: "failed", CANCELLED: "cancelled", EXPIRED: "expired"}
_WEBHOOK = re.compile(r"https?://[^\s/]+\S*").fullmatch
_MOMENTS = ("created", "started", "paused", "completed", "failed", "cancelled", "expired")


class ShortRequest(Struct, frozen=True):
    """What a client asks for. One of `requests` and `input_file_id` is given."""

    requests: list[JSON] | None
    input_file_id: str | None
    endpoint: str
    mode: str
    parallelism: int
    metadata: JSONObject | None
    webhook: str | None


def read_short(body: JSONObject) -> ShortRequest:
    """What `body` asks for. Raises InvalidRequestError with the JSON path in `param`."""
    requests = body.get("requests")
    file_id = optional_string(body.get("input_file_id"), "input_file_id")
    if (requests is None) == (file_id is None):
        raise InvalidRequestError("one of requests and input_file_id is needed", param="requests")
    if requests is not None:
        requests = read_requests(requests)
    endpoint = optional_string(body.get("endpoint"), "endpoint") or "/v1/chat/completions"
    if endpoint not in ENDPOINTS:
        raise invalid("endpoint", "must be one of " + ", ".join(ENDPOINTS))
    mode = optional_string(body.get("mode"), "mode") or "auto"
    if mode not in MODES:
        raise invalid("mode", "must be auto, anthropic or paced")
    webhook = optional_string(body.get("webhook"), "webhook")
    if webhook is not None and (not _WEBHOOK(webhook) or len(webhook) > 2000):
        raise invalid("webhook", "must be an http or https address")
    storable(f"{webhook or ''}{file_id or ''}", "webhook" if webhook else "input_file_id")
    parallelism, metadata = _parallelism(body.get("parallelism")), read_metadata(body)
    return ShortRequest(requests, file_id, endpoint, mode, parallelism, metadata, webhook)


def read_requests(requests: JSON) -> list[JSON]:
    """The list of requests, which has some. Raises InvalidRequestError."""
    if not isinstance(requests, list):
        raise wrong_type("requests", "an array", requests)
    if not requests:
        raise invalid("requests", "must not be empty")
    if len(requests) > MAX_ITEMS:
        raise invalid("requests", f"may have {MAX_ITEMS:,} items")
    return requests


def read_metadata(body: JSONObject) -> JSONObject | None:
    """Up to 16 texts by name, as OpenAI takes them. Raises InvalidRequestError."""
    metadata = body.get("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise wrong_type("metadata", "an object", metadata)
    if len(metadata) > 16:
        raise invalid("metadata", "may have 16 entries")
    for name, value in metadata.items():
        if len(name) > 64 or not isinstance(value, str) or len(value) > 512:
            raise invalid("metadata", "has names of 64 and texts of 512 characters at most")
        storable(name + value, "metadata")
    return metadata


def read_item(request: JSON, number: int) -> Asked:
    """An item: a body with its custom id beside its own fields."""
    path = f"requests[{number}]"
    if not isinstance(request, dict):
        return Asked(str(number), request, path)
    body = {name: value for name, value in request.items() if name != "custom_id"}
    return Asked(request.get("custom_id", f"request-{number}"), body, path)


def shown(batch: BatchRow, first_errors: list[JSONObject], ui_namespace_url: str) -> JSONObject:
    """The batch with all that is known of it. `ui_namespace_url` is empty without a UI."""
    workflow_id = batch_workflow_id(batch.id)
    return {
        "id": batch.id,
        "object": "gateway.batch",
        "status": batch.status,
        "form": batch.form,
        "endpoint": batch.endpoint,
        "mode": batch.mode,
        "chosen_mode": batch.chosen_mode,
        "mode_reason": batch.mode_reason or None,
        "parallelism": batch.parallelism or None,
        "counts": {
            "total": batch.total,
            "waiting": batch.total - batch.finished,
            "succeeded": batch.succeeded,
            "failed": batch.failed,
            "cancelled": batch.cancelled,
            "expired": batch.expired,
        },
        "cost_usd": float(batch.cost_usd),
        "usage": {"input_tokens": batch.input_tokens, "output_tokens": batch.output_tokens},
        **{f"{name}_at": _iso(getattr(batch, f"{name}_at")) for name in _MOMENTS},
        "expires_at": _iso(batch.expires_at),
        "estimated_end_at": _iso(estimated_end(batch, datetime.now(UTC))),
        "input_file_id": batch.input_file_id,
        "errors": batch.errors,
        "first_errors": first_errors,
        "metadata": batch.metadata,
        "webhook": batch.webhook,
        "results_url": f"/v1/batch/{batch.id}/results",
        "workflow_id": workflow_id,
        "workflow_url": f"{ui_namespace_url}/{workflow_id}" if ui_namespace_url else None,
    }


def estimated_end(batch: BatchRow, now: datetime) -> datetime | None:
    """When the batch will be done at the speed so far; None when nothing is known of it."""
    if batch.status != "in_progress" or batch.started_at is None or not batch.finished:
        return None
    each = (now - batch.started_at) / batch.finished
    return now + each * (batch.total - batch.finished)


def line(item: FinishedItem) -> bytes:
    """The line of an item in the results."""
    return wire.dumps(
        {
            "index": item.number,
            "custom_id": item.custom_id,
            "status": _STATES[item.state],
            "status_code": item.status_code,
            "request_id": item.request_id,
            "body": None if item.result is None else wire.Fragment(item.result),
            "error": item.error,
        }
    )


def _parallelism(value: JSON) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type("parallelism", "an integer", value)
    if not 1 <= value <= _MAX_PARALLELISM:
        raise invalid("parallelism", f"must be 1 to {_MAX_PARALLELISM:,}")
    return value


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
