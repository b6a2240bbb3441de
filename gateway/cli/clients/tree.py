"""What a client's configuration must hold, and what a file becomes when it does.

A wanted tree is a plain dict whose leaves are set; everything else in the file stays. Two marks
say more: `Default` sets a value only where none stands, and `Records` is a list of objects that
are told apart by one of their fields.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.errors import GatewayError

Tree: TypeAlias = dict[str, Any]
"""Decoded configuration: dicts, lists and scalars; wanted trees also hold the marks below."""


class EditError(GatewayError):
    """A configuration file that cannot be read or changed safely; nothing was written."""

    code = "configuration_error"


@dataclass(frozen=True, slots=True)
class Default:
    """A value for a new file or entry, never put in the place of another one."""

    value: Any


@dataclass(frozen=True, slots=True)
class Records:
    """Objects of a list that must be there; `key` is the field that names them."""

    key: str
    items: tuple[Tree, ...]


def plain(wanted: Any) -> Any:
    """A wanted value as ordinary data, for a place where nothing stands yet."""
    if isinstance(wanted, Default):
        return wanted.value
    if isinstance(wanted, Records):
        return [plain(item) for item in wanted.items]
    if isinstance(wanted, dict):
        return {key: plain(value) for key, value in wanted.items()}
    return wanted


def merged(old: Tree, wanted: Tree, where: str = "") -> Tree:
    """`old` with everything that is wanted. Raises EditError when a list or table is in the way.

    A null counts as nothing: clients write it for settings that were cleared.
    """
    new = dict(old)
    for key, value in wanted.items():
        new[key] = _merged_value(old.get(key), value, f"{where}.{key}" if where else key)
    return new


def _merged_value(old: Any, wanted: Any, where: str) -> Any:
    if old is None:
        return plain(wanted)
    if isinstance(wanted, Default):
        return old
    if isinstance(wanted, dict):
        if not isinstance(old, dict):
            raise EditError(f"`{where}` holds something else than a table")
        return merged(old, wanted, where)
    if isinstance(wanted, Records):
        if not isinstance(old, list):
            raise EditError(f"`{where}` holds something else than a list")
        return _merged_list(old, wanted, where)
    return wanted


def _merged_list(old: list[Any], wanted: Records, where: str) -> list[Any]:
    new = list(old)
    for item in wanted.items:
        position = position_of(old, wanted.key, item[wanted.key])
        if position is None:
            new.append(plain(item))
        else:
            new[position] = merged(old[position], item, f"{where}[{position}]")
    return new


def position_of(entries: list[Any], key: str, value: Any) -> int | None:
    """Where the object with that field stands in a list; None when it is not there."""
    for position, entry in enumerate(entries):
        if isinstance(entry, dict) and entry.get(key) == value:
            return position
    return None
