"""Thinking that a chat client kept and sends back, in the form `reply_parts.reasoning_detail` gave.

The form is OpenRouter's `reasoning_details`. Nothing is known of where the blocks stood among text
and calls, so they come first, where Claude nearly always puts them. Whether they may be sent is
decided later, when the history is restored.
"""

from gateway.protocols.shared.reply_parts import SIGNED_FORMAT
from gateway.wire import JSON, JSONObject

MAX_BLOCKS = 100
"""More in one message are not Claude's."""


def carried_thinking(details: JSON) -> list[JSONObject]:
    """The thinking blocks in `reasoning_details`; none when anything in it is not as we gave it.

    Never raises: histories come from other gateways and models, too.
    """
    if not isinstance(details, list) or len(details) > MAX_BLOCKS:
        return []
    blocks: list[JSONObject] = []
    for detail in details:
        block = _block(detail)
        if block is None:
            return []  # a part of the thinking is worth nothing
        blocks.append(block)
    return blocks


def _block(detail: JSON) -> JSONObject | None:
    if not isinstance(detail, dict) or detail.get("format") != SIGNED_FORMAT:
        return None
    kind = detail.get("type")
    if kind == "reasoning.text":
        text, signature = detail.get("text") or "", detail.get("signature")
        if isinstance(text, str) and isinstance(signature, str) and signature:
            return {"type": "thinking", "thinking": text, "signature": signature}
    elif kind == "reasoning.encrypted":
        data = detail.get("data")
        if isinstance(data, str) and data:
            return {"type": "redacted_thinking", "data": data}
    return None
