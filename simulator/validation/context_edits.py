"""The shape of `context_management`, and who may ask for what.

Field names follow the `Beta*EditParam` types of the anthropic package 2.12.
"""

from collections.abc import Sequence

from simulator.errors import ApiError, invalid
from simulator.models import Model
from simulator.shape import (
    Check,
    Fields,
    Tagged,
    anything,
    array,
    boolean,
    integer,
    nullable,
    one_of,
    string,
)
from simulator.wire import Json, JsonValue

EDITING_BETA = "context-management-2025-06-27"
COMPACTION_BETA = "compact-2026-01-12"
CLEAR_TOOLS = "clear_tool_uses_20250919"
CLEAR_THINKING = "clear_thinking_20251015"
COMPACT = "compact_20260112"
LEAST_COMPACTION_TRIGGER = 50_000

_BETAS = {CLEAR_TOOLS: EDITING_BETA, CLEAR_THINKING: EDITING_BETA, COMPACT: COMPACTION_BETA}


def _counted(kind: str, minimum: int) -> Check:
    return Fields({"type": one_of(kind), "value": integer(minimum)})


def _inputs_to_clear(value: JsonValue, path: str) -> None:
    if isinstance(value, list):
        array(string(1))(value, path)
    else:
        boolean(value, path)


def _thinking_to_keep(value: JsonValue, path: str) -> None:
    if value != "all" and (not isinstance(value, dict) or value.get("type") != "all"):
        _counted("thinking_turns", 1)(value, path)


_TYPE = {"type": anything}
_EDITS: dict[str, Check] = {
    CLEAR_TOOLS: Fields(
        _TYPE,
        {
            "trigger": Tagged(
                {
                    "input_tokens": _counted("input_tokens", 1),
                    "tool_uses": _counted("tool_uses", 1),
                }
            ),
            "keep": _counted("tool_uses", 0),
            "clear_at_least": nullable(_counted("input_tokens", 0)),
            "exclude_tools": nullable(array(string(1))),
            "clear_tool_inputs": nullable(_inputs_to_clear),
        },
    ),
    CLEAR_THINKING: Fields(_TYPE, {"keep": _thinking_to_keep}),
    COMPACT: Fields(
        _TYPE,
        {
            "trigger": nullable(_counted("input_tokens", LEAST_COMPACTION_TRIGGER)),
            "instructions": nullable(string()),
            "pause_after_compaction": boolean,
        },
    ),
}


def check_shape(betas: Sequence[str]) -> Check:
    """A check of `context_management` under these beta headers: they bring the kinds of edits."""
    known = {name: check for name, check in _EDITS.items() if _BETAS[name] in betas}
    return nullable(Fields({}, {"edits": array(Tagged(known))}))


def check_edits(config: Json, model: Model, thinking_type: str) -> None:
    """The rules on edits whose shape has been checked."""
    kinds = [edit["type"] for edit in config.get("edits") or ()]
    if len(set(kinds)) < len(kinds):
        raise invalid("context_management.edits", "each strategy can be used at most once")
    if CLEAR_THINKING in kinds:
        if kinds[0] != CLEAR_THINKING:
            raise invalid(
                "context_management.edits",
                f"`{CLEAR_THINKING}` must be the first strategy in the list",
            )
        if thinking_type == "disabled":
            raise ApiError(
                400, f"`{CLEAR_THINKING}` strategy requires `thinking` to be enabled or adaptive"
            )
    if COMPACT in kinds and not model.compaction:
        raise invalid(
            f"context_management.edits.{kinds.index(COMPACT)}",
            f"`{COMPACT}` is not supported on this model",
        )
