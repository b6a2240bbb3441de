"""TOML files of clients, changed in place by tomlkit, which keeps everything else as it stands."""

from collections.abc import MutableMapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from gateway.cli.clients.tree import Default, EditError, Tree, plain


def read(text: str) -> Tree:
    """The decoded document. Raises EditError with the line."""
    return _parsed(text).unwrap()


def edit(text: str, wanted: Tree) -> str:
    """The text with the wanted values in it; lists of tables are not among them."""
    document = _parsed(text)
    _merge(document, wanted)
    return tomlkit.dumps(document)


def render(wanted: Tree) -> str:
    """A file of its own."""
    return edit("", wanted)


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise EditError(str(error)) from error


def _merge(table: MutableMapping[str, Any], wanted: Tree) -> None:
    for key, value in wanted.items():
        old = table.get(key)
        if isinstance(value, dict):
            if old is None:
                table[key] = old = _new_table(table, value)
            _merge(old, value)
        elif old is None or not (isinstance(value, Default) or old == value):
            table[key] = plain(value)


def _new_table(parent: MutableMapping[str, Any], wanted: Tree) -> MutableMapping[str, Any]:
    """An empty table of the parent's kind; one that holds only tables gets no header."""
    if isinstance(parent, InlineTable):
        return tomlkit.inline_table()
    return tomlkit.table(is_super_table=all(isinstance(value, dict) for value in wanted.values()))
