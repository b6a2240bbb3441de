"""POST /v1/messages passed on as it is: what has to be known of a body, and its headers.

The body goes upstream byte for byte. Clients such as Claude Code rely on it: their attribution
block, cache marks, beta fields and signed thinking are theirs to place (Claude Code's gateway
protocol). The one thing ever edited is the model's name, in the original bytes.
"""

import re
from collections.abc import Mapping

from gateway import wire
from gateway.errors import InvalidRequestError
from gateway.protocols.messages_form import text_block
from gateway.structs import Struct
from gateway.wire import JSON, JSONObject

DEFAULT_VERSION = "2023-06-01"
"""`anthropic-version` for clients that send none."""

_FORWARDED_PREFIXES = ("anthropic-", "x-claude-code-", "x-stainless-")
_FORWARDED = frozenset({"accept", "content-type", "idempotency-key", "user-agent", "x-app"})
_RETURNED_PREFIXES = ("anthropic-",)
_RETURNED = frozenset({"request-id", "retry-after"})

_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)
_VALUE = re.compile(rb'\s*:\s*("(?:[^"\\]|\\.)*")', re.DOTALL)


class MessagesRequest(Struct, frozen=True):
    """What the gateway needs to know of a Messages body."""

    asked_model: str
    stream: bool
    user_key: str | None
    body: JSONObject


def read_request(body: bytes) -> MessagesRequest:
    """What the gateway must know of `body`; everything else is Claude's to judge.

    Raises InvalidRequestError for what is no JSON object, or has no model.
    """
    request = wire.loads_object(body)
    model = request.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequestError("model: Field required", param="model")
    return MessagesRequest(model, request.get("stream") is True, _user_key(request), request)


def in_blocks(body: JSONObject) -> JSONObject | None:
    """`body` with lists of blocks for texts that stand alone, so that they can carry cache marks.

    The meaning is the same. None for a body of another form than expected: Claude judges that.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return None
    blocks = [_message_in_blocks(message) for message in messages]
    tools, system = body.get("tools") or [], _text_in_blocks(body.get("system") or [])
    if None in blocks or not _are_objects(tools) or not _are_blocks(system):
        return None
    result = {**body, "messages": blocks}
    if system:
        result["system"] = system
    return result


def _message_in_blocks(message: JSON) -> JSONObject | None:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        return None
    content = _text_in_blocks(message.get("content"))
    return {**message, "content": content} if content and _are_blocks(content) else None


def _text_in_blocks(content: JSON) -> JSON:
    return [text_block(content)] if isinstance(content, str) and content else content


def _are_objects(values: JSON) -> bool:
    return isinstance(values, list) and all(isinstance(value, dict) for value in values)


def _are_blocks(values: JSON) -> bool:
    return _are_objects(values) and all(
        isinstance(block.get("type"), str)
        and (block["type"] != "text" or isinstance(block.get("text"), str))
        for block in values
    )


def _user_key(request: JSONObject) -> str | None:
    metadata = request.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    return user if isinstance(user, str) else None


def with_model(body: bytes, model: str) -> bytes:
    """`body` with another name in its top-level `model` field and not one other byte changed."""
    pieces: list[bytes] = []
    copied = 0
    for start, end in _model_values(body):
        pieces += [body[copied:start], wire.dumps(model)]
        copied = end
    return b"".join([*pieces, body[copied:]])


def _model_values(body: bytes) -> list[tuple[int, int]]:
    """Where the values of top-level `model` fields stand, if they are strings."""
    try:
        model = wire.loads_members(body).get("model")
    except wire.JSONDecodeError:  # a name stands there twice, or half a surrogate pair
        return _model_values_by_token(body)
    if model is None or not model.raw.startswith(b'"'):
        return []
    return [(model.start, model.start + len(model.raw))]


def _model_values_by_token(body: bytes) -> list[tuple[int, int]]:
    """The same for any body; it takes milliseconds where a conversation is long."""
    found: list[tuple[int, int]] = []
    depth = 0
    for token in _STRUCTURE.finditer(body):
        text = token[0]
        if text in (b"{", b"["):
            depth += 1
        elif text in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and (value := _VALUE.match(body, token.end())) and _is_model(text):
            found.append(value.span(1))
    return found


def _is_model(key: bytes) -> bool:
    return key == b'"model"' or (b"\\" in key and wire.loads(key) == "model")


def upstream_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The client's headers that go upstream: an open list by prefix, verbatim."""
    kept = {
        name: value
        for name, value in headers.items()
        if name in _FORWARDED or name.startswith(_FORWARDED_PREFIXES)
    }
    kept.setdefault("anthropic-version", DEFAULT_VERSION)
    kept.setdefault("content-type", "application/json")
    return kept


def returned_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Claude's headers that go back to the client."""
    lowered = {name.lower(): value for name, value in headers.items()}
    return {
        name: value
        for name, value in lowered.items()
        if name in _RETURNED or name.startswith(_RETURNED_PREFIXES)
    }
