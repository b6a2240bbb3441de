"""JSON files of clients, with or without comments, changed in place.

Only the bytes of what changes are touched: comments, order, indentation and trailing commas stay.
Comments and trailing commas are read in every file; a client that refuses them never had any.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from gateway import wire
from gateway.cli.clients.tree import Default, EditError, Records, Tree, plain, position_of

_SKIPPED = re.compile(r"(?:[ \t\r\n]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_SCALAR = re.compile(
    r'"(?:[^"\\\x00-\x1f]|\\.)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null'
)
_INDENTED = re.compile(r'^([ \t]+)"', re.MULTILINE)
_MOST_LEVELS = 100


@dataclass(slots=True)
class _Node:
    """A value and where it stands; `first` and `last` are the edges of what is inside it."""

    start: int
    end: int
    value: Any
    members: dict[str, "_Node"] = field(default_factory=dict)
    items: list["_Node"] = field(default_factory=list)
    first: int | None = None
    last: int = 0


class _Reader:
    """Reads one text into nodes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def document(self) -> _Node:
        root = self._value(self.skip(0), 0)
        if self.skip(root.end) != len(self._text):
            raise self._error(self.skip(root.end), "something stands after the end")
        if not isinstance(root.value, dict):
            raise self._error(root.start, "an object is needed here")
        return root

    def skip(self, position: int) -> int:
        """The position after blanks and comments."""
        found = _SKIPPED.match(self._text, position)
        return found.end() if found else position

    def _error(self, position: int, what: str) -> EditError:
        return EditError(f"line {self._text.count(chr(10), 0, position) + 1}: {what}")

    def _value(self, start: int, depth: int) -> _Node:
        if depth > _MOST_LEVELS:
            raise self._error(start, "nested too deeply")
        opening = self._text[start : start + 1]
        if opening == "{":
            return self._object(start, depth)
        if opening == "[":
            return self._array(start, depth)
        return self._scalar(start)

    def _scalar(self, start: int) -> _Node:
        found = _SCALAR.match(self._text, start)
        if found is None:
            raise self._error(start, "a value is needed here")
        try:
            return _Node(start, found.end(), wire.loads(found.group()))
        except wire.JSONDecodeError:
            raise self._error(start, "a value is needed here") from None

    def _object(self, start: int, depth: int) -> _Node:
        node = _Node(start, start, {})
        position = self.skip(start + 1)
        while self._text[position : position + 1] != "}":
            key = self._scalar(position)
            if not isinstance(key.value, str):
                raise self._error(position, "a name in quotes is needed here")
            colon = self.skip(key.end)
            if self._text[colon : colon + 1] != ":":
                raise self._error(colon, "a colon is needed here")
            child = self._value(self.skip(colon + 1), depth + 1)
            node.members[key.value] = child
            node.value[key.value] = child.value
            position = self._after(node, position, child.end, "}")
        node.end = position + 1
        return node

    def _array(self, start: int, depth: int) -> _Node:
        node = _Node(start, start, [])
        position = self.skip(start + 1)
        while self._text[position : position + 1] != "]":
            child = self._value(position, depth + 1)
            node.items.append(child)
            node.value.append(child.value)
            position = self._after(node, position, child.end, "]")
        node.end = position + 1
        return node

    def _after(self, node: _Node, start: int, end: int, closing: str) -> int:
        """Notes a child's edges; the position of the next child or of the closing bracket."""
        node.first = start if node.first is None else node.first
        node.last = end
        position = self.skip(end)
        mark = self._text[position : position + 1]
        if mark not in {",", closing} or not mark:
            raise self._error(position, f"a comma or {closing} is needed here")
        return self.skip(position + 1) if mark == "," else position


class _Editor:
    """Collects the replacements that bring the wanted values into one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._reader = _Reader(text)
        found = _INDENTED.search(text)
        self._unit = found.group(1) if found else "  "
        self._changes: list[tuple[int, int, str]] = []

    def edit(self, wanted: Tree) -> str:
        self._object(self._reader.document(), wanted)
        text = self._text
        for start, end, replacement in sorted(self._changes, reverse=True):
            text = text[:start] + replacement + text[end:]
        return text

    def _object(self, node: _Node, wanted: Tree) -> None:
        new: list[tuple[str, Any]] = []
        for key, value in wanted.items():
            child = node.members.get(key)
            if child is None:
                new.append((wire.dumps_text(key) + ": ", plain(value)))
            else:
                self._existing(child, value)
        self._append(node, new)

    def _existing(self, node: _Node, wanted: Any) -> None:
        if node.value is None:
            self._replace(node, plain(wanted))
        elif isinstance(wanted, dict):
            self._object(node, wanted)
        elif isinstance(wanted, Records):
            self._records(node, wanted)
        elif not isinstance(wanted, Default) and node.value != wanted:
            self._replace(node, wanted)

    def _records(self, node: _Node, wanted: Records) -> None:
        new: list[tuple[str, Any]] = []
        for item in wanted.items:
            position = position_of(node.value, wanted.key, item[wanted.key])
            if position is None:
                new.append(("", plain(item)))
            else:
                self._object(node.items[position], item)
        self._append(node, new)

    def _replace(self, node: _Node, value: Any) -> None:
        text = _rendered(value, self._line_indent(node.start), self._unit)
        self._changes.append((node.start, node.end, text))

    def _append(self, node: _Node, entries: list[tuple[str, Any]]) -> None:
        if not entries:
            return
        close = node.end - 1
        outer = self._line_indent(node.start)
        inner = self._inner_indent(node, outer)
        body = ",\n".join(
            inner + label + _rendered(value, inner, self._unit) for label, value in entries
        )
        begin = node.start + 1 if node.first is None else node.last
        kept = self._text[begin:close].rstrip()
        comma = self._reader.skip(begin)
        trailing = node.first is not None and self._text[comma : comma + 1] == ","
        before = "," if node.first is not None and not trailing else ""
        after = "," if trailing else ""
        self._changes.append((begin, close, f"{before}{kept}\n{body}{after}\n{outer}"))

    def _inner_indent(self, node: _Node, outer: str) -> str:
        if node.first is not None:
            line = self._text[self._text.rfind("\n", 0, node.first) + 1 : node.first]
            if not line.strip():
                return line
        return outer + self._unit

    def _line_indent(self, position: int) -> str:
        line = self._text[self._text.rfind("\n", 0, position) + 1 : position]
        return line[: len(line) - len(line.lstrip())]


def read(text: str) -> Tree:
    """The decoded object; of an empty file an empty one. Raises EditError with the line."""
    value: Tree = _Reader(text).document().value if text.strip() else {}
    return value


def edit(text: str, wanted: Tree) -> str:
    """The text with the wanted values in it."""
    return _Editor(text).edit(wanted) if text.strip() else render(wanted)


def render(wanted: Tree) -> str:
    """A file of its own."""
    return _rendered(plain(wanted), "", "  ") + "\n"


def _rendered(value: Any, indent: str, unit: str) -> str:
    inner = indent + unit
    if isinstance(value, dict) and value:
        lines = [
            f"{inner}{wire.dumps_text(key)}: {_rendered(item, inner, unit)}"
            for key, item in value.items()
        ]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        lines = [inner + _rendered(item, inner, unit) for item in value]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    if isinstance(value, list):
        return "[" + ", ".join(wire.dumps_text(item) for item in value) + "]"
    return wire.dumps_text(value)
