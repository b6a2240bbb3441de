"""What a tool does, as far as it matters for shortening: does it read files, does it edit them?"""

import re
import shlex
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from gateway import wire
from gateway.config.tables import read_table
from gateway.structs import Struct
from gateway.wire import JSON, JSONObject

_MOST_COMMAND_CHARS = 400  # what prints one file is short
_COMPOUND = re.compile(r"[|;&<>`\n]|\$\(")
_LISTS = {"reads": ("names",), "shells": ("names", "commands", "readers"), "edits": ("names",)}
_SERVER_PREFIX = re.compile(r"^(?:mcp__.+__|[a-z0-9_-]+[./:])")


class ReadsWhen(Struct, frozen=True):
    """Tools that read when an argument has one of these values."""

    names: frozenset[str]
    argument: str
    values: frozenset[str]


class ToolKinds(Struct, frozen=True):
    """Names of tools by what they do, in lower case."""

    reads: frozenset[str]
    reads_when: tuple[ReadsWhen, ...]
    shells: frozenset[str]
    command_arguments: tuple[str, ...]
    readers: frozenset[str]
    edits: frozenset[str]

    def reads_file(self, call: JSONObject | None) -> bool:
        """True when the result of this `tool_use` block is the text of a file."""
        if call is None:
            return False
        name = _bare_name(call["name"])
        if name in self.reads:
            return True
        for rule in self.reads_when:
            if name in rule.names:
                value = call_arguments(call).get(rule.argument)
                return isinstance(value, str) and value in rule.values
        return name in self.shells and self._prints_file(call_arguments(call))

    def edits_files(self, name: str) -> bool:
        """True for the name of a tool that changes files."""
        return _bare_name(name) in self.edits

    def has_edit_tool(self, tools: list[JSONObject]) -> bool:
        """True when one of these definitions is of a tool that changes files."""
        return any(self.edits_files(str(tool.get("name", ""))) for tool in tools)

    def _prints_file(self, arguments: JSONObject) -> bool:
        for name in self.command_arguments:
            command = arguments.get(name)
            if isinstance(command, list) and len(command) == 1:
                command = command[0]
            if isinstance(command, list):
                return self._is_reader([str(word) for word in command])
            if isinstance(command, str):
                return self._is_reader(_words(command))
        return False

    def _is_reader(self, words: list[str]) -> bool:
        if words[:1] and words[0] in ("bash", "sh") and len(words) == 3:
            words = _words(words[2])
        if len(words) < 2 or words[0].lower() not in self.readers:
            return False
        files = [word for word in words[1:] if _is_path(word)]
        return len(files) == 1


def load_tool_kinds(overrides: Path | None = None) -> ToolKinds:
    """The packaged names with those of `overrides` added.

    Raises ValueError with the entry that is wrong.
    """
    packaged = resources.files("gateway.reduction").joinpath("tool_kinds.toml").read_text("utf-8")
    tables = [tomllib.loads(packaged)]
    if overrides is not None:
        tables.append(_read(overrides))
    return ToolKinds(
        reads=_all(tables, "reads", "names"),
        reads_when=tuple(
            ReadsWhen(
                frozenset(map(str.lower, rule["names"])),
                rule["argument"],
                frozenset(rule["values"]),
            )
            for table in tables
            for rule in table.get("reads", {}).get("when", [])
        ),
        shells=_all(tables, "shells", "names"),
        command_arguments=tuple(
            dict.fromkeys(
                name for table in tables for name in table.get("shells", {}).get("commands", [])
            )
        ),
        readers=_all(tables, "shells", "readers"),
        edits=_all(tables, "edits", "names"),
    )


def _read(path: Path) -> dict[str, Any]:
    table = read_table(path)
    unknown = set(table) - {*_LISTS, "source", "collected_on"}
    if unknown:
        raise ValueError(f"{min(unknown)} is none of {', '.join(_LISTS)}")
    for kind, lists in _LISTS.items():
        entry = table.get(kind, {})
        if not isinstance(entry, dict):
            raise ValueError(f"{kind} must be a table")
        for name in lists:
            if not _are_texts(entry.get(name, [])):
                raise ValueError(f"{kind}.{name} must be a list of names")
    _check_rules(table.get("reads", {}).get("when", []))
    return table


def _check_rules(rules: JSON) -> None:
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise ValueError("reads.when must be a list of tables")
    for rule in rules:
        if not {"names", "argument", "values"} <= set(rule):
            raise ValueError("reads.when needs names, argument and values")
        if not (_are_texts(rule["names"]) and _are_texts(rule["values"])):
            raise ValueError("reads.when needs lists of texts for names and values")
        if not isinstance(rule["argument"], str):
            raise ValueError("the argument of reads.when must be a name")


def _are_texts(value: JSON) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _all(tables: list[dict[str, Any]], kind: str, what: str) -> frozenset[str]:
    names = (name for table in tables for name in table.get(kind, {}).get(what, []))
    return frozenset(name.lower() for name in names)


def _bare_name(name: str) -> str:
    lowered = name.lower()
    return _SERVER_PREFIX.sub("", lowered) if "_" in lowered or "." in lowered else lowered


def call_arguments(call: JSONObject) -> JSONObject:
    """The call's arguments; those of a kept turn are JSON text that is spliced in."""
    given: JSON = call["input"]
    if isinstance(given, wire.Fragment):
        given = wire.loads(wire.dumps(given))
    return given if isinstance(given, dict) else {}


def _words(command: str) -> list[str]:
    """The words of a simple command; none of one that is put together, or long."""
    if len(command) > _MOST_COMMAND_CHARS or _COMPOUND.search(command):
        return []
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _is_path(word: str) -> bool:
    """True for a word that names a file, and not an option, a count or a range for `sed`."""
    return not word.startswith("-") and ("." in word or "/" in word or "\\" in word)
