"""The items of a Response's output, each made of one content block or a run of text blocks.

A text block is one content part, so that the blocks can be told apart when they come back: signed
thinking behind them is bound to them as they were. Source: SDK type `ResponseOutputItem`.
"""

from gateway.protocols.openai_responses_plan import AnswerFrame
from gateway.protocols.shared.reply_parts import client_tool_name, custom_input, url_annotation
from gateway.protocols.shared.sealed_thinking import signature_of
from gateway.wire import JSON, JSONObject

THINKING_KINDS = ("thinking", "redacted_thinking")


def reasoning_item(item_id: str, text: str, encrypted: str | None) -> JSONObject:
    """A finished reasoning item; without `text` its summary is empty."""
    summary = [{"type": "summary_text", "text": text}] if text else []
    item: JSONObject = {"id": item_id, "type": "reasoning", "summary": summary}
    if encrypted is not None:
        item["encrypted_content"] = encrypted
    item["status"] = "completed"
    return item


def sealed_block(frame: AnswerFrame, block: JSONObject, model: str, chain: str) -> str | None:
    """The `encrypted_content` for a thinking block; None for one that could not be sent back."""
    seal = frame.envelope.seal
    if seal is None or signature_of(block) is None:
        return None
    return seal.seal(block, model, chain)


def shown_thinking(frame: AnswerFrame, block: JSONObject) -> str:
    """The text of a thinking block that the client may see."""
    return (block.get("thinking") or "") if frame.reply.show_reasoning else ""


def message_item(item_id: str, parts: list[JSONObject], status: str) -> JSONObject:
    """A message of the assistant."""
    return {
        "id": item_id,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": parts,
    }


def text_part(text: str, annotations: list[JSONObject]) -> JSONObject:
    """A content part of text."""
    return {"type": "output_text", "annotations": annotations, "logprobs": [], "text": text}


def refusal_part(text: str) -> JSONObject:
    """A content part that says why there is no answer."""
    return {"type": "refusal", "refusal": text}


def annotations_of(citations: JSON, text: str) -> list[JSONObject]:
    """The web citations of a text block, each of the whole block."""
    annotations: list[JSONObject] = []
    for citation in citations or ():
        nested = url_annotation(citation, 0, len(text))
        if nested is not None:
            annotations.append({"type": "url_citation", **nested["url_citation"]})
    return annotations


def call_fields(frame: AnswerFrame, block: JSONObject, index: int) -> JSONObject:
    """What a call's item says before its arguments: type, ids, and the name the client gave."""
    sent = block["name"]
    custom = sent in frame.reply.custom_tools
    namespace, name = frame.plan.namespaces.get(sent, (None, client_tool_name(sent, frame.reply)))
    fields: JSONObject = {
        "id": frame.item_id("ctc" if custom else "fc", index),
        "type": "custom_tool_call" if custom else "function_call",
        "call_id": block["id"],
        "name": name,
    }
    if namespace is not None:
        fields["namespace"] = namespace
    return fields


def call_item(fields: JSONObject, written: str, status: str) -> JSONObject:
    """A call's item: `fields` with what was `written` as arguments or, for a custom tool, input."""
    name = "input" if fields["type"] == "custom_tool_call" else "arguments"
    return {**fields, name: written, "status": status}


def custom_text(block: JSONObject) -> str:
    """What a custom tool was called with."""
    return custom_input(block.get("input"))


def shown_items(items: list[JSONObject], *, encrypted: bool) -> list[JSONObject]:
    """The items as the client gets them: with `encrypted_content` only when it asked for it."""
    if encrypted:
        return items
    return [
        {name: value for name, value in item.items() if name != "encrypted_content"}
        for item in items
    ]
