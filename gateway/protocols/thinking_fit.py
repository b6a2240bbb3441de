"""How much a model shall think: the client's effort and thinking wishes in the model's own terms.

Models of the newest generations think by themselves (adaptive) and take an effort; those of the
4.5 generation take a token budget; some can be switched off, some only between tools, some never.
"""

from gateway.catalog.models import EFFORTS, Model
from gateway.protocols.messages_form import MINIMUM_BUDGET_TOKENS
from gateway.protocols.shared.draft import Draft
from gateway.structs import Struct
from gateway.wire import JSONObject

# Budgets of manual thinking for an effort, and the way back for clients that name a budget.
_BUDGETS = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 32768,
}
_MOST_WITHOUT_THINKING = "high"  # xhigh and max need full thinking
_DEFAULT_BUDGET = _BUDGETS["medium"]


class Thinking(Struct, frozen=True):
    """What to send: `thinking` and `output_config.effort`, None to leave them out.

    `is_on` tells whether the model will think; `note` says why a wish was not granted.
    """

    config: JSONObject | None = None
    effort: str | None = None
    is_on: bool = False
    note: str | None = None


def choose_thinking(draft: Draft, model: Model, show: bool) -> Thinking:
    """The thinking of `draft` on `model`; `show` asks for summaries the client can be shown."""
    if draft.effort is None and draft.thinking is None:
        return _by_default(model, show)
    asked_type = (draft.thinking or {}).get("type")
    wants_off = draft.effort == "none" or asked_type == "disabled"
    if "adaptive" in model.thinking:
        return _switched_off(draft, model, show) if wants_off else _adaptive(draft, model, show)
    if "enabled" in model.thinking and not wants_off:
        return _manual(draft, model, show)
    if wants_off:
        return Thinking()
    return Thinking(None, supported_effort(draft.effort, model), model.thinks_by_default)


def _by_default(model: Model, show: bool) -> Thinking:
    """What the model does when nobody has a wish; a budget is never given without one."""
    if not model.thinks_by_default:
        return Thinking()
    if "adaptive" in model.thinking:
        return Thinking(_displayed({"type": "adaptive"}, {}, show) if show else None, is_on=True)
    return Thinking(is_on="enabled" not in model.thinking)


def supported_effort(effort: str | None, model: Model, most: str = "max") -> str | None:
    """The level nearest to `effort` from below that the model takes, at most `most`."""
    if effort in (None, "none") or not model.efforts:
        return None
    asked = "low" if effort == "minimal" else str(effort)
    limit = min(EFFORTS.index(asked), EFFORTS.index(most))
    below = [level for level in EFFORTS[: limit + 1] if level in model.efforts]
    return below[-1] if below else model.efforts[0]


def _adaptive(draft: Draft, model: Model, show: bool) -> Thinking:
    asked = draft.thinking or {}
    effort = draft.effort or _effort_for(asked.get("budget_tokens"))
    if asked.get("type") == "between_tools" and "between_tools" in model.thinking:
        level = supported_effort(effort, model, _MOST_WITHOUT_THINKING)
        return Thinking({"type": "between_tools"}, level, is_on=True)
    level = supported_effort(effort, model)
    config = _displayed({"type": "adaptive"}, asked, show)
    if model.thinks_by_default and len(config) == 1:
        return Thinking(None, level, is_on=True)  # what happens anyway
    return Thinking(config, level, is_on=True)


def _switched_off(draft: Draft, model: Model, show: bool) -> Thinking:
    """As little thinking as the model allows."""
    level = supported_effort(draft.effort, model, _MOST_WITHOUT_THINKING)
    if not model.thinks_by_default:
        return Thinking(None, level)
    if "disabled" in model.thinking:
        return Thinking({"type": "disabled"}, level)
    if "between_tools" in model.thinking:
        return Thinking({"type": "between_tools"}, level, is_on=True)
    config = _displayed({"type": "adaptive"}, {}, show)
    return Thinking(
        config if len(config) > 1 else None,
        supported_effort("low", model),
        is_on=True,
        note=f"low; {model.id} always thinks",
    )


def _manual(draft: Draft, model: Model, show: bool) -> Thinking:
    """Thinking with a budget."""
    asked = draft.thinking or {}
    budget = asked.get("budget_tokens") or _BUDGETS.get(str(draft.effort), _DEFAULT_BUDGET)
    config: JSONObject = {"type": "enabled", "budget_tokens": max(budget, MINIMUM_BUDGET_TOKENS)}
    return Thinking(
        _displayed(config, asked, show), supported_effort(draft.effort, model), is_on=True
    )


def _effort_for(budget: int | None) -> str | None:
    """The effort whose budget is the nearest from above; a budget beyond all is "max"."""
    if budget is None:
        return None
    levels = [level for level in EFFORTS if _BUDGETS[level] >= budget]
    return levels[0] if levels else "max"


def _displayed(config: JSONObject, asked: JSONObject, show: bool) -> JSONObject:
    """`config` with the display the client asked for, or summaries when they can be shown.

    The newest models say nothing between tool calls otherwise: that text is thinking there.
    """
    if "display" in asked:
        config["display"] = asked["display"]
    elif show:
        config["display"] = "summarized"
    return config
