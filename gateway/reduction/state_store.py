"""Where conversation states are kept: memory of this process, and Valkey for all of them.

What is lost costs money, not correctness: without its state a request is sent as a first one is.
"""

import contextlib
from collections.abc import Awaitable, Sequence

from gateway.reduction.state import ConversationState, dump_state, load_state
from gateway.storage.shared_lookup import SharedLookup, Values
from gateway.storage.shelf import Shelf
from gateway.storage.valkey import Valkey, ValkeyDown

_LOCAL_ENTRIES = 20_000
_LOCAL_BYTES = 2**19  # some 1,500 conversations, which take about twice that in all


class StateStore:
    """Keeps states for `ttl_seconds` after they were used last."""

    def __init__(self, valkey: Valkey, *, ttl_seconds: int) -> None:
        self._valkey = valkey
        self._ttl_seconds = ttl_seconds
        self._local: Shelf[tuple[str, str], bytes] = Shelf(
            max_entries=_LOCAL_ENTRIES, max_size=_LOCAL_BYTES
        )

    def look_up(self, project: str, keys: Sequence[str], shared: SharedLookup) -> "StateLookup":
        """The states under `keys`, of which there is one at least; asked for with `shared`, unless
        this process has the first.

        The first key stands for all that was said, so nobody can know a later state of it.
        """
        newest = self._local.get((project, keys[0]))
        if newest is not None:
            return StateLookup([newest], None)
        local = [self._local.get((project, key)) for key in keys]
        reply = shared.ask([_valkey_name(project, key) for key in keys])
        return StateLookup(local, reply)

    def save(self, project: str, keys: Sequence[str], state: ConversationState) -> None:
        """Keep `state` under each of `keys`. Never waits."""
        data = dump_state(state)
        for key in keys:
            self._local.put((project, key), data, self._ttl_seconds, len(data))
            _ = self._valkey.call("SET", _valkey_name(project, key), data, "EX", self._ttl_seconds)


class StateLookup:
    """A look-up under way; may be dropped without being awaited."""

    def __init__(self, local: list[bytes | None], reply: Awaitable[Values] | None) -> None:
        self._local = local
        self._reply = reply

    async def found(self) -> list[ConversationState | None]:
        """The states in the order of their keys. Never raises."""
        values = self._local
        if self._reply is not None:
            with contextlib.suppress(ValkeyDown):
                shared = await self._reply
                values = [there or here for there, here in zip(shared, values, strict=True)]
        return [load_state(value) if value is not None else None for value in values]


def _valkey_name(project: str, key: str) -> str:
    # The braces keep all keys of a project on one node of a cluster, as MGET wants.
    return f"gateway:{{{project}}}:conversation:{key}"
