"""An error as it is kept: who, where, which; never a message, which may quote what was sent."""

import os
import time

from gateway.structs import Struct, asdict, field
from gateway.wire import JSONObject

_LABEL_CHARS = 200


def _new_id() -> str:
    """Sorts by time: milliseconds since 1970, then chance."""
    return f"err_{int(time.time() * 1000):012x}{os.urandom(6).hex()}"


class ErrorEvent(Struct, frozen=True):
    """One failed attempt at an upstream, or one refusal of the gateway itself.

    `source` is "upstream" or "gateway"; `kind` Anthropic's error type, `code` OpenAI's; `status` is
    the upstream's own where it gave one, 0 where there was no answer. `attempt` counts from 1, 0
    for a refusal; `is_final` tells that the client got this error. `at` is Unix time.
    """

    source: str
    kind: str
    code: str
    status: int
    project: str = ""
    key_id: str = ""
    request_id: str = ""
    endpoint: str = ""
    model: str = ""
    upstream: str = ""
    attempt: int = 0
    is_final: bool = True
    retry_after_seconds: float | None = None
    at: float = field(default_factory=time.time)
    id: str = field(default_factory=_new_id)


def event_row(event: ErrorEvent) -> JSONObject:
    """The fields of an event, texts bounded and without what PostgreSQL does not take."""
    row: JSONObject = asdict(event)
    for name, value in row.items():
        if isinstance(value, str):
            row[name] = value.replace("\x00", "\ufffd")[:_LABEL_CHARS]
    return row
