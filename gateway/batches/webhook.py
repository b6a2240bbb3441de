"""What a client's server is told when a batch has ended."""

import hashlib
import hmac
import time

from gateway import wire
from gateway.storage.batch_store import BatchRow

SIGNATURE_HEADER = "X-Gateway-Signature"


def webhook_body(batch: BatchRow) -> bytes:
    """The notice: what has ended and how, nothing of requests and answers."""
    return wire.dumps(
        {
            "type": f"batch.{batch.status}",
            "created_at": int(time.time()),
            "data": {
                "id": batch.id,
                "status": batch.status,
                "request_counts": {
                    "total": batch.total,
                    "completed": batch.succeeded,
                    "failed": batch.failed,
                    "cancelled": batch.cancelled,
                    "expired": batch.expired,
                },
                "metadata": batch.metadata,
            },
        }
    )


def webhook_headers(batch: BatchRow, body: bytes, secret: str | None) -> dict[str, str]:
    """Headers of the notice. `X-Gateway-Signature` is `t=<Unix time>,v1=<HMAC-SHA256 in hex>` over
    `<t>.<body>`, when a secret is set; `X-Gateway-Event-Id` is the same for every delivery.
    """
    headers = {
        "content-type": "application/json",
        "accept": "*/*",
        "X-Gateway-Event-Id": f"{batch.id}-{batch.status}-{batch.finished}",
    }
    if secret:
        at = int(time.time())
        signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
        headers[SIGNATURE_HEADER] = f"t={at},v1={signed.hexdigest()}"
    return headers
