"""Leaves the shortening of long conversations to the API, on models that have it.

The client's history goes out whole; the API clears old tool results, or writes a summary of its own
and returns it as a `compaction` block, which comes back with the turn it stands in. Signed thinking
stays legal, as the API checks it against what was sent. Both are betas
(`types/beta/beta_clear_tool_uses_20250919_edit_param.py` and `beta_compact_20260112_edit_param.py`
of the anthropic package).
"""

from gateway.catalog.models import Model
from gateway.policies import ContextPolicy
from gateway.protocols.shared.digests import BlockDigests
from gateway.protocols.shared.walks import Walk
from gateway.wire import JSONObject

CLEARING_BETA = "context-management-2025-06-27"
COMPACTION_BETA = "compact-2026-01-12"

_LEAST_COMPACTION_TOKENS = 50_000  # the API refuses a lower trigger
_KEPT_TOOL_USES = 6
_LEAST_CLEARED_SHARE = 4  # clearing costs the prompt cache behind it, so not for less than this


def is_delegated(policy: ContextPolicy, model: Model) -> bool:
    """True when the API shortens for this model; else it is done as with "extract"."""
    if not policy.max_tokens:
        return False
    return (policy.strategy == "anthropic_clear" and model.context_editing) or (
        policy.strategy == "anthropic_compact" and model.compaction
    )


def delegated(
    body: JSONObject, policy: ContextPolicy, model: Model, *, has_summary: bool
) -> tuple[JSONObject, str | None]:
    """The body that asks the API to shorten, and the value for `anthropic-beta` it needs.

    Without a value the body is as it was: nothing is delegated, or the client does so itself. A
    summary of the API's own in the messages needs the value even when nothing is delegated now.
    """
    if body.get("context_management") is not None:
        return body, None
    if not is_delegated(policy, model):
        return body, COMPACTION_BETA if model.compaction and has_summary else None
    if policy.strategy == "anthropic_clear":
        edit, beta = _clearing(policy.max_tokens), CLEARING_BETA
    else:
        edit, beta = _compaction(policy.max_tokens), COMPACTION_BETA
    return {**body, "context_management": {"edits": [edit]}}, beta


class Summaries(Walk):
    """A walk to the summaries of the API's own; `found` when there is one."""

    found: bool = False

    def go(self, messages: list[JSONObject], _: int, __: BlockDigests) -> None:
        """See more messages."""
        self.found = self.found or any(
            block["type"] == "compaction"
            for message in messages
            if message["role"] == "assistant"
            for block in message["content"][:1]  # the API puts it first
        )


def _clearing(max_tokens: int) -> JSONObject:
    return {
        "type": "clear_tool_uses_20250919",
        "trigger": {"type": "input_tokens", "value": max_tokens},
        "keep": {"type": "tool_uses", "value": _KEPT_TOOL_USES},
        "clear_at_least": {"type": "input_tokens", "value": max_tokens // _LEAST_CLEARED_SHARE},
    }


def _compaction(max_tokens: int) -> JSONObject:
    trigger = max(max_tokens, _LEAST_COMPACTION_TOKENS)
    return {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": trigger}}
