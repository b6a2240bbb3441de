"""The `thinking` parameter: types per model, budget, display, and the beta controls."""

from collections.abc import Sequence

from simulator.errors import ApiError, invalid
from simulator.models import Model
from simulator.shape import Fields, Tagged, anything, integer, mapping, nullable, one_of
from simulator.validation.conversation import blocks_of
from simulator.wire import Json, JsonValue

BINDING_BETA = "thinking-binding-controls-2026-08-01"
DISPLAY_BETA = "thinking-display-updates-2026-08-18"
MINIMUM_BUDGET = 1024

_display = nullable(one_of("summarized", "omitted", "updates"))
_binding = nullable(
    Fields({}, {"prefix_mismatch_behavior": nullable(one_of("error", "drop_block"))})
)
_config = Tagged(
    {
        "enabled": Fields(
            {"type": anything, "budget_tokens": integer(MINIMUM_BUDGET)},
            {"display": _display, "block_binding": _binding},
        ),
        "disabled": Fields({"type": anything}, {"block_binding": _binding}),
        "between_tools": Fields({"type": anything}, {"block_binding": _binding}),
        "adaptive": Fields({"type": anything}, {"display": _display, "block_binding": _binding}),
    }
)


def check_shape(value: JsonValue, path: str) -> None:
    """The shape of `thinking`."""
    mapping(value, path)
    _config(value, path)


def check_betas(thinking: Json, betas: Sequence[str]) -> None:
    """Fields that exist only with a beta header."""
    path = f"thinking.{thinking['type']}"
    if thinking.get("block_binding") is not None and BINDING_BETA not in betas:
        raise invalid(f"{path}.block_binding", "Extra inputs are not permitted")
    if thinking.get("display") == "updates" and DISPLAY_BETA not in betas:
        raise invalid(f"{path}.display", "Input should be 'summarized' or 'omitted'")


def check_thinking(thinking: Json | None, model: Model, max_tokens: int | None) -> None:
    """Whether the model takes this configuration; `max_tokens` is None when only counting."""
    kind = thinking["type"] if thinking else model.default_thinking
    if thinking is not None and kind not in model.thinking:
        raise ApiError(400, _refusal(kind))
    if kind != "enabled" or thinking is None or max_tokens is None:
        return
    if thinking["budget_tokens"] >= max_tokens:
        raise ApiError(
            400,
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our "
            "documentation at https://docs.claude.com/en/docs/build-with-claude/"
            "extended-thinking#max-tokens-and-context-window-size",
        )


def _refusal(kind: str) -> str:
    if kind == "adaptive":
        return "adaptive thinking is not supported on this model"
    hint = 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
    return f'"thinking.type.{kind}" is not supported for this model. {hint}'


def check_history(messages: Sequence[Json], thinking: Json | None) -> None:
    """With `enabled`, the assistant turn of a running tool loop must begin with thinking."""
    if thinking is None or thinking["type"] != "enabled":
        return
    if messages[-1]["role"] == "assistant":
        raise ApiError(
            400, "Prefilling assistant messages is not supported when `thinking` is enabled."
        )
    if not any(block["type"] == "tool_result" for block in blocks_of(messages[-1])):
        return
    for index in range(len(messages) - 1, -1, -1):
        if messages[index]["role"] == "assistant":
            kinds = [block["type"] for block in blocks_of(messages[index])]
            first = next((kind for kind in kinds if kind != "compaction"), "compaction")
            if first not in ("thinking", "redacted_thinking"):
                raise invalid(
                    f"messages.{index}.content.0.type",
                    f"Expected `thinking` or `redacted_thinking`, but found `{first}`. When "
                    "`thinking` is enabled, a final `assistant` message must start with a "
                    "thinking block (preceeding the lastmost set of `tool_use` and `tool_result` "
                    "blocks). We recommend you include thinking blocks from previous turns. To "
                    "avoid this requirement, disable `thinking`. Please consult our documentation "
                    "at https://docs.claude.com/en/docs/build-with-claude/extended-thinking",
                )
            return
