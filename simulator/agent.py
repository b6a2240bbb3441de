"""The built-in coding agent: what is answered when nothing is scripted.

It has no model behind it. It finds in the newest user text what is asked for (read, list, run,
search, edit), calls the offered tools that fit, one step after the other, with arguments that
satisfy their schemas, and then answers with what the tools returned. Otherwise it answers with a
short text about the question.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from simulator.intents import Intent, find_intents, match_tool, tool_arguments
from simulator.markers import without_markers
from simulator.plan import Block, Plan, text_block, thinking_block, tool_block
from simulator.schema_values import Hints, value_for
from simulator.validation.conversation import blocks_of
from simulator.validation.request import CheckedRequest
from simulator.validation.tools import is_custom
from simulator.wire import Json, dumps_text

_QUOTE_CHARS = 200
_INTENT_CHARS = 4000  # what is asked for stands at the beginning; the rest is pasted text
_RESULT_LINES = 12
_TAGS = re.compile(
    r"<(system-reminder|environment_details|ide_\w+|additional_data|attached_files|context)\b"
    r".*?</\1>",
    re.DOTALL,
)
_CODE_WORDS = re.compile(r"\b(code|function|script|class|snippet|example|implement)\b", re.I)


@dataclass(frozen=True, slots=True)
class Turn:
    """Where the conversation stands.

    `text` is the newest text of the user, `results` the tool results that came last, as
    `(tool name, text)`, and `calls_made` how many calls were made since that text.
    """

    text: str
    results: tuple[tuple[str, str], ...]
    calls_made: int
    prefill: str


def newest_user_text(messages: Sequence[Json]) -> str:
    """The text of the last message if it is the user's; empty after tool results alone."""
    for message in reversed(messages):
        if message["role"] == "system":
            continue
        if message["role"] != "user":
            return ""
        return "\n".join(b["text"] for b in blocks_of(message) if b["type"] == "text")
    return ""


def read_turn(messages: Sequence[Json]) -> Turn:
    """Where the conversation stands."""
    results: list[tuple[str, str]] = []
    calls = 0
    text = ""
    names = _call_names(messages)
    for index in range(len(messages) - 1, -1, -1):
        blocks = blocks_of(messages[index])
        if messages[index]["role"] == "assistant":
            calls += sum(1 for block in blocks if block["type"] == "tool_use")
        elif messages[index]["role"] == "user":
            if calls == 0:
                results = _results(blocks, names)
            text = _TAGS.sub("", "\n".join(b["text"] for b in blocks if b["type"] == "text"))
            if text.strip():
                break
    last = messages[-1]
    prefill = ""
    if last["role"] == "assistant":
        prefill = "".join(b["text"] for b in blocks_of(last) if b["type"] == "text")
    return Turn(without_markers(text), tuple(results), calls, prefill)


def _call_names(messages: Sequence[Json]) -> dict[str, str]:
    return {
        block["id"]: block["name"]
        for message in messages
        for block in blocks_of(message)
        if block["type"] == "tool_use"
    }


def _results(blocks: Sequence[Json], names: dict[str, str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for block in blocks:
        if block["type"] != "tool_result":
            continue
        content = block.get("content") or ""
        if not isinstance(content, str):
            content = "\n".join(
                item["text"] if item["type"] == "text" else f"[{item['type']}]" for item in content
            )
        found.append((names.get(block["tool_use_id"], "tool"), content))
    return found


def act(request: CheckedRequest) -> Plan:
    """The agent's plan for a request."""
    turn = read_turn(request.messages)
    calls = _calls(request, turn)
    blocks = _thoughts(request, turn, calls)
    if calls:
        blocks += calls
    else:
        blocks.append(text_block(_answer_text(request, turn)))
    return Plan(blocks=blocks)


def _thoughts(request: CheckedRequest, turn: Turn, calls: Sequence[Block]) -> list[Block]:
    """Thinking where the model thinks, and what it says before a tool call."""
    note = f"I'll use {calls[0].name} for this." if calls else ""
    hidden = f"The user asks: {turn.text[:_QUOTE_CHARS]}. {note or 'I can answer directly.'}"
    kind = request.thinking_type
    thinks = kind in ("adaptive", "enabled") and not _history_lost_thinking(request)
    if thinks:
        shown = hidden if request.display == "summarized" else ""
        return [thinking_block(shown, hidden=hidden)]
    if not note:
        return []
    if kind == "between_tools":
        return [thinking_block(note)]
    return [] if _forced(request) else [text_block(note)]


def _history_lost_thinking(request: CheckedRequest) -> bool:
    """In a tool loop whose thinking was not sent back, adaptive thinking is off for the request."""
    messages = [message for message in request.messages if message["role"] != "system"]
    if len(messages) < 2 or not any(b["type"] == "tool_result" for b in blocks_of(messages[-1])):
        return False
    return not any(
        block["type"] in ("thinking", "redacted_thinking") for block in blocks_of(messages[-2])
    )


def _forced(request: CheckedRequest) -> bool:
    return (request.body.get("tool_choice") or {}).get("type") in ("any", "tool")


def _calls(request: CheckedRequest, turn: Turn) -> list[Block]:
    """The tool calls of this step; none when tools are not offered or nothing is asked for."""
    tools = [tool for tool in request.tools if is_custom(tool)]
    choice = request.body.get("tool_choice") or {"type": "auto"}
    if not tools or choice["type"] == "none" or turn.prefill:
        return []
    intents = find_intents(turn.text[:_INTENT_CHARS])
    if choice["type"] == "tool":
        named = next(tool for tool in tools if tool["name"] == choice["name"])
        return [_call(named, intents[0] if intents else Intent("other", turn.text))]
    matched = [(tool, intent) for intent in intents if (tool := match_tool(intent, tools))]
    if choice["type"] == "any" and not matched:
        return [_call(tools[0], Intent("other", turn.text))]
    remaining = matched[turn.calls_made :] if choice["type"] != "any" else matched
    single = bool(choice.get("disable_parallel_tool_use")) or choice["type"] == "any"
    together = _alike(remaining)
    return [_call(tool, intent) for tool, intent in (together[:1] if single else together)]


def _alike(steps: list[tuple[Json, Intent]]) -> list[tuple[Json, Intent]]:
    """The first steps of one kind: reads can run in parallel, other steps one by one."""
    if not steps or steps[0][1].kind != "read":
        return steps[:1]
    count = next((i for i, step in enumerate(steps) if step[1].kind != "read"), len(steps))
    return steps[:count]


def _call(tool: Json, intent: Intent) -> Block:
    return tool_block(tool["name"], tool_arguments(tool, intent))


def _answer_text(request: CheckedRequest, turn: Turn) -> str:
    form = request.output_config.get("format")
    if form:
        hints = Hints({"content": turn.text[:_QUOTE_CHARS]}, fallback=turn.text[:40] or "value")
        return dumps_text(value_for(form["schema"], hints))
    if turn.prefill:
        return " and so on; the simulator continues the text it was given."
    if turn.results:
        return _about_results(turn)
    return _about_question(turn)


def _about_results(turn: Turn) -> str:
    parts = []
    for name, text in turn.results:
        lines = text.strip().splitlines()
        shown = "\n".join(lines[:_RESULT_LINES])
        more = f"\n... and {len(lines) - _RESULT_LINES} more lines" if len(lines) > 12 else ""
        parts.append(f"`{name}` returned {len(lines)} line(s):\n\n```\n{shown}{more}\n```")
    asked = turn.text.strip()[:_QUOTE_CHARS]
    return "\n\n".join([*parts, f'That is what was found for: "{asked}"'])


def _about_question(turn: Turn) -> str:
    asked = " ".join(turn.text.split())
    words = len(asked.split())
    quoted = asked if len(asked) <= _QUOTE_CHARS else f"{asked[:_QUOTE_CHARS]}..."
    answer = (
        f'You asked ({words} words): "{quoted}"\n\n'
        "This answer comes from the simulator: the request was checked by the same rules as "
        "at the real API, but no model read it. Set ANTHROPIC_API_KEY to talk to Claude."
    )
    if _CODE_WORDS.search(asked[:_INTENT_CHARS]):
        answer += '\n\n```python\ndef answer() -> str:\n    return "simulated"\n```'
    return answer
