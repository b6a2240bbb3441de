"""Where append logs are kept: sealed in Valkey, and in memory of this process."""

import zlib

from gateway import wire
from gateway.reduction.state import ConversationState
from gateway.storage.sealed import Seals, opened
from gateway.storage.shelf import Shelf
from gateway.storage.valkey import Valkey, ValkeyDown
from gateway.structs import Struct
from gateway.wire import JSONObject

MAX_LOG_BYTES = 4 * 2**20
"""A longer log, as JSON, is not kept."""

_LOCAL_ENTRIES = 1_000
_LOCAL_BYTES = 16 * 2**20


class Log(Struct, frozen=True):
    """What was sent for one request, before any pass. `said` is the digest of all the messages that
    the client had sent in it (`Beginnings.whole`).
    """

    said: bytes
    messages: list[JSONObject]


class LogStore:
    """Keeps the log of each conversation for `ttl_seconds` after it was used last.

    A log is text, so it is kept apart by caller as well: two people whose conversations are taken
    for one get no words of each other.

    Asked only for conversations of clients that rewrite, in projects that have chosen it: a round
    trip of its own when another process made the log.
    """

    def __init__(self, valkey: Valkey, seals: Seals, *, ttl_seconds: int) -> None:
        self._valkey = valkey
        self._seals = seals
        self._ttl_seconds = ttl_seconds
        self._local: Shelf[str, tuple[str, Log]] = Shelf(
            max_entries=_LOCAL_ENTRIES, max_size=_LOCAL_BYTES
        )

    async def get(self, project: str, caller: str, state: ConversationState) -> Log | None:
        """The log of the request that left `state`; None when it is lost, or of another request."""
        name, request = _valkey_name(project, caller, state), _request(state)
        known = self._local.get(name)
        if known is not None and known[0] == request:
            return known[1]
        try:
            sealed = await self._valkey.call("GET", name)
        except ValkeyDown:
            return None
        data = opened(self._seals, sealed, name.encode())
        if data is None:
            return None
        stored = wire.loads(zlib.decompress(data))
        if stored["request"] != request:
            return None
        return Log(bytes.fromhex(stored["said"]), stored["messages"])

    def save(self, project: str, caller: str, state: ConversationState, log: Log) -> None:
        """Keep the log of the request that left `state`. Never waits."""
        request = _request(state)
        stored = {"request": request, "said": log.said.hex(), "messages": log.messages}
        data = wire.dumps(stored)
        if len(data) > MAX_LOG_BYTES:
            return
        name = _valkey_name(project, caller, state)
        self._local.put(name, (request, log), self._ttl_seconds, len(data))
        sealed = self._seals.seal(zlib.compress(data, 1), name.encode())
        _ = self._valkey.call("SET", name, sealed, "EX", self._ttl_seconds)


def _request(state: ConversationState) -> str:
    """What tells the request that left a state from all others, parallel ones too."""
    return f"{state.requests} {state.at!r} {state.question.hex()}"


def _valkey_name(project: str, caller: str, state: ConversationState) -> str:
    return f"gateway:{{{project}}}:log:{caller}:{state.id}"
