"""Scripts of Messages streams that show everything a Response can hold."""

from functools import reduce
from operator import add

from tests.support.messages_stream import (
    block,
    end,
    event,
    start,
    text,
    thinking,
    tool,
)
from tests.support.responses_stream import (
    make_frame,
)

TOOLS = [
    {"type": "function", "name": "read_file", "parameters": {"type": "object"}},
    {"type": "function", "name": "list", "parameters": {"type": "object"}},
    {"type": "custom", "name": "apply_patch", "format": {"type": "text"}},
    {"type": "function", "name": "pick", "parameters": {"type": "string"}},
    {"type": "namespace", "name": "mcp.fs", "description": "", "tools": [
        {"type": "function", "name": "stat", "parameters": {"type": "object"}}
    ]},
]  # fmt: skip
RICH_FRAME = make_frame(
    tools=TOOLS, reasoning={"summary": "auto"}, include=["reasoning.encrypted_content"]
)
STAT = next(iter(RICH_FRAME.plan.namespaces))
RICH = reduce(
    add,
    [
        start(cache_read_input_tokens=7),
        event("ping"),
        thinking(0, "Let me ", "see 日本."),
        text(1, "Reading", " the file 🙂…"),
        text(2, "at once"),
        tool(3, "read_file", '{"path": "ä', '.py"}'),
        event("a_new_event", anything=1),
        tool(4, "list"),
        thinking(5),
        tool(6, "apply_patch", '{"inp', 'ut":"*** Begin\\n', "+a\\ud83d", '\\ude42"}'),
        tool(7, "pick", '{"value":', '"b"}'),
        tool(8, STAT, '{"p":1}'),
        text(9, "Done\u2028.\n"),
        end("tool_use"),
    ],
)

RICH_FRAME_UNSEALED = make_frame(tools=TOOLS, reasoning={"summary": "auto"}, seal=None)

SCRIPTS = {
    "rich": RICH,
    "empty": start() + end(),
    "cut call": start() + text(0, "a") + tool(1, "list", "{") + end("max_tokens"),
    "cut text": start() + thinking(0, "x") + text(1, "a") + end("max_tokens"),
    "invalid": start() + tool(0, "pick", "{") + tool(1, "apply_patch", "[1]") + end("tool_use"),
    "redacted": start() + block(0, {"type": "redacted_thinking", "data": "d"}) + end(),
}
