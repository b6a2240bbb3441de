"""Where append logs are kept: sealed in Valkey, and in memory of this process."""

import zlib
from typing import Protocol

from gateway import wire
from gateway.storage.shelf import Shelf
from gateway.storage.valkey import Valkey, ValkeyDown
from gateway.wire import JSONObject

MAX_LOG_BYTES = 4 * 2**20
"""A longer log, as JSON, is not kept."""

_LOCAL_ENTRIES = 1_000
_LOCAL_BYTES = 16 * 2**20


class Seals(Protocol):
    """Authenticated encryption, see `gateway.security.sealing`."""

    def seal(self, data: bytes, context: bytes) -> str:
        """`data` sealed for `context`."""

    def open(self, text: str, context: bytes) -> bytes | None:
        """What was sealed for `context`, None for anything else."""


class LogStore:
    """Keeps the log of each conversation for `ttl_seconds` after it was used last.

    Asked only for conversations of clients that rewrite, in projects that have chosen it: a round
    trip of its own when another process made the log.
    """

    def __init__(self, valkey: Valkey, seals: Seals, *, ttl_seconds: int) -> None:
        self._valkey = valkey
        self._seals = seals
        self._ttl_seconds = ttl_seconds
        self._local: Shelf[str, tuple[int, list[JSONObject]]] = Shelf(
            max_entries=_LOCAL_ENTRIES, max_size=_LOCAL_BYTES
        )

    async def get(self, project: str, conversation: str, request: int) -> list[JSONObject] | None:
        """The log after the conversation's `request`-th request, None when it is lost."""
        name = _valkey_name(project, conversation)
        known = self._local.get(name)
        if known is not None and known[0] == request:
            return known[1]
        try:
            sealed = await self._valkey.call("GET", name)
        except ValkeyDown:
            return None
        if sealed is None:
            return None
        data = self._seals.open(sealed.decode("ascii", "replace"), name.encode())
        if data is None:
            return None
        stored = wire.loads(zlib.decompress(data))
        if stored["request"] != request:
            return None
        log: list[JSONObject] = stored["messages"]
        return log

    def save(
        self, project: str, conversation: str, request: int, messages: list[JSONObject]
    ) -> None:
        """Keep the log after that request. Never waits."""
        data = wire.dumps({"request": request, "messages": messages})
        if len(data) > MAX_LOG_BYTES:
            return
        name = _valkey_name(project, conversation)
        self._local.put(name, (request, messages), self._ttl_seconds, len(data))
        sealed = self._seals.seal(zlib.compress(data, 1), name.encode())
        _ = self._valkey.call("SET", name, sealed, "EX", self._ttl_seconds)


def _valkey_name(project: str, conversation: str) -> str:
    return f"gateway:{{{project}}}:log:{conversation}"
