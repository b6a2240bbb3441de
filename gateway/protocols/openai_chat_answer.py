"""A whole Message as a chat completion (SDK types `Message` and `ChatCompletion`)."""

from gateway.protocols.shared.draft import ReplyPlan
from gateway.protocols.shared.reply_parts import (
    bare_json,
    client_tool_name,
    completion_id,
    custom_input,
    reasoning_detail,
    service_tier,
    tool_arguments,
    url_annotation,
)
from gateway.protocols.shared.stops import finish_reason, refusal_text
from gateway.protocols.shared.usage import UsageMeter, openai_usage
from gateway.wire import JSONObject


def answer(message: JSONObject, meter: UsageMeter, plan: ReplyPlan, created: int) -> JSONObject:
    """The chat.completion for an assembled Message; `created` in Unix seconds."""
    body: JSONObject = {
        "id": plan.completion_id or completion_id(meter.message_id, f"chatcmpl-{created}"),
        "object": "chat.completion",
        "created": created,
        "model": plan.asked_model,
        "choices": [_choice(message, plan)],
        "usage": openai_usage(meter),
    }
    tier = service_tier(meter.service_tier, plan)
    if tier is not None:
        body["service_tier"] = tier
    body["system_fingerprint"] = None
    return body


def _choice(message: JSONObject, plan: ReplyPlan) -> JSONObject:
    blocks: list[JSONObject] = message.get("content") or []
    stop_reason = message.get("stop_reason")
    reply: JSONObject = {"role": "assistant", "content": None, "refusal": None}
    calls: list[JSONObject] = []
    if stop_reason == "refusal":
        # What was written before the refusal is to be discarded, calls included.
        reply["refusal"] = refusal_text(message.get("stop_details"))
    else:
        calls = [_call(block, plan) for block in blocks if block.get("type") == "tool_use"]
        _add_text(reply, blocks, plan, has_calls=bool(calls))
        _add_calls(reply, calls, plan)
    if plan.show_reasoning:
        _add_reasoning(reply, blocks)
    reason = finish_reason(stop_reason, calls=bool(calls), legacy=plan.legacy_functions)
    return {"index": 0, "message": reply, "logprobs": None, "finish_reason": reason}


def _add_text(
    reply: JSONObject, blocks: list[JSONObject], plan: ReplyPlan, *, has_calls: bool
) -> None:
    """`content` and its web citations, at the positions of the cited blocks."""
    text = ""
    annotations: list[JSONObject] = []
    interrupted = False
    for block in blocks:
        if block.get("type") != "text":
            interrupted = True
            continue
        written = block.get("text") or ""
        if not written:
            continue
        if interrupted and text and not text.endswith("\n"):
            text += "\n\n"  # text around a call or a thought would run together
        interrupted = False
        start, text = len(text), text + written
        for citation in block.get("citations") or ():
            annotation = url_annotation(citation, start, len(text))
            if annotation is not None:
                annotations.append(annotation)
    if plan.json_mode != "none":
        text = bare_json(text)
    if text or not has_calls:
        reply["content"] = text
    if annotations:
        reply["annotations"] = annotations


def _add_calls(reply: JSONObject, calls: list[JSONObject], plan: ReplyPlan) -> None:
    if not calls:
        return
    if plan.legacy_functions:
        reply["function_call"] = calls[0]["function"]  # the legacy form holds one call
    else:
        reply["tool_calls"] = calls


def _call(block: JSONObject, plan: ReplyPlan) -> JSONObject:
    sent_name, tool_input = block["name"], block.get("input")
    name = client_tool_name(sent_name, plan)
    if sent_name in plan.custom_tools and not plan.legacy_functions:
        custom = {"name": name, "input": custom_input(tool_input)}
        return {"id": block["id"], "type": "custom", "custom": custom}
    function = {"name": name, "arguments": tool_arguments(sent_name, tool_input, plan)}
    return {"id": block["id"], "type": "function", "function": function}


def _add_reasoning(reply: JSONObject, blocks: list[JSONObject]) -> None:
    """Thinking under both names clients read, and signed for those that send it back."""
    texts: list[str] = []
    details: list[JSONObject] = []
    for block in blocks:
        if block.get("type") == "thinking" and block.get("thinking"):
            texts.append(block["thinking"])
        detail = reasoning_detail(block, len(details))
        if detail is not None:
            details.append(detail)
    if texts:
        reply["reasoning_content"] = reply["reasoning"] = "\n\n".join(texts)
    if details:
        reply["reasoning_details"] = details
