"""cache_control markers: how many, where, and in which order of lifetime."""

from collections.abc import Iterator, Sequence

from simulator.errors import ApiError, invalid
from simulator.validation.conversation import blocks_of
from simulator.wire import Json

MAX_MARKERS = 4
_UNCACHEABLE = frozenset({"thinking", "redacted_thinking"})


def ttl_of(marker: Json) -> str:
    """The lifetime a marker asks for."""
    return str(marker.get("ttl") or "5m")


def cacheable(block: Json) -> bool:
    """Whether a marker may sit on the block."""
    return block["type"] not in _UNCACHEABLE and not (block["type"] == "text" and not block["text"])


def check_markers(
    tools: Sequence[Json], system: Sequence[Json], messages: Sequence[Json], top_level: Json | None
) -> None:
    """All rules; `top_level` is the request's own `cache_control` (the automatic marker)."""
    markers = list(_explicit(tools, system, messages))
    count = len(markers)
    if top_level is not None:
        last = _last_block_path(messages)
        same = next((marker for path, marker in markers if path == last), None)
        if same is None:
            count += 1
        elif ttl_of(same) != ttl_of(top_level):
            raise invalid(
                "cache_control",
                "the top-level `cache_control` and the explicit `cache_control` on the last "
                "cacheable block must have the same ttl",
            )
    if count > MAX_MARKERS:
        raise ApiError(
            400,
            f"A maximum of {MAX_MARKERS} blocks with cache_control may be provided. Found {count}.",
        )
    _check_order(markers, top_level)


def _explicit(
    tools: Sequence[Json], system: Sequence[Json], messages: Sequence[Json]
) -> Iterator[tuple[str, Json]]:
    for index, tool in enumerate(tools):
        if tool.get("cache_control"):
            yield f"tools.{index}", tool["cache_control"]
    for index, block in enumerate(system):
        if block.get("cache_control"):
            _check_not_empty(block, f"system.{index}")
            yield f"system.{index}", block["cache_control"]
    for index, message in enumerate(messages):
        for position, block in enumerate(blocks_of(message)):
            path = f"messages.{index}.content.{position}"
            if block.get("cache_control"):
                _check_not_empty(block, f"{path}.text")
                yield path, block["cache_control"]


def _check_not_empty(block: Json, path: str) -> None:
    if not cacheable(block):
        raise invalid(f"{path}.cache_control", "cache_control cannot be set for empty text blocks")


def _last_block_path(messages: Sequence[Json]) -> str:
    for index in range(len(messages) - 1, -1, -1):
        blocks = blocks_of(messages[index])
        for position in range(len(blocks) - 1, -1, -1):
            if cacheable(blocks[position]):
                return f"messages.{index}.content.{position}"
    return ""


def _check_order(markers: Sequence[tuple[str, Json]], top_level: Json | None) -> None:
    short_seen = False
    ordered = list(markers)
    if top_level is not None:
        ordered.append(("", top_level))
    for path, marker in ordered:
        if ttl_of(marker) == "5m":
            short_seen = True
        elif short_seen:
            raise invalid(
                f"{path}.cache_control.ttl" if path else "cache_control.ttl",
                "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control "
                "block. Note that blocks are processed in the following order: `tools`, "
                "`system`, `messages`.",
            )
