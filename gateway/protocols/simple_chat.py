"""POST /chat: a prompt in, `{"text", "model", "usage"}` out."""

from gateway.errors import InvalidRequestError
from gateway.wire import JSONObject

_FIELDS = frozenset({"prompt", "system", "model", "max_tokens"})


def chat_body(body: JSONObject) -> JSONObject:
    """The chat completion request that answers `body`. Raises InvalidRequestError."""
    for field in body:
        if field not in _FIELDS:
            raise InvalidRequestError(f"unknown field {field[:100]!r}", param=field[:100])
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise InvalidRequestError("prompt must be a non-empty string", param="prompt")
    system = body.get("system")
    if system is not None and not isinstance(system, str):
        raise InvalidRequestError("system must be a string", param="system")
    messages = [{"role": "user", "content": prompt}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    chat: JSONObject = {"model": body.get("model", "auto"), "messages": messages}
    if body.get("max_tokens") is not None:
        chat["max_tokens"] = body["max_tokens"]
    return chat


def plain_answer(completion: JSONObject) -> JSONObject:
    """The text of a `chat.completion`, who gave it and what it used."""
    message = completion["choices"][0]["message"]
    return {
        "text": message["content"] or message.get("refusal") or "",
        "model": completion["model"],
        "usage": completion["usage"],
    }
