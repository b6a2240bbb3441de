"""Reads large requests, and remembers what their first messages came to.

Agents send their whole history with every request. Where a request begins with the bytes of an
earlier one of its project, these messages are not parsed, translated and digested again. What is
sent never depends on what is remembered: bytes that are the same come to the same.
"""

import time
from collections.abc import Callable
from itertools import count

from gateway import wire
from gateway.protocols.shared.digests import BlockDigests
from gateway.protocols.shared.prefix import Prefix, PrefixForm, PrefixUse
from gateway.storage.shelf import Shelf
from gateway.structs import Struct, replace
from gateway.telemetry import series
from gateway.telemetry.metrics import MetricStore
from gateway.wire import JSON, JSONObject

LARGE_BYTES = 16 * 1024
"""Bodies from this size on are looked up; what a smaller one costs is little."""

MAX_BYTES = 16 * 2**20
MAX_ENTRIES = 64

_TEXT_FACTOR = 3  # as bytes, and as read and as sent in strings, of mostly one byte a character
_OBJECT_BYTES = 650  # a dictionary, as read and as translated
_MESSAGE_BYTES = 1600  # with its list, its blocks, and what is known of them
_TAIL_BYTES = 64

_Setting = tuple[bytes | None, ...]
_Owner = tuple[str, PrefixForm]  # of a project, in a protocol


class _Known(Struct, frozen=True):
    """The first messages of a request: their bytes with the bracket before them, and what they are.

    `setting` are the bytes of what else counts, `values` its values.
    """

    owner: _Owner
    setting: _Setting
    values: JSONObject
    raw: bytes
    messages: list[JSON]
    prefix: Prefix

    def begins(self, owner: _Owner, setting: _Setting, raw: bytes) -> bool:
        """True when messages of that owner, under that setting, begin with these."""
        end = len(self.raw)
        return (
            self.owner == owner
            and self.raw[-_TAIL_BYTES:] == raw[end - _TAIL_BYTES : end]  # mostly tells at once
            and self.setting == setting
            and raw.startswith(self.raw)
        )


class Reading(Struct):
    """A body that was read, and how its translation takes part; `keep` it when that is done."""

    body: JSONObject
    prefix: PrefixUse | None = None
    owner: _Owner | None = None
    setting: _Setting = ()
    raw: bytes = b""

    def digests(self) -> BlockDigests:
        """Digests for its blocks, of which those it shares with an earlier request are known.

        Once it is translated.
        """
        use = self.prefix
        if use is None:
            return BlockDigests()
        digests = BlockDigests(use.known.digests if use.known else None)
        if use.reached is not None:
            digests.walks.shared = len(use.reached.rounds.messages)
        return digests


class KnownPrefixes:
    """The prefixes of a process, those used last. Used from its event loop only.

    `seconds` is how long one is kept after its last request. A conversation that grows keeps one.
    """

    def __init__(
        self,
        seconds: float,
        metrics: MetricStore | None = None,
        *,
        max_bytes: int = MAX_BYTES,
        max_entries: int = MAX_ENTRIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._known: Shelf[int, _Known] = Shelf(
            max_entries=max_entries, max_size=max_bytes, clock=clock
        )
        self._keys = count()

    def __len__(self) -> int:
        return len(self._known)

    def read(self, project: str, data: bytes, form: PrefixForm) -> Reading:
        """The body in `data`. Raises InvalidRequestError when it is no JSON object."""
        if len(data) >= LARGE_BYTES:
            try:
                reading = self._read((project, form), data)
            except wire.JSONDecodeError:
                reading = None  # said in full below
            if reading is not None:
                return reading
        return Reading(wire.loads_object(data))

    def _read(self, owner: _Owner, data: bytes) -> Reading | None:
        """The body by its members. What of it is odd is left to who reads it whole."""
        form = owner[1]
        members = {name: member.raw for name, member in wire.loads_members(data).items()}
        raw = members.pop(form.messages, b"")
        if not raw.startswith(b"["):
            return None
        setting = tuple(map(members.get, form.setting))
        found = self._find(owner, setting, raw)
        if found is None:
            body = {name: wire.loads_strictly(value) for name, value in members.items()}
            body[form.messages] = wire.loads_strictly(raw)
            return Reading(body, PrefixUse(), owner, setting, raw)
        key, known = found
        body = {
            name: known.values[name] if name in known.values else wire.loads_strictly(value)
            for name, value in members.items()
        }
        self._known.renew(key, self._seconds)
        if self._metrics is not None:
            self._metrics.add(series.CACHE_HITS, ("prefix",))
        body[form.messages] = [*known.messages, *_rest(raw, len(known.raw))]
        return Reading(body, PrefixUse(known.prefix), owner, setting, raw)

    def _find(self, owner: _Owner, setting: _Setting, raw: bytes) -> tuple[int, _Known] | None:
        """What is known of a beginning of these messages, and its key."""
        self.forget()
        for key, known in self._known.newest():
            if known.begins(owner, setting, raw):
                return key, known
        return None

    def keep(self, reading: Reading, digests: BlockDigests) -> None:
        """Remember how far the translation has come, with what `digests` know of it by now.

        The reading lets go of its bytes: it may live as long as the answer takes.
        """
        raw, reading.raw = reading.raw, b""
        reached = reading.prefix.reached if reading.prefix is not None else None
        if reached is None or reading.owner is None:
            return
        raw = raw[: wire.item_ends(raw)[reached.count - 1]]
        size = _size(raw, reading.setting, reached.count)
        if size > self._max_bytes:
            return
        shorter = self._find(reading.owner, reading.setting, raw)
        if shorter is not None:
            self._known.drop(shorter[0])
        form = reading.owner[1]
        before = [*reached.tools.by_name.values(), *reached.system]
        digests = digests.only(reached.rounds.messages, before)
        known = _Known(
            owner=reading.owner,
            setting=reading.setting,
            values={name: reading.body[name] for name in form.setting if name in reading.body},
            raw=raw,
            messages=reading.body[form.messages][: reached.count],
            prefix=replace(reached, digests=digests),
        )
        self._known.put(next(self._keys), known, self._seconds, size)

    def forget(self) -> None:
        """Let go of what is too old."""
        self._known.forget()


def _size(raw: bytes, setting: _Setting, messages: int) -> int:
    """About how many bytes of memory that takes, with all that is made of it."""
    parts = [raw, *(value for value in setting if value is not None)]
    objects = sum(part.count(b"{") for part in parts)
    texts = sum(map(len, parts))
    return _TEXT_FACTOR * texts + _OBJECT_BYTES * objects + _MESSAGE_BYTES * messages


def _rest(raw: bytes, begin: int) -> list[JSON]:
    """The items of an array that stand behind `begin`, where one has ended."""
    rest = raw[begin:].lstrip(b" \t\r\n")
    if rest.startswith(b","):
        items: list[JSON] = wire.loads_strictly(b"[" + rest[1:])
        return items
    return []
