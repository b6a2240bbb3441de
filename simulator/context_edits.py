"""Context editing and compaction: what the model reads of a request, and what an edit did to it.

The client's history stays as it is: thinking is checked against it, not against what edits leave.
What stands before a compaction block is not read any more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from simulator.errors import invalid
from simulator.prompt import Prompt, lay_out
from simulator.thinking_blocks import Signer
from simulator.tokens import Counter
from simulator.validation.context_edits import CLEAR_THINKING, CLEAR_TOOLS
from simulator.validation.conversation import blocks_of
from simulator.validation.request import CheckedRequest
from simulator.wire import Json, dumps_text

CLEARED = "[Old tool result content cleared]"
_DEFAULT_TRIGGER = 100_000
_DEFAULT_KEEP = 3
_DEFAULT_COMPACTION_TRIGGER = 150_000
_SUMMARY_LINES = 20
_SUMMARY_LINE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Edited:
    """A request as the model reads it.

    `applied` is what the answer reports, None when nothing was asked for; `original_tokens` counts
    the prompt before the edits. `compact` is the edit that wants the context compacted now.
    """

    request: CheckedRequest
    dropped: frozenset[str]
    prompt: Prompt
    original_tokens: int
    applied: list[Json] | None = None
    compact: Json | None = None


def edit(request: CheckedRequest, counter: Counter, dropped: frozenset[str]) -> Edited:
    """The request with its edits done; `dropped` are paths the model does not read anyway."""
    dropped = dropped | _before_compaction(request.messages)
    prompt = lay_out(request, counter, dropped)
    edited = Edited(request, dropped, prompt, prompt.tokens)
    config = request.body.get("context_management")
    if not config:
        return edited
    edited = replace(edited, applied=[])
    for wanted in config.get("edits") or ():
        if wanted["type"] == CLEAR_THINKING:
            edited = _clear_thinking(edited, wanted, counter)
        elif wanted["type"] == CLEAR_TOOLS:
            edited = _clear_tools(edited, wanted, counter)
        elif edited.prompt.tokens > _trigger(wanted, _DEFAULT_COMPACTION_TRIGGER):
            edited = replace(edited, compact=wanted)
    return edited


def summary_block(request: CheckedRequest, signer: Signer) -> Json:
    """The compaction block that stands for all messages of the request."""
    lines = [
        " ".join(block["text"].split())[:_SUMMARY_LINE_CHARS]
        for message in request.messages
        for block in blocks_of(message)
        if block["type"] == "text"
    ]
    text = "\n".join(["Summary of the conversation:", *lines[-_SUMMARY_LINES:]])
    return {"type": "compaction", "content": text, "encrypted_content": signer.seal(text)}


def check_summaries(request: CheckedRequest, signer: Signer) -> None:
    """Refuses a compaction block that did not come back as it was sent."""
    for path, _, block in _blocks(request.messages):
        if block["type"] == "compaction" and block.get("content"):
            sealed = block.get("encrypted_content")
            if sealed is not None and sealed != signer.seal(block["content"]):
                raise invalid(path, "Invalid `encrypted_content` in `compaction` block")


def compacted(edited: Edited, block: Json, counter: Counter) -> Edited:
    """The request as the model reads it once `block` stands for its messages."""
    messages = [{"role": "assistant", "content": [block]}]
    request = _with_messages(edited.request, messages)
    return replace(edited, dropped=frozenset(), prompt=lay_out(request, counter, frozenset()))


def _before_compaction(messages: Sequence[Json]) -> frozenset[str]:
    """The paths of everything before the last compaction block that holds a summary."""
    paths: list[str] = []
    behind = 0
    for path, _, block in _blocks(messages):
        if block["type"] == "compaction" and block.get("content"):
            behind = len(paths)
        paths.append(path)
    return frozenset(paths[:behind])


def _clear_thinking(edited: Edited, wanted: Json, counter: Counter) -> Edited:
    keep = wanted.get("keep", {"type": "thinking_turns", "value": 1})
    if keep == "all" or keep["type"] == "all":
        return edited
    turns: dict[int, list[str]] = {}
    for path, index, block in _blocks(edited.request.messages):
        if block["type"] in ("thinking", "redacted_thinking") and path not in edited.dropped:
            turns.setdefault(index, []).append(path)
    old = list(turns)[: max(0, len(turns) - keep["value"])]
    paths = frozenset(path for index in old for path in turns[index])
    if not paths:
        return edited
    dropped = edited.dropped | paths
    prompt = lay_out(edited.request, counter, dropped)
    report = {"type": CLEAR_THINKING, "cleared_thinking_turns": len(old)}
    return _applied(replace(edited, dropped=dropped), prompt, report)


def _clear_tools(edited: Edited, wanted: Json, counter: Counter) -> Edited:
    uses = [
        (path, block)
        for path, _, block in _blocks(edited.request.messages)
        if block["type"] == "tool_use" and path not in edited.dropped
    ]
    trigger = wanted.get("trigger") or {"type": "input_tokens", "value": _DEFAULT_TRIGGER}
    size = len(uses) if trigger["type"] == "tool_uses" else edited.prompt.tokens
    if size <= trigger["value"]:
        return edited
    keep = (wanted.get("keep") or {"value": _DEFAULT_KEEP})["value"]
    excluded = frozenset(wanted.get("exclude_tools") or ())
    old = {block["id"]: block for _, block in uses[: max(0, len(uses) - keep)]}
    ids = frozenset(each for each, block in old.items() if block["name"] not in excluded)
    request = _with_messages(edited.request, list(_cleared(edited.request.messages, ids, wanted)))
    prompt = lay_out(request, counter, edited.dropped)
    least = (wanted.get("clear_at_least") or {"value": 0})["value"]
    if not ids or edited.prompt.tokens - prompt.tokens < least:
        return edited
    report = {"type": CLEAR_TOOLS, "cleared_tool_uses": len(ids)}
    return _applied(replace(edited, request=request), prompt, report)


def _cleared(messages: Sequence[Json], ids: frozenset[str], wanted: Json) -> Iterator[Json]:
    """The messages with the results of those calls, and their inputs where wanted, cleared."""
    inputs = wanted.get("clear_tool_inputs") or False
    for message in messages:
        content = []
        for block in blocks_of(message):
            if block["type"] == "tool_result" and block["tool_use_id"] in ids:
                content.append({**block, "content": CLEARED})
            elif block["type"] == "tool_use" and block["id"] in ids and _clears(inputs, block):
                content.append({**block, "input": {}})
            else:
                content.append(block)
        yield {**message, "content": content}


def _clears(inputs: bool | list[str], block: Json) -> bool:
    return block["name"] in inputs if isinstance(inputs, list) else inputs


def _applied(edited: Edited, prompt: Prompt, report: Json) -> Edited:
    report["cleared_input_tokens"] = edited.prompt.tokens - prompt.tokens
    return replace(edited, prompt=prompt, applied=[*(edited.applied or ()), report])


def _trigger(wanted: Json, default: int) -> int:
    return int((wanted.get("trigger") or {"value": default})["value"])


def _with_messages(request: CheckedRequest, messages: list[Json]) -> CheckedRequest:
    return replace(request, body={**request.body, "messages": messages})


def _blocks(messages: Sequence[Json]) -> Iterator[tuple[str, int, Json]]:
    """Path, message and block of every block."""
    for index, message in enumerate(messages):
        for position, block in enumerate(blocks_of(message)):
            yield f"messages.{index}.content.{position}", index, block


def summary_tokens(block: Json, counter: Counter) -> int:
    """What writing the summary costs in output tokens."""
    return counter.count(dumps_text(block["content"]))


def wants_pause(wanted: Json) -> bool:
    """True when the answer is to end behind the compaction block."""
    return bool(wanted.get("pause_after_compaction"))
