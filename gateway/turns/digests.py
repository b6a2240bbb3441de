"""Digests that turns are known by: of what was sent upstream, and of what a client has seen."""

from gateway import wire
from gateway.protocols.messages_form import THINKING_BLOCKS
from gateway.protocols.shared.digests import BlockDigests, chained, digest
from gateway.protocols.shared.surrogates import join_surrogates
from gateway.wire import JSON, JSONObject

_ASCII_SPACE = b" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"  # what str.split() takes for white space
_MAX_DEPTH = 254  # what lies deeper cannot be written, and the writer says so


def setting_digest(body: JSONObject, digests: BlockDigests) -> bytes:
    """A digest of what stands before all messages: the tools and the system text."""
    tools = [digests.of(tool) for tool in body.get("tools") or ()]
    system = body.get("system") or ()
    if isinstance(system, str):
        said = [wire.dumps(system)]
    else:
        said = [digests.of(block) for block in system]
    return chained(chained(*tools), chained(*said))


def seen_digest(blocks: list[JSONObject]) -> bytes:
    """A digest of what an OpenAI client sees of an assistant message: text and calls.

    White space in the text does not count, as clients trim and join text; nor does the order of
    keys, or how a number is written, in arguments, which they parse and write anew.
    """
    said = b""
    calls: list[JSON] = []
    for block in blocks:
        kind = block["type"]
        if kind == "text":
            said += _without_space(block["text"])
        elif kind == "tool_use":
            given = block["input"]
            if isinstance(given, (dict, list)) and _has_float(given):
                given = _plain(given)
            calls.append([block["id"], block["name"], given])
    if calls:
        said = b"%d:%b%b" % (len(said), said, wire.dumps_sorted(calls))
    return digest(said)


def followed(state: bytes, role: str, message: bytes) -> bytes:
    """The digest of a conversation, of which `state` is one, with one more message."""
    return digest(state + message + role.encode())


def without_thinking(content: list[JSONObject]) -> list[JSONObject]:
    """The content without thinking blocks; the same list when there are none."""
    if any(block["type"] in THINKING_BLOCKS for block in content):
        return [block for block in content if block["type"] not in THINKING_BLOCKS]
    return content


def _without_space(text: str) -> bytes:
    """What is left of a text without its white space; several times faster than `str.split`."""
    try:
        data = text.encode()
    except UnicodeEncodeError:  # half a character, which no client gets to see
        data = join_surrogates(text).encode()
    data = data.translate(None, _ASCII_SPACE)
    if text.isascii():
        return data
    left = data.decode()
    pieces = left.split()
    return data if pieces == [left] else "".join(pieces).encode()


def _has_float(value: JSON, depth: int = 0) -> bool:
    if depth > _MAX_DEPTH:
        return False
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, float):
            return True
        if isinstance(item, (dict, list)) and _has_float(item, depth + 1):
            return True
    return False


def _plain(value: JSON, depth: int = 0) -> JSON:
    """Arguments with 1.0 as 1: JavaScript clients write them so."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if depth > _MAX_DEPTH:
        return value
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    return value
