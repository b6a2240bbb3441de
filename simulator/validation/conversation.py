"""The rules of a conversation: roles, non-empty content, pairing of tool calls and results."""

from collections.abc import Sequence

from simulator.errors import ApiError, invalid
from simulator.models import Model
from simulator.validation.content import SERVER_RESULTS
from simulator.wire import Json

MAX_MESSAGES = 100_000
_USER_ONLY = frozenset({"tool_result", "image"})
_ASSISTANT_ONLY = frozenset({"tool_use", "server_tool_use", "thinking", "redacted_thinking"})


def blocks_of(message: Json) -> list[Json]:
    """A message's content as blocks; a string is one text block."""
    content = message["content"]
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return list(content)


def check_conversation(messages: Sequence[Json], model: Model) -> None:
    """Runs all rules on `messages`, whose shape has been checked."""
    if not messages:
        raise invalid("messages", "at least one message is required")
    if len(messages) > MAX_MESSAGES:
        raise invalid("messages", f"List should have at most {MAX_MESSAGES} items")
    _check_system_role(messages, model)
    if messages[0]["role"] != "user":
        raise invalid("messages", 'first message must use the "user" role')
    for index, message in enumerate(messages):
        _check_content(message, index, last=index == len(messages) - 1)
    _check_tool_pairs(messages)
    _check_ending(messages, model)


def _check_content(message: Json, index: int, last: bool) -> None:
    path = f"messages.{index}"
    blocks = blocks_of(message)
    role = message["role"]
    if not blocks or (isinstance(message["content"], str) and not message["content"]):
        if last and role == "assistant":
            return
        raise invalid(
            path,
            "all messages must have non-empty content except for the optional final "
            "assistant message",
        )
    for position, block in enumerate(blocks):
        _check_block(block, role, f"{path}.content.{position}")


def _check_block(block: Json, role: str, path: str) -> None:
    kind = block["type"]
    if kind == "text":
        check_text(block["text"], "messages")
    if role == "system" and kind != "text":
        raise invalid(path, "`system` messages may only contain text blocks")
    if role == "user" and kind in _ASSISTANT_ONLY:
        raise invalid(path, f"`{kind}` blocks can only be in `assistant` messages")
    if role == "assistant" and kind in _USER_ONLY:
        raise invalid(path, f"`{kind}` blocks can only be in `user` messages")
    if kind == "tool_result" and isinstance(block.get("content"), list):
        for inner in block["content"]:
            if inner["type"] == "text":
                check_text(inner["text"], "messages")


def check_text(text: str, path: str) -> None:
    """Refuses an empty text block, and one of whitespace only."""
    if not text:
        raise invalid(path, "text content blocks must be non-empty")
    if not text.strip():
        raise invalid(path, "text content blocks must contain non-whitespace text")


def check_system(system: str | Sequence[Json]) -> None:
    """The rules of the top-level `system`; an empty string is allowed."""
    if isinstance(system, str):
        return
    for block in system:
        check_text(block["text"], "system")


def _check_system_role(messages: Sequence[Json], model: Model) -> None:
    """Placement of role `system` inside messages, where a model takes it at all."""
    for index, message in enumerate(messages):
        if message["role"] != "system":
            continue
        if not model.inline_system:
            raise ApiError(400, "role 'system' is not supported on this model")
        previous = _neighbour(messages, index, -1)
        if previous is None:
            raise invalid(
                f"messages.{index}",
                "a `system` message cannot be the first message; use the top-level `system` "
                "parameter",
            )
        if previous["role"] == "assistant" and not _ends_in_server_result(previous):
            raise invalid(
                f"messages.{index}",
                "a `system` message must directly follow a `user` message or an `assistant` "
                "message that ends in a server tool result",
            )
        following = _neighbour(messages, index, 1)
        if following is not None and following["role"] != "assistant":
            raise invalid(
                f"messages.{index}",
                "a `system` message must be last or be followed by an `assistant` message",
            )


def _neighbour(messages: Sequence[Json], index: int, step: int) -> Json | None:
    index += step
    while 0 <= index < len(messages):
        if messages[index]["role"] != "system":
            return messages[index]
        index += step
    return None


def _ends_in_server_result(message: Json) -> bool:
    return blocks_of(message)[-1]["type"] in SERVER_RESULTS


def _check_tool_pairs(messages: Sequence[Json]) -> None:
    """Every tool_use is answered in the next user message, first in it, and nothing else is."""
    turns = _turns(messages)
    seen: set[str] = set()
    waiting: list[str] = []
    for position, (role, first_index, blocks) in enumerate(turns):
        if role == "user":
            _check_results(waiting, first_index, blocks)
            waiting = []
        elif role == "assistant":
            if waiting:
                raise _unanswered(first_index - 1, waiting)
            waiting = _tool_use_ids(blocks, seen)
            if waiting and position == len(turns) - 1:
                raise _unanswered(first_index, waiting)


def _turns(messages: Sequence[Json]) -> list[tuple[str, int, list[tuple[str, Json]]]]:
    """Consecutive messages of one role merged: `(role, last index, [(path, block), ...])`."""
    turns: list[tuple[str, int, list[tuple[str, Json]]]] = []
    for index, message in enumerate(messages):
        role = message["role"]
        if role == "system":
            continue
        blocks = [
            (f"messages.{index}.content.{position}", block)
            for position, block in enumerate(blocks_of(message))
        ]
        if turns and turns[-1][0] == role:
            turns[-1] = (role, index, turns[-1][2] + blocks)
        else:
            turns.append((role, index, blocks))
    return turns


def _tool_use_ids(blocks: Sequence[tuple[str, Json]], seen: set[str]) -> list[str]:
    ids: list[str] = []
    for _path, block in blocks:
        if block["type"] == "tool_use":
            if block["id"] in seen:
                raise invalid("messages", "`tool_use` ids must be unique")
            seen.add(block["id"])
            ids.append(block["id"])
    return ids


def _check_results(waiting: list[str], index: int, blocks: Sequence[tuple[str, Json]]) -> None:
    answered: set[str] = set()
    other_seen = False
    for path, block in blocks:
        if block["type"] != "tool_result":
            other_seen = True
            continue
        tool_use_id = block["tool_use_id"]
        if tool_use_id not in waiting:
            raise invalid(
                path,
                f"unexpected `tool_use_id` found in `tool_result` blocks: {tool_use_id}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous "
                "message.",
            )
        if tool_use_id in answered:
            raise invalid(
                path,
                "each tool_use must have a single result. Found multiple `tool_result` blocks "
                f"with id: {tool_use_id}",
            )
        if other_seen:
            raise _unanswered(index - 1, [tool_use_id])
        answered.add(tool_use_id)
    missing = [tool_use_id for tool_use_id in waiting if tool_use_id not in answered]
    if missing:
        raise _unanswered(index - 1, missing)


def _unanswered(index: int, ids: Sequence[str]) -> ApiError:
    return invalid(
        f"messages.{index}",
        "`tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(ids)}. Each `tool_use` block must have a corresponding `tool_result` block "
        "in the next message.",
    )


def _check_ending(messages: Sequence[Json], model: Model) -> None:
    """A trailing assistant message is a prefill: old models only, and without trailing space."""
    last = messages[-1]
    if last["role"] != "assistant" or _is_paused(last):
        return
    if not model.prefill:
        raise ApiError(
            400,
            "This model does not support assistant message prefill. The conversation must end "
            "with a user message.",
        )
    blocks = blocks_of(last)
    if blocks and blocks[-1]["type"] == "text":
        text = blocks[-1]["text"]
        if text != text.rstrip():
            raise invalid("messages", "final assistant content cannot end with trailing whitespace")


def _is_paused(message: Json) -> bool:
    """A turn that stopped with `pause_turn` is sent back as it is, to be continued."""
    blocks = blocks_of(message)
    return bool(blocks) and blocks[-1]["type"] in ("server_tool_use", *SERVER_RESULTS)


def check_version_rules(messages: Sequence[Json]) -> None:
    """What version 2026-10-21 refuses in messages: assistant documents, citations of users."""
    for index, message in enumerate(messages):
        for position, block in enumerate(blocks_of(message)):
            path = f"messages.{index}.content.{position}"
            if message["role"] == "assistant" and block["type"] == "document":
                raise invalid(path, "`document` blocks are not permitted in `assistant` messages")
            if message["role"] == "user":
                _check_user_citations(block, path)


def _check_user_citations(block: Json, path: str) -> None:
    texts = block["content"] if block["type"] == "search_result" else [block]
    for text in texts:
        if text["type"] == "text" and text.get("citations"):
            raise invalid(
                f"{path}.text.citations", "citations are not permitted in `user` messages"
            )
