"""What a prompt asks a coding agent to do, and which offered tool does it.

Tools are matched by name, in the spellings of real coding clients (read_file, Read, view, cat;
list_files, LS; execute_command, Bash; search_files, Grep; write_to_file, Edit, apply_diff).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from simulator.schema_values import Hints, value_for
from simulator.wire import Json

_PATH = re.compile(r"(?<![\w@])(?:[\w.~-]*[\\/])*[\w-][\w.-]*\.[A-Za-z][A-Za-z0-9]{0,7}\b")
_URL = re.compile(r"https?://\S+")
_CODE = re.compile(r"`([^`\n]+)`")
_VERBS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("edit", re.compile(r"\b(edit|change|modify|update|fix|write|create|add|replace|refactor)\b")),
    ("list", re.compile(r"\b(list|ls|which files|what files|directory|folder)\b")),
    ("run", re.compile(r"\b(run|execute|shell|terminal)\b")),
    ("search", re.compile(r"\b(grep|search|find|look for)\b")),
    ("read", re.compile(r"\b(read|open|show|view|cat|look at|look into|explain|check)\b")),
)
_TOOL_WORDS: dict[str, tuple[str, ...]] = {
    "read": ("read", "view", "cat", "open", "get_file", "show_file", "fetch_file", "editor"),
    "list": ("list", "ls", "dir", "glob", "tree", "files"),
    "run": ("bash", "run", "exec", "execute", "command", "terminal", "shell"),
    "search": ("grep", "search", "find", "ripgrep", "rg", "glob"),
    "edit": ("edit", "replace", "write", "patch", "apply", "create", "update", "insert", "editor"),
}
_COMMAND_AFTER = re.compile(r"\b(?:run|execute)\s+(?:the\s+)?(?:command\s+)?([\w./ -]{2,60})")
_TERM_AFTER = re.compile(r"\b(?:grep|search|find|look)\s+(?:for\s+)?[\"']?([\w.*-]+)")
_CLAUSE = re.compile(r"[.;\n](?:\s|$)|,?\s+(?:and\s+)?then\s+|,\s+and\s+|\s+and\s+(?=\w+\s)")


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing asked for; `kind` is read, list, run, search, edit or other."""

    kind: str
    clause: str
    subject: str = ""


def find_intents(text: str) -> list[Intent]:
    """The things a prompt asks for, in order, one for each clause and file."""
    intents: list[Intent] = []
    for clause in _CLAUSE.split(_URL.sub("", text)):
        if clause and clause.strip():
            for intent in _in_clause(clause.strip()):
                if intent not in intents:
                    intents.append(intent)
    return intents


def _in_clause(clause: str) -> list[Intent]:
    lowered = clause.lower()
    kind = next((kind for kind, pattern in _VERBS if pattern.search(lowered)), "")
    paths = list(dict.fromkeys(_PATH.findall(clause)))
    if kind == "run":
        command = _CODE.search(clause) or _COMMAND_AFTER.search(clause)
        return [Intent("run", clause, command.group(1).strip() if command else "ls")]
    if kind == "search":
        term = _CODE.search(clause) or _TERM_AFTER.search(clause)
        return [Intent("search", clause, term.group(1) if term else ".")]
    if kind == "list" and not paths:
        return [Intent("list", clause, ".")]
    if paths:
        chosen = "edit" if kind == "edit" else "read"
        return [Intent(chosen, clause, path) for path in paths]
    return []


def match_tool(intent: Intent, tools: Sequence[Json]) -> Json | None:
    """The offered tool that does what is asked; None when there is none."""
    wanted = _TOOL_WORDS.get(intent.kind, ())
    for word in wanted:
        for tool in tools:
            if word in _name_words(tool["name"]) or ("_" in word and word in tool["name"]):
                return tool
    return None


def _name_words(name: str) -> list[str]:
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower().replace("-", "_").split("_")


def tool_arguments(tool: Json, intent: Intent) -> Json:
    """Arguments that satisfy the tool's schema, filled with what is asked for."""
    schema = tool["input_schema"]
    subject = intent.subject or intent.clause[:80] or "value"
    hints = Hints(
        {
            "path": subject if intent.kind in ("read", "edit", "list") else ".",
            "directory": "." if intent.kind != "list" else subject,
            "command": _command(intent, subject),
            "pattern": subject if intent.kind == "search" else "**/*",
            "content": "# written by the simulator\n",
            "old": "before",
            "new": "after",
            "reason": intent.clause[:80] or "as asked",
        },
        fallback=subject,
    )
    arguments: Json = value_for(schema, hints)
    if not isinstance(arguments, dict):
        return {}
    return arguments or _likely_argument(schema, hints)


def _command(intent: Intent, subject: str) -> str:
    """The command; editors that take a `command` word are asked to view."""
    return subject if intent.kind == "run" else "view" if intent.kind == "read" else "ls"


def _likely_argument(schema: Json, hints: Hints) -> Json:
    """The first property, when a schema requires none but has some."""
    properties = schema.get("properties") or {}
    for name, inner in properties.items():
        if isinstance(inner, dict) and inner.get("type") == "string":
            return {name: value_for(inner, Hints({}, hints.text(name)))}
    return {}
