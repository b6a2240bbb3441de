"""The pieces that streamed and whole OpenAI answers are both made of."""

import re

from gateway import wire
from gateway.protocols.shared.draft import ReplyPlan
from gateway.wire import JSON, JSONObject

SIGNED_FORMAT = "anthropic-claude-v1"
"""`format` of reasoning details with Claude's signature."""

_TIERS = {"standard": "default", "priority": "priority"}
_FENCED = re.compile(r"```[a-zA-Z]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)


def completion_id(message_id: str | None, otherwise: str) -> str:
    """The `id` of an answer: derived from Claude's message id, so that both name one answer."""
    if not message_id:
        return otherwise
    return "chatcmpl-" + message_id.removeprefix("msg_")


def service_tier(upstream_tier: str | None, plan: ReplyPlan) -> str | None:
    """The `service_tier` to report; None when the client did not ask or there is no word for it."""
    return _TIERS.get(upstream_tier or "") if plan.echo_service_tier else None


def client_tool_name(name: str, plan: ReplyPlan) -> str:
    """The name under which the client declared the tool."""
    return plan.original_tool_names.get(name, name)


def tool_arguments(name: str, tool_input: JSON, plan: ReplyPlan) -> str:
    """The `arguments` text of a finished call; a wrapped schema's `value` is taken out."""
    if name in plan.wrapped_tools and isinstance(tool_input, dict) and "value" in tool_input:
        tool_input = tool_input["value"]
    return wire.dumps_text({} if tool_input is None else tool_input)


def unwrapped_arguments(raw: str) -> str:
    """Streamed arguments of a wrapped tool; unfinished JSON is returned as it came."""
    try:
        value = wire.loads(raw)
    except wire.JSONDecodeError:
        return raw
    return wire.dumps_text(value["value"]) if isinstance(value, dict) and "value" in value else raw


def custom_input(tool_input: JSON) -> str:
    """The freeform text a custom tool was called with, sent by Claude as {"input": text}."""
    text = tool_input.get("input") if isinstance(tool_input, dict) else None
    return text if isinstance(text, str) else wire.dumps_text(tool_input)


def reasoning_detail(block: JSONObject, index: int) -> JSONObject | None:
    """The thinking block in the form OpenRouter gave it, so that clients can send it back.

    `index` counts the details of one answer from 0: clients merge by it. None for a block without
    a signature, which could not be replayed.
    """
    if block.get("type") == "redacted_thinking":
        data = block.get("data")
        if not data:
            return None
        return {
            "type": "reasoning.encrypted",
            "data": data,
            "format": SIGNED_FORMAT,
            "index": index,
        }
    if not block.get("signature"):
        return None
    return {
        "type": "reasoning.text",
        "text": block.get("thinking") or "",
        "signature": block["signature"],
        "format": SIGNED_FORMAT,
        "index": index,
    }


def url_annotation(citation: JSON, start: int, end: int) -> JSONObject | None:
    """A web citation of `content[start:end]` as an annotation; None for other kinds."""
    if not isinstance(citation, dict) or citation.get("type") != "web_search_result_location":
        return None
    return {
        "type": "url_citation",
        "url_citation": {
            "url": citation.get("url") or "",
            "title": citation.get("title") or "",
            "start_index": start,
            "end_index": end,
        },
    }


def bare_json(text: str) -> str:
    """`text` without the code fence some models put around JSON; unchanged when unsure."""
    if _is_json(text):
        return text
    found = [inner for inner in _FENCED.findall(text) if _is_json(inner)]
    return found[0].strip() if len(found) == 1 else text


def _is_json(text: str) -> bool:
    try:
        wire.loads(text)
    except (wire.JSONDecodeError, UnicodeError):
        return False
    return True
