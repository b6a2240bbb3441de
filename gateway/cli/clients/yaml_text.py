"""YAML files of clients, changed in place.

PyYAML says where each value stands; the text around it, with comments and quotes, is not touched.
What is written in braces on one line is changed where it stands, but nothing is added to it.
"""

from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.cli.clients.tree import Default, EditError, Records, Tree, plain, position_of

_BRACES = "it is written in braces on one line"


def read(text: str) -> Tree:
    """The decoded mapping; of an empty file an empty one. Raises EditError with the line."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise EditError(_reason(error)) from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise EditError("line 1: a mapping is needed here")
    return value


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)


def edit(text: str, wanted: Tree) -> str:
    """The text with the wanted values in it."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, MappingNode):
        return text + ("" if text.endswith("\n") or not text else "\n") + render(wanted)
    editor = _Editor(text)
    editor.mapping(root, wanted)
    return editor.result()


def render(wanted: Tree) -> str:
    """A file of its own."""
    return _block(plain(wanted), 0)


def _block(value: Any, column: int) -> str:
    """Block style, every line indented by `column`."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10**6)
    return "".join(" " * column + line + "\n" for line in text.splitlines())


def _inline(value: Any) -> str:
    """One line, quoted where it must be."""
    text: str = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10**6)
    return text.strip()[1:-1]


class _Editor:
    """Collects the replacements that bring the wanted values into one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._changes: list[tuple[int, int, str]] = []

    def result(self) -> str:
        text = self._text
        for start, end, replacement in sorted(self._changes, reverse=True):
            text = text[:start] + replacement + text[end:]
        return text

    def mapping(self, node: MappingNode, wanted: Tree) -> None:
        children = {key.value: value for key, value in node.value}
        new: Tree = {}
        for key, value in wanted.items():
            if key not in children:
                new[key] = plain(value)
            else:
                self._existing(children[key], value, node.start_mark.column)
        if not new:
            return
        if node.flow_style:
            raise EditError(f"line {node.start_mark.line + 1}: {_BRACES}")
        self._insert_after(node, _block(new, node.start_mark.column))

    def _existing(self, node: Node, wanted: Any, column: int) -> None:
        if _is_null(node):
            self._fill(node, plain(wanted), column)
        elif isinstance(wanted, dict) and isinstance(node, MappingNode):
            self.mapping(node, wanted)
        elif isinstance(wanted, Records) and isinstance(node, SequenceNode):
            self._records(node, wanted, column)
        elif not isinstance(wanted, Default | Records | dict) and _value(node) != wanted:
            self._changes.append((node.start_mark.index, self._end(node), _inline(wanted)))

    def _records(self, node: SequenceNode, wanted: Records, column: int) -> None:
        new: list[Any] = []
        for item in wanted.items:
            entries = [_value(entry) for entry in node.value]
            position = position_of(entries, wanted.key, item[wanted.key])
            if position is None:
                new.append(plain(item))
            else:
                self.mapping(node.value[position], item)
        if not new:
            return
        if not node.value:
            self._fill(node, new, column)
        elif node.flow_style:
            raise EditError(f"line {node.start_mark.line + 1}: {_BRACES}")
        else:
            self._insert_after(node, _block(new, node.start_mark.column))

    def _fill(self, node: Node, value: Any, column: int) -> None:
        """Puts a value where nothing stands: after a bare key, or for `null`, `~` or `[]`."""
        start = len(self._text[: node.start_mark.index].rstrip(" \t"))
        inside = isinstance(value, dict | list) and value
        text = "\n" + _block(value, column + 2).rstrip("\n") if inside else " " + _inline(value)
        self._changes.append((start, self._end(node), text))

    def _insert_after(self, node: Node, block: str) -> None:
        """Whole lines after the line on which a block ends."""
        end = self._text.find("\n", self._end(node))
        if end < 0:
            self._changes.append((len(self._text), len(self._text), "\n" + block))
        else:
            self._changes.append((end + 1, end + 1, block))

    def _end(self, node: Node) -> int:
        """Where a node's own text ends; PyYAML counts what follows to a block."""
        if isinstance(node, MappingNode) and not node.flow_style and node.value:
            return self._end(node.value[-1][1])
        if isinstance(node, SequenceNode) and not node.flow_style and node.value:
            return self._end(node.value[-1])
        start, end = node.start_mark.index, node.end_mark.index
        return int(start + len(self._text[start:end].rstrip()))


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and _value(node) is None


def _value(node: Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()
