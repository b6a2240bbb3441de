"""The request bodies: the same bytes in every run, but for a number that makes each one unique.

They are OpenAI chat requests. The floor forwards them unread to the simulator, whose instant mode
does not parse them, so both carry the same bytes.
"""

from typing import Any

import orjson

SERIAL_PLACE = b"000000000000"
"""Where each request gets a number of its own, so that no cache of answers can serve it."""

SMALL_BYTES = 1_700
LARGE_BYTES = 210_000
LARGE_MESSAGES = 60
LARGE_TOOLS = 20
LARGE_TOOL_RESULTS = 23

_MODEL = "claude-sonnet-5-5"
_RESULT_BYTES = 5_600  # 23 results are 128 KB of the large body
_WORDS = (
    *("buffer", "cursor", "parse", "handler", "widget", "session", "token", "render", "branch"),
    *("commit", "naïve", "façade", "cache", "thread", "socket", "schema", "record", "stream"),
    *("column", "filter", "«", "»", "→", "index", "vector", "matrix"),
)


def deltas_marker(count: int, interval: str = "0") -> str:
    """What makes the simulator answer with `count` deltas.

    `interval` is in seconds; "0" is one write for all, "step" one write each without waiting.
    """
    return f"[[sim:deltas count={count} chars=5 interval={interval}]]"


def small_body(marker: str, *, stream: bool) -> bytes:
    """A first turn of 1.7 KB with two tools, to be answered as `marker` says."""
    request: dict[str, Any] = {
        "model": _MODEL,
        "stream": stream,
        "messages": [
            {"role": "system", "content": "You are a careful coding assistant."},
            {"role": "user", "content": _question(marker)},
        ],
        "tools": [_tool(number) for number in range(2)],
        "tool_choice": "auto",
    }
    padding = SMALL_BYTES - len(orjson.dumps(request))
    request["messages"][0]["content"] += _ascii_text(0, padding)
    return orjson.dumps(request)


def large_body(marker: str) -> bytes:
    """A late turn of an agent: 210 KB, 60 messages, 20 tools, 23 tool results; not streamed."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You are a careful coding agent.\n"},
        {"role": "user", "content": "Make the failing tests pass. " + _text(1, 1_500)},
    ]
    for number in range(LARGE_TOOL_RESULTS):
        messages += _tool_turn(number)
    while len(messages) < LARGE_MESSAGES - 1:
        messages.append(_plain_turn(len(messages)))
    messages.append({"role": "user", "content": _question(marker)})
    request = {
        "model": _MODEL,
        "stream": False,
        "messages": messages,
        "tools": [_tool(number) for number in range(LARGE_TOOLS)],
    }
    padding = LARGE_BYTES - len(orjson.dumps(request))
    messages[0]["content"] += _ascii_text(2, padding)
    return orjson.dumps(request)


def split_at_serial(body: bytes) -> tuple[bytes, bytes]:
    """What comes before and after the number of a request."""
    before, place, after = body.partition(SERIAL_PLACE)
    if not place or SERIAL_PLACE in after:
        raise ValueError("the body has not exactly one place for the number")
    return before, after


def numbered(parts: tuple[bytes, bytes], serial: int) -> bytes:
    """The body with that number in it."""
    return b"%b%012d%b" % (parts[0], serial, parts[1])


def _question(marker: str) -> str:
    return f"Request {SERIAL_PLACE.decode()}: what does this function return? {marker}"


def _tool(number: int) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": f"read_file_{number}",
            "description": "Reads a file of the workspace and gives its text. " + _text(number, 90),
            "parameters": {
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "Path below the workspace"},
                    "first_line": {"type": "integer", "description": "Counted from one"},
                    "last_line": {"type": "integer", "description": "Included"},
                },
                "required": ["path"],
                "additionalProperties": False,
            },
        },
    }


def _tool_turn(number: int) -> list[dict[str, Any]]:
    """An assistant's call and its result."""
    call = {
        "id": f"call_{number:04d}",
        "type": "function",
        "function": {
            "name": f"read_file_{number % LARGE_TOOLS}",
            "arguments": orjson.dumps(
                {"path": f"src/module_{number}.py", "first_line": 1}
            ).decode(),
        },
    }
    return [
        {"role": "assistant", "content": _text(number, 400), "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": _text(number, _RESULT_BYTES)},
    ]


def _plain_turn(number: int) -> dict[str, Any]:
    role = "assistant" if number % 2 else "user"
    return {"role": role, "content": _text(number, 1_200)}


def _text(seed: int, size_bytes: int) -> str:
    """Deterministic source-like text with line ends, quotes and characters beyond ASCII."""
    lines: list[str] = []
    size = 0
    number = seed * 7
    while size < size_bytes:
        words = [_WORDS[(number * 5 + place * 3) % len(_WORDS)] for place in range(8)]
        line = f'    {words[0]}_{number} = "{" ".join(words[1:])}"\n'
        lines.append(line)
        size += len(line.encode())
        number += 1
    return "".join(lines)


def _ascii_text(seed: int, size_bytes: int) -> str:
    """As `_text`, exactly `size_bytes` long in JSON too; empty for a negative size."""
    kept = (char for char in _text(seed, 3 * max(size_bytes, 0)) if char.isalnum() or char == " ")
    return "".join(char for char in kept if char.isascii())[: max(size_bytes, 0)]
