"""Summaries by a model: named by what they stand for, sealed, and chosen once for a cut.

A summary is prepared between the moment the place of the next cut is settled and the cut itself.
Whether it is there in time decides what the cut says, and that is recorded with the conversation:
what was sent once stays. Without the record, or without the summary, there is the extract.
"""

import zlib
from collections.abc import Awaitable, Sequence

from gateway import wire
from gateway.protocols.shared.digests import BlockDigests, chained
from gateway.storage.sealed import Seals, opened
from gateway.storage.shared_lookup import SharedLookup, Values
from gateway.storage.shelf import Shelf
from gateway.storage.valkey import Valkey, ValkeyDown
from gateway.structs import Struct
from gateway.wire import JSONObject

SOURCE_TTL_SECONDS = 3_600
"""How long what is to be summarised waits for a worker."""

_LOCAL_ENTRIES = 500
_LOCAL_BYTES = 8 * 2**20
_EXTRACT = "-"  # before the key in a record: the extract was used


def summary_key(
    project: str, messages: Sequence[JSONObject], start: int, digests: BlockDigests
) -> str:
    """What the summary of the client's messages before `start` goes by: 32 hex digits."""
    said = [digests.of_message(message) for message in messages[:start]]
    return chained(b"summary", project.encode(), *said).hex()


def choose_summary(key: str, recorded: str | None, found: str | None) -> tuple[str | None, str]:
    """The summary to use for the cut named by `key`, None for the extract; and the new record.

    `recorded` is what this gave for the conversation's previous request. A summary that is lost is
    not waited for again.
    """
    if recorded == _EXTRACT + key or found is None:
        return None, _EXTRACT + key
    return found, key


def declared(summary: str, messages: int) -> str:
    """A model's summary as it stands in the place of so many messages."""
    return (
        f"[... {messages} earlier messages of this conversation removed by the gateway to keep it "
        "short. A summary of them, written by a model, follows; read a file or run a command again "
        f"where you need more. ...]\n\n{summary}"
    )


class SummarySource(Struct, frozen=True):
    """What is to be summarised: the text, and how long its summary may be."""

    text: str
    max_chars: int


class SummaryStore:
    """Keeps summaries for `ttl_seconds` after they were used last, and what they are made from."""

    def __init__(self, valkey: Valkey, seals: Seals, *, ttl_seconds: int) -> None:
        self._valkey = valkey
        self._seals = seals
        self._ttl_seconds = ttl_seconds
        self._local: Shelf[str, str] = Shelf(max_entries=_LOCAL_ENTRIES, max_size=_LOCAL_BYTES)

    def look_up(self, project: str, key: str, shared: SharedLookup) -> "SummaryLookup":
        """The summary of that key; asked for with `shared`, unless this process has it."""
        name = _valkey_name(project, key)
        local = self._local.get(name)
        return SummaryLookup(self, name, local, None if local else shared.ask([name]))

    def used(self, project: str, key: str) -> None:
        """Keep the summary for longer. Never waits."""
        _ = self._valkey.call("EXPIRE", _valkey_name(project, key), self._ttl_seconds)

    async def find(self, project: str, key: str) -> str | None:
        """The summary, None when there is none. Raises ValkeyDown."""
        name = _valkey_name(project, key)
        return self.opened(name, await self._valkey.call("GET", name))

    async def save(self, project: str, key: str, summary: str) -> None:
        """Keep a summary, and forget what it was made from. Raises ValkeyDown."""
        name = _valkey_name(project, key)
        sealed = self._seals.seal(summary.encode("utf-8", "replace"), name.encode())
        await self._valkey.call("SET", name, sealed, "EX", self._ttl_seconds)
        await self._valkey.call("DEL", _source_name(project, key))

    def opened(self, name: str, value: bytes | None) -> str | None:
        """The summary in a stored value, remembered in this process."""
        data = opened(self._seals, value, name.encode())
        if data is None:
            return None
        self._local.put(name, summary := data.decode(), self._ttl_seconds, len(data))
        return summary

    def sealed_source(self, project: str, key: str, source: SummarySource) -> str:
        """`source` sealed for `put_source`; takes some milliseconds."""
        data = wire.dumps({"text": source.text, "max_chars": source.max_chars})
        return self._seals.seal(zlib.compress(data, 1), _source_name(project, key).encode())

    async def put_source(self, project: str, key: str, sealed: str) -> bool:
        """Keep a sealed source; False when another process has done so. Raises ValkeyDown."""
        name = _source_name(project, key)
        done = await self._valkey.call("SET", name, sealed, "NX", "EX", SOURCE_TTL_SECONDS)
        return done is not None

    async def drop_source(self, project: str, key: str) -> None:
        """Forget a source. Raises ValkeyDown."""
        await self._valkey.call("DEL", _source_name(project, key))

    async def source(self, project: str, key: str) -> SummarySource | None:
        """What is to be summarised, None when it is gone. Raises ValkeyDown."""
        name = _source_name(project, key)
        data = opened(self._seals, await self._valkey.call("GET", name), name.encode())
        if data is None:
            return None
        stored = wire.loads(zlib.decompress(data))
        return SummarySource(stored["text"], stored["max_chars"])


class SummaryLookup:
    """A look-up under way; may be dropped without being awaited."""

    def __init__(
        self, store: SummaryStore, name: str, local: str | None, reply: Awaitable[Values] | None
    ) -> None:
        self._store = store
        self._name = name
        self._local = local
        self._reply = reply

    async def found(self) -> str | None:
        """The summary, None when there is none. Never raises."""
        if self._reply is None:
            return self._local
        try:
            values = await self._reply
        except ValkeyDown:
            return None
        return self._store.opened(self._name, values[0])


def _valkey_name(project: str, key: str) -> str:
    # The braces keep all keys of a project on one node of a cluster, as MGET wants.
    return f"gateway:{{{project}}}:summary:{key}"


def _source_name(project: str, key: str) -> str:
    return f"gateway:{{{project}}}:summarise:{key}"
