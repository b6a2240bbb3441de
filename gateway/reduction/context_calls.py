"""What the tool calls of a conversation did: files read and edited, commands and their outcome."""

import re
from collections.abc import Sequence
from typing import Literal

from gateway.reduction.context_lines import error_lines, shortened
from gateway.reduction.tool_kinds import call_arguments
from gateway.structs import Struct, field
from gateway.wire import JSON, JSONObject

CallKind = Literal["read", "edit", "run", "search", "other"]

_EDIT_WORDS = frozenset(
    {"write", "edit", "create", "replace", "patch", "insert", "apply", "delete", "remove", "move"}
    | {"rename", "update", "append", "multiedit", "overwrite", "undo", "save", "str", "modify"}
)
_READ_WORDS = frozenset({"read", "view", "open", "cat", "get", "load", "fetch", "show"})
_SEARCH_WORDS = frozenset({"search", "grep", "glob", "find", "list", "ls", "ripgrep", "query"})
_RUN_WORDS = frozenset({"bash", "shell", "run", "exec", "execute", "command", "terminal", "test"})
_PATHS = ("path", "file_path", "filePath", "filename", "file", "target_file", "notebook_path")
_MORE_PATHS = ("relative_path", "relative_workspace_path", "absolute_path", "filepath", "uri")
_COMMANDS = ("command", "cmd", "script", "commands", "code", "input")
_PATCHES = ("patch", "diff", "input", "content")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_PATCHED = re.compile(
    r"^(?:\*\*\* (?:Add|Update|Delete) File: (.+)|\+\+\+ (?:b/)?(\S+))", re.MULTILINE
)
_LOOKS = frozenset({"view", "read", "show", "open"})
_FAILED = re.compile(r"exit(?:ed with)?(?: code| status)?:? *[1-9]\d*\b", re.IGNORECASE)
_MOST_COMMAND_CHARS = 240


class Call(Struct, frozen=True):
    """One call: what it was for. `paths` are the files it names, `command` what it ran."""

    kind: CallKind
    paths: tuple[str, ...] = ()
    command: str = ""


class Deeds(Struct):
    """What was done in a part of a conversation, in order and each thing once.

    `errors` has the lines of failures and the message they stood in; `commands` each command with
    its latest outcome.
    """

    edited: dict[str, int] = field(default_factory=dict)
    read: dict[str, None] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)
    errors: list[tuple[int, str]] = field(default_factory=list)


def deeds_of(messages: Sequence[JSONObject]) -> Deeds:
    """What the calls in `messages` did."""
    deeds = Deeds()
    calls: dict[str, Call] = {}
    for number, message in enumerate(messages):
        for block in message["content"]:
            if block["type"] == "tool_use":
                call = calls[block["id"]] = read_call(block)
                _note_files(deeds, call)
            elif block["type"] == "tool_result":
                known = calls.get(block["tool_use_id"], Call("other"))
                _note_result(deeds, known, block, number)
    return deeds


def read_call(block: JSONObject) -> Call:
    """What a `tool_use` block is for, by the words of its name and its arguments."""
    arguments = call_arguments(block)
    words = {word.lower() for word in _WORD.findall(block["name"])}
    command = _command(arguments)
    paths = [*_texts(arguments, _PATHS), *_texts(arguments, _MORE_PATHS)]
    if words & _EDIT_WORDS and command not in _LOOKS:
        for text in _texts(arguments, _PATCHES):
            paths += [added or changed for added, changed in _PATCHED.findall(text)]
        return Call("edit", tuple(dict.fromkeys(paths)))
    if command and (words & _RUN_WORDS or not paths):
        return Call("run", (), command)
    if words & _SEARCH_WORDS:
        return Call("search")
    if paths and (words & _READ_WORDS or command in _LOOKS):
        return Call("read", tuple(paths))
    return Call("other")


def _note_files(deeds: Deeds, call: Call) -> None:
    if call.kind == "edit":
        for path in call.paths:
            deeds.edited[path] = deeds.edited.get(path, 0) + 1
    elif call.kind == "read":
        deeds.read.update(dict.fromkeys(call.paths))


def _note_result(deeds: Deeds, call: Call, block: JSONObject, number: int) -> None:
    text = _result_text(block)
    failed = bool(block.get("is_error"))
    if call.kind in ("read", "search") and not failed:
        return  # what a file says of errors has not happened here
    lines = error_lines(text)
    if failed and not lines:
        lines = [shortened(line) for line in text.splitlines()[:3] if line.strip()]
    deeds.errors += [(number, line) for line in lines]
    if call.kind == "run":
        failed = failed or bool(lines) or _FAILED.search(text) is not None
        deeds.commands.pop(call.command, None)
        deeds.commands[call.command] = "failed" if failed else "ok"


def _result_text(block: JSONObject) -> str:
    content = block.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def _command(arguments: JSONObject) -> str:
    """The command that the arguments hold, on one line."""
    for name in _COMMANDS:
        value = arguments.get(name)
        if isinstance(value, list):
            value = " ".join(map(str, value))
        if isinstance(value, str) and value:
            line = " ".join(value.split())
            cut = len(line) > _MOST_COMMAND_CHARS
            return f"{line[:_MOST_COMMAND_CHARS]} ..." if cut else line
    return ""


def _texts(arguments: JSONObject, names: Sequence[str]) -> list[str]:
    found: list[JSON] = [arguments.get(name) for name in names]
    return [value for value in found if isinstance(value, str) and value]
