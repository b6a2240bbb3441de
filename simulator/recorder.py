"""What the simulator received, for assertions: a bounded ring of records."""

import base64
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from simulator.wire import Json, JsonError, JsonValue, loads

MAX_RECORDS = 1000
MAX_BYTES = 64 * 1024 * 1024  # of request bodies kept, all records together
_SECRET_HEADERS = frozenset({"authorization", "x-api-key", "cookie", "proxy-authorization"})


@dataclass(slots=True)
class Record:
    """One request. Times are Unix seconds.

    `left_at` is set when the client left before the answer's end; `scripted` says whether a
    script or marker decided the answer.
    """

    number: int
    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    received_at: float
    body: bytes = b""
    status: int | None = None
    request_id: str = ""
    error: Json | None = None
    ended_at: float | None = None
    left_at: float | None = None
    bytes_sent: int = 0
    events_sent: int = 0
    scripted: bool = False
    usage: Json = field(default_factory=dict)

    @property
    def client_left(self) -> bool:
        """Whether the client left before the end."""
        return self.left_at is not None

    def as_json(self) -> Json:
        """The record as the control endpoint shows it, credentials redacted."""
        return {
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": [[name, _shown(name, value)] for name, value in self.headers],
            "body_base64": base64.b64encode(self.body).decode(),
            "body": _parsed(self.body),
            "status": self.status,
            "request_id": self.request_id,
            "error": self.error,
            "received_at": self.received_at,
            "ended_at": self.ended_at,
            "client_left": self.client_left,
            "left_at": self.left_at,
            "bytes_sent": self.bytes_sent,
            "events_sent": self.events_sent,
            "scripted": self.scripted,
            "usage": self.usage,
        }


def _shown(name: str, value: str) -> str:
    if name.lower() not in _SECRET_HEADERS:
        return value
    scheme, space, _ = value.partition(" ")
    return f"{scheme} ***" if space else "***"


def _parsed(body: bytes) -> JsonValue:
    try:
        return loads(body) if body else None
    except JsonError:
        return None


@dataclass(slots=True)
class Recorder:
    """The newest records; old ones go when there are too many or they are too big."""

    _records: deque[Record] = field(default_factory=deque)
    _bytes: int = 0

    def add(self, record: Record) -> None:
        """Keeps a record whose body has been read."""
        self._records.append(record)
        self._bytes += len(record.body)
        while len(self._records) > MAX_RECORDS or self._bytes > MAX_BYTES:
            self._bytes -= len(self._records.popleft().body)

    def listing(self, path: str | None = None, limit: int | None = None) -> list[Json]:
        """Records oldest first, of one path if given, the newest `limit` of them."""
        chosen: Iterable[Record] = self._records
        records = [record for record in chosen if path is None or record.path == path]
        return [record.as_json() for record in (records[-limit:] if limit else records)]

    def clear(self) -> None:
        """Forgets all records."""
        self._records.clear()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._records)
