"""Prompt cache accounting by the published rules.

A prefix is written at each marker whose prefix has the model's minimum of tokens; a read looks
back from each marker over at most 20 blocks for a prefix written earlier. Lifetimes count from
the start of the request that wrote or read; a hit refreshes for free. Entries belong to one
account and one model. With mixed lifetimes the longest prefix read is A, the last 1 h marker
after it is B, the last marker is C: read A, write B - A for 1 h and C - B for 5 m.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.prompt import Prompt, Segment, chain
from simulator.validation.cache_markers import ttl_of
from simulator.validation.request import CheckedRequest
from simulator.wire import Json, digest, dumps

LOOKBACK_BLOCKS = 20
TTL_SECONDS = {"5m": 300.0, "1h": 3600.0}
_ENTRIES = 100_000  # prefixes kept; each is about 200 bytes


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What a request reads and writes, in tokens; `input_tokens` is the part not cached."""

    input_tokens: int
    read: int = 0
    write_5m: int = 0
    write_1h: int = 0
    writes: tuple[tuple[bytes, str], ...] = ()
    refreshed: tuple[bytes, ...] = ()
    started: float = 0.0

    @property
    def written(self) -> int:
        """Tokens written for any lifetime."""
        return self.write_5m + self.write_1h

    def usage(self) -> Json:
        """The input side of a `usage` object."""
        return {
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": self.written,
            "cache_read_input_tokens": self.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.write_5m,
                "ephemeral_1h_input_tokens": self.write_1h,
            },
        }


@dataclass(slots=True)
class _Entry:
    expires: float
    ttl: str


@dataclass(slots=True)
class PromptCache:
    """The prefixes written so far; `clock` gives seconds and is monotonic."""

    clock: Callable[[], float]
    _entries: OrderedDict[bytes, _Entry] = field(default_factory=OrderedDict)

    def plan(self, request: CheckedRequest, prompt: Prompt, account: str) -> CacheUse:
        """What the request would read and write now; changes nothing."""
        started = self.clock()
        segments = prompt.segments
        marked = [index for index, segment in enumerate(segments) if segment.marker]
        if not marked:
            return CacheUse(input_tokens=prompt.tokens, started=started)
        digests = chain(segments, _salts(request, segments, account))
        totals = _totals(segments)
        hit = self._longest_hit(digests, marked, started)
        return _account(request, segments, (digests, totals, marked), (hit, started))

    def _longest_hit(self, digests: list[bytes], marked: list[int], now: float) -> int:
        """The index of the last segment of the longest prefix alive, or -1."""
        for index in reversed(marked):
            for back in range(index, max(index - LOOKBACK_BLOCKS, -1), -1):
                entry = self._entries.get(digests[back])
                if entry is not None and entry.expires > now:
                    return back
        return -1

    def commit(self, use: CacheUse) -> None:
        """Writes and refreshes, once the response has begun."""
        for key in use.refreshed:
            entry = self._entries.get(key)
            if entry is not None:
                entry.expires = max(entry.expires, use.started + TTL_SECONDS[entry.ttl])
                self._entries.move_to_end(key)
        for key, ttl in use.writes:
            self._entries[key] = _Entry(use.started + TTL_SECONDS[ttl], ttl)
            self._entries.move_to_end(key)
        while len(self._entries) > _ENTRIES:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forgets every prefix."""
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)


def _totals(segments: tuple[Segment, ...]) -> list[int]:
    total = 0
    totals: list[int] = []
    for segment in segments:
        total += segment.tokens
        totals.append(total)
    return totals


def _account(
    request: CheckedRequest,
    segments: tuple[Segment, ...],
    laid: tuple[list[bytes], list[int], list[int]],
    found: tuple[int, float],
) -> CacheUse:
    digests, totals, marked = laid
    hit, started = found
    minimum = request.model.cache_minimum
    read = totals[hit] if hit >= 0 else 0
    fresh = [index for index in marked if index > hit and totals[index] >= minimum]
    lifetimes = [(index, ttl_of(segments[index].marker or {})) for index in fresh]
    last_1h = max((totals[index] for index, ttl in lifetimes if ttl == "1h"), default=read)
    last = max((totals[index] for index in fresh), default=read)
    return CacheUse(
        input_tokens=totals[-1] - last,
        read=read,
        write_1h=last_1h - read,
        write_5m=last - last_1h,
        writes=tuple((digests[index], ttl) for index, ttl in lifetimes),
        refreshed=tuple(digests[index] for index in marked if index < hit)
        + ((digests[hit],) if hit >= 0 else ()),
        started=started,
    )


def _salts(
    request: CheckedRequest, segments: tuple[Segment, ...], account: str
) -> dict[str, bytes]:
    """The settings each level of the cache depends on.

    tools: account and model. system: also speed, output format, web search and citations
    switches. messages: also tool_choice, thinking, effort, and whether there are images.
    """
    body = request.body
    searches = [tool["type"] for tool in request.tools if "web_" in str(tool.get("type"))]
    cited = any(b'"enabled":true' in s.content for s in segments if s.kind == "document")
    thinking = {
        key: value
        for key, value in (body.get("thinking") or {}).items()
        if key not in ("display", "block_binding")
    }
    images = any(segment.kind == "image" for segment in segments)
    return {
        "tools": digest(account.encode(), request.model.id.encode()),
        "system": dumps([body.get("speed"), request.output_config.get("format"), searches, cited]),
        "messages": dumps([body.get("tool_choice"), thinking, request.effort, images]),
    }
