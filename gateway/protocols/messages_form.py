"""Building stones of the Messages form: blocks, and changes of a whole request body.

The changes are pure: they return a new body that shares what did not change.
"""

from gateway import wire
from gateway.wire import JSON, JSONObject

THINKING_BLOCKS = frozenset({"thinking", "redacted_thinking"})
NO_ANSWER = "(no answer)"
"""Stands for an assistant message of which nothing may be sent."""


def text_block(text: str) -> JSONObject:
    """A text block; the API refuses empty ones, so callers check `is_blank` first."""
    return {"type": "text", "text": text}


def is_blank(text: str) -> bool:
    """True for text the API refuses: empty, or whitespace only."""
    return not text or text.isspace()


def reminder(text: str) -> str:
    """System text as it stands in a user message."""
    return f"<system-reminder>\n{text}\n</system-reminder>"


def with_instruction(body: JSONObject, text: str) -> JSONObject:
    """`body` with `text` as the last block of its newest user message.

    Nowhere else: at the end it costs no cached prefix. Without a user message one is added.
    """
    messages: list[JSON] = list(body["messages"])
    for index in range(len(messages) - 1, -1, -1):
        if messages[index]["role"] == "user":
            content = [*messages[index]["content"], text_block(text)]
            messages[index] = {**messages[index], "content": content}
            break
    else:
        messages.append({"role": "user", "content": [text_block(text)]})
    return {**body, "messages": messages}


def without_system_messages(body: JSONObject) -> JSONObject:
    """`body` with system messages of the conversation as reminders in the user message before.

    For models that answer 400 "role 'system' is not supported on this model".
    """
    messages: list[JSON] = []
    for message in body["messages"]:
        if message["role"] != "system":
            messages.append(message)
            continue
        blocks = [{**block, "text": reminder(block["text"])} for block in message["content"]]
        if messages and messages[-1]["role"] == "user":
            messages[-1] = {**messages[-1], "content": [*messages[-1]["content"], *blocks]}
        else:
            messages.append({"role": "user", "content": blocks})
    return {**body, "messages": messages}


def without_thinking(body: JSONObject) -> JSONObject:
    """`body` with no thinking blocks in its history, for a 400 about a signature or a binding.

    Manual thinking (`enabled`) demands blocks in a tool loop, so it is switched off as well.
    """
    result = {**body, "messages": [_without_thinking(message) for message in body["messages"]]}
    if (body.get("thinking") or {}).get("type") == "enabled":
        del result["thinking"]
    return result


def _without_thinking(message: JSONObject) -> JSONObject:
    content = message["content"]
    if message["role"] != "assistant" or isinstance(content, str):
        return message
    kept = [block for block in content if block["type"] not in THINKING_BLOCKS]
    if len(kept) == len(content):
        return message
    return {**message, "content": kept or [text_block(NO_ANSWER)]}


def with_max_tokens(body: JSONObject, max_tokens: int) -> JSONObject:
    """`body` limited to `max_tokens`; a manual thinking budget is kept below it or given up."""
    result = {**body, "max_tokens": max_tokens}
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled" and thinking["budget_tokens"] >= max_tokens:
        if max_tokens > MINIMUM_BUDGET_TOKENS:
            result["thinking"] = {**thinking, "budget_tokens": max_tokens - 1}
        else:
            del result["thinking"]
    return result


MINIMUM_BUDGET_TOKENS = 1024
"""The least `thinking.budget_tokens` the API takes."""


def with_schema_instruction(body: JSONObject, schema: JSONObject) -> JSONObject:
    """`body` that asks for `schema` in words, for one that structured outputs do not take."""
    result = dict(body)
    config = {key: value for key, value in body.get("output_config", {}).items() if key != "format"}
    if config:
        result["output_config"] = config
    else:
        result.pop("output_config", None)
    return with_instruction(result, schema_instruction(schema))


def schema_instruction(schema: JSONObject) -> str:
    """The words that ask for an answer in JSON of that schema."""
    return (
        "Respond only with JSON that matches this JSON schema, without a code fence and without "
        f"text before or after it:\n{wire.dumps_text(schema)}"
    )


JSON_INSTRUCTION = (
    "Respond only with one valid JSON object, without a code fence and without text before or "
    "after it."
)
"""The words that ask for `response_format: json_object`."""
