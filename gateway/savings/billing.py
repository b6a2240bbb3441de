"""What the API bills for a sequence of Messages requests, by its published rules.

The order of a prompt is tools, system, messages. What stands up to a block is one prefix; its cache
entry depends on all of it and on the settings its level depends on. Entries are written at
breakpoints only, when the prefix has the model's minimum of tokens, and live 5 minutes or 1 hour
from their last use. From each breakpoint, the last one first, an entry is looked for at up to 20
positions backwards, where a run of consecutive `tool_use` or `tool_result` blocks is one position.
With A the highest hit, B the last 1-hour breakpoint and C the last breakpoint, A tokens are read,
B - A written for 1 hour, C - B for 5 minutes, and the rest is plain input.

Sources: Anthropic's pages on prompt caching and pricing, autumn 2026. Requests are taken one after
the other, as if each found what the one before has written. Token counts are estimates.
"""

from collections.abc import Iterator
from typing import Literal

from gateway import wire
from gateway.catalog.models import Model
from gateway.protocols.shared.cache_marks import MAX_MARKS
from gateway.protocols.shared.digests import chained, digest, unmarked
from gateway.savings.token_counts import Tokenizer, factor_of
from gateway.structs import Struct
from gateway.wire import JSON, JSONObject

LOOKBACK_POSITIONS = 20
LIFETIME_SECONDS = {"5m": 300.0, "1h": 3600.0}

# Tokens beside the text, estimates from billed requests and the documentation.
_TOOL_PREAMBLE = 346  # the instructions that tools bring with them
_TOOL_TOKENS, _CALL_TOKENS, _RESULT_TOKENS, _TURN_TOKENS = 8, 18, 14, 4
_IMAGE_TOKENS = 1500
_THINKING = ("thinking", "redacted_thinking")
_RUNS = ("tool_use", "tool_result")

Level = Literal["tools", "system", "messages"]


class RefusedError(ValueError):
    """What the API would answer with a 400."""


class Part(Struct, frozen=True):
    """A block of a prompt. `digest` is that of its content and role; `lifetime` that of its mark,
    None without one.
    """

    level: Level
    kind: str
    tokens: int
    digest: bytes
    lifetime: str | None


class Bill(Struct):
    """Tokens by the price they are paid at, and dollars; bills add up."""

    requests: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    input_usd: float = 0.0
    output_usd: float = 0.0

    @property
    def sent_tokens(self) -> int:
        """All tokens of the prompts."""
        written = self.cache_write_5m_tokens + self.cache_write_1h_tokens
        return self.input_tokens + self.cache_read_tokens + written

    @property
    def usd(self) -> float:
        """Input and output together."""
        return self.input_usd + self.output_usd

    def add(self, other: "Bill") -> None:
        """Takes another bill in."""
        for name in Bill.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def usage(self) -> JSONObject:
        """The `usage` object the API would answer with."""
        return {
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": self.cache_write_5m_tokens + self.cache_write_1h_tokens,
            "cache_read_input_tokens": self.cache_read_tokens,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.cache_write_5m_tokens,
                "ephemeral_1h_input_tokens": self.cache_write_1h_tokens,
            },
            "output_tokens": self.output_tokens,
        }


class TokenCounter:
    """Tokens of blocks for one model; a block that was counted before costs a digest."""

    def __init__(self, tokenizer: Tokenizer, model: Model, factor: float | None = None) -> None:
        self._count = tokenizer.count
        self._factor = factor_of(model) if factor is None else factor
        self._known: dict[bytes, int] = {}

    def block(self, block: JSONObject, data: bytes, key: bytes) -> int:
        """Tokens of a content block; `data` is its JSON, `key` the digest of that."""
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._fresh(block, data)
        return known

    def text(self, text: str) -> int:
        """Tokens of a text."""
        return int(self._count(text) * self._factor + 0.5) if text else 0

    def _fresh(self, block: JSONObject, data: bytes) -> int:
        kind = block.get("type")
        if kind == "text":
            return self.text(block["text"])
        if kind == "tool_use":
            arguments = wire.dumps_text(block.get("input") or {})
            return _CALL_TOKENS + self.text(block["name"]) + self.text(arguments)
        if kind == "tool_result":
            return _RESULT_TOKENS + sum(map(self._inner, _as_blocks(block.get("content"))))
        if kind in _THINKING:
            return self.text(block.get("thinking") or block.get("data") or "")
        if kind == "image":
            return _IMAGE_TOKENS
        return self.text(data.decode())  # a tool, a document, a block of a newer kind

    def _inner(self, block: JSONObject) -> int:
        return _IMAGE_TOKENS if block.get("type") == "image" else self.text(block.get("text") or "")


def read_parts(body: JSONObject, count: TokenCounter) -> list[Part]:
    """The blocks of a Messages request in the order of its prompt."""
    return list(_parts(body, count))


def _parts(body: JSONObject, count: TokenCounter) -> Iterator[Part]:
    for index, tool in enumerate(body.get("tools") or ()):
        extra = _TOOL_TOKENS + (_TOOL_PREAMBLE if index == 0 else 0)
        yield _part("tools", "tool", tool, count, extra)
    for block in _as_blocks(body.get("system")):
        yield _part("system", "text", block, count)
    before = ""
    for message in body["messages"]:
        role = message["role"]
        for block in _as_blocks(message["content"]):
            extra = _TURN_TOKENS if role != before else 0
            before = role
            yield _part("messages", block.get("type", "text"), block, count, extra, role)


def _part(
    level: Level,
    kind: str,
    block: JSONObject,
    count: TokenCounter,
    extra: int = 0,
    role: str = "",
) -> Part:
    mark = block.get("cache_control")
    data = wire.dumps(unmarked(block))
    key = digest(data)
    tokens = count.block(block, data, key) + extra
    if mark is not None and (
        kind in _THINKING or (kind == "text" and not block.get("text", "").strip())
    ):
        raise RefusedError(f"cache_control cannot be set on an empty or a {kind} block")
    lifetime = None if mark is None else str(mark.get("ttl") or "5m")
    return Part(level, kind, tokens, chained(role.encode(), key), lifetime)


def _as_blocks(content: JSON) -> list[JSONObject]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return list(content or ())


class _Entry(Struct):
    lifetime: str
    expires: float


class Billing:
    """The cache of one workspace over time: `bill` each request, in the order of time."""

    def __init__(self, model: Model, count: TokenCounter) -> None:
        self._model = model
        self._count = count
        self._entries: dict[bytes, _Entry] = {}

    def bill(self, body: JSONObject, seconds: float, answer: list[JSONObject]) -> Bill:
        """What a request costs that is sent at `seconds` and answered with the blocks `answer`.

        Raises RefusedError for marks the API does not take.
        """
        parts = read_parts(body, self._count)
        marks = _marks(body, parts)
        keys = _prefix_keys(body, parts, self._model.id)
        ends = _ends(parts)
        live = [place for place in marks if ends[place] >= self._model.cache_minimum_tokens]
        hit = self._longest_hit(parts, keys, live, seconds)
        read = ends[hit] if hit >= 0 else 0
        self._touch(keys, parts, [*([hit] if hit >= 0 else []), *live], seconds)
        last_hour = max((ends[p] for p in live if parts[p].lifetime == "1h" and p > hit), default=0)
        written_1h = max(0, last_hour - read)
        end = max((ends[place] for place in live if place > hit), default=read)
        output = sum(self._output_tokens(block) for block in answer)
        whole = ends[-1] if ends else 0
        bill = Bill(1, whole - end, read, end - read - written_1h, written_1h, output)
        return priced(bill, self._model)

    def _output_tokens(self, block: JSONObject) -> int:
        data = wire.dumps(block)
        return self._count.block(block, data, digest(data))

    def _longest_hit(
        self, parts: list[Part], keys: list[bytes], live: list[int], now: float
    ) -> int:
        """The place of the longest prefix that can be read, -1 for none."""
        for place in reversed(live):
            for back in _window(parts, place):
                entry = self._entries.get(keys[back])
                if entry is not None and entry.expires >= now:
                    return back
        return -1

    def _touch(self, keys: list[bytes], parts: list[Part], places: list[int], now: float) -> None:
        """Refresh what is alive, for its own lifetime; write the rest for that of its mark."""
        for place in places:
            entry = self._entries.get(keys[place])
            if entry is not None and entry.expires >= now:
                entry.expires = max(entry.expires, now + LIFETIME_SECONDS[entry.lifetime])
            else:
                lifetime = parts[place].lifetime or "5m"
                self._entries[keys[place]] = _Entry(lifetime, now + LIFETIME_SECONDS[lifetime])


def priced(bill: Bill, model: Model) -> Bill:
    """The bill of one request with its dollars. Raises RefusedError when there is no price."""
    price = model.price_for(bill.sent_tokens)
    if price is None:
        raise RefusedError(f"nobody has told what {model.id} costs")
    bill.input_usd = (
        bill.input_tokens * price.input
        + bill.cache_read_tokens * price.cache_read
        + bill.cache_write_5m_tokens * price.cache_write_5m
        + bill.cache_write_1h_tokens * price.cache_write_1h
    ) / 1e6
    bill.output_usd = bill.output_tokens * price.output / 1e6
    return bill


def _window(parts: list[Part], place: int) -> Iterator[int]:
    """The places a breakpoint looks at, itself first."""
    positions, run = 0, ""
    for back in range(place, -1, -1):
        kind = parts[back].kind if parts[back].kind in _RUNS else ""
        if not kind or kind != run:
            positions += 1
            if positions > LOOKBACK_POSITIONS:
                return
        run = kind
        yield back


def _marks(body: JSONObject, parts: list[Part]) -> list[int]:
    """The places of the breakpoints, in order. Raises RefusedError for those no request may have.

    A mark at the top of the body is one on the last block that can carry it.
    """
    places = [place for place, part in enumerate(parts) if part.lifetime is not None]
    automatic = body.get("cache_control")
    if automatic is not None and parts:
        last = max((p for p, part in enumerate(parts) if part.kind not in _THINKING), default=0)
        if last not in places:
            places.append(last)
            old = parts[last]
            lifetime = str(automatic.get("ttl") or "5m")
            parts[last] = Part(old.level, old.kind, old.tokens, old.digest, lifetime)
    if len(places) > MAX_MARKS:
        raise RefusedError(f"{len(places)} breakpoints, at most {MAX_MARKS} are allowed")
    lifetimes = [parts[place].lifetime for place in places]
    if "5m" in lifetimes and "1h" in lifetimes[lifetimes.index("5m") :]:
        raise RefusedError("a breakpoint for 1 hour stands behind one for 5 minutes")
    return places


def _prefix_keys(body: JSONObject, parts: list[Part], model: str) -> list[bytes]:
    """A key for the prefix that ends with each block, in which all counts that invalidates it."""
    config = body.get("output_config") or {}
    images = any(part.kind == "image" for part in parts) or _has_inner_images(body)
    thinking = {k: v for k, v in (body.get("thinking") or {}).items() if k != "display"}
    settings: dict[Level, JSON] = {
        "tools": model,
        "system": [body.get("speed"), config.get("format")],
        "messages": [body.get("tool_choice"), images, thinking, config.get("effort")],
    }
    keys: list[bytes] = []
    key, place = b"", 0
    for level, setting in settings.items():
        key = chained(key, wire.dumps_sorted(setting))
        while place < len(parts) and parts[place].level == level:
            key = chained(key, parts[place].digest)
            keys.append(key)
            place += 1
    return keys


def _has_inner_images(body: JSONObject) -> bool:
    return any(
        inner.get("type") == "image"
        for message in body["messages"]
        for block in _as_blocks(message["content"])
        if block.get("type") == "tool_result"
        for inner in _as_blocks(block.get("content"))
    )


def _ends(parts: list[Part]) -> list[int]:
    """How many tokens there are up to the end of each block."""
    total, ends = 0, []
    for part in parts:
        total += part.tokens
        ends.append(total)
    return ends
