"""Upstreams as the settings describe them."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway import wire
from gateway.config.addresses import http_url
from gateway.config.header_texts import header_text

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_TEXTS = ("name", "base_url", "api_key")
_NUMBERS = {"weight": float, "requests_per_minute": int, "concurrent_requests": int}


@dataclass(frozen=True, slots=True)
class UpstreamSpec:
    """An upstream as the settings describe it.

    `weight` is its share of new conversations. `requests_per_minute` and `concurrent_requests` are
    limits of each API process, 0 for none.
    """

    name: str
    base_url: str
    api_key: str = field(repr=False)
    weight: float = 1.0
    requests_per_minute: int = 0
    concurrent_requests: int = 0


def read_upstreams(text: str) -> list[UpstreamSpec]:
    """The upstreams of a JSON list. Raises ValueError with the JSON path and no value."""
    try:
        entries = wire.loads(text.encode())
    except wire.JSONDecodeError:
        raise ValueError("no JSON") from None
    if not isinstance(entries, list) or not entries:
        raise ValueError("$: a list of objects is wanted, with one at least")
    specs = [_read(entry, f"[{index}]") for index, entry in enumerate(entries)]
    names = [spec.name for spec in specs]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f"[{index}].name: another upstream has that name")
    return specs


def _read(entry: Any, path: str) -> UpstreamSpec:
    if not isinstance(entry, dict):
        raise ValueError(f"{path}: an object is wanted")
    for name in entry:
        if name not in _TEXTS and name not in _NUMBERS:
            raise ValueError(f"{path}: has a field that nobody knows")
    for name in _TEXTS:
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise ValueError(f"{path}.{name}: a text is wanted")
    if not _NAME.fullmatch(entry["name"]):
        raise ValueError(f"{path}.name: letters, digits, dots, dashes; 63 at most")
    url = _checked(http_url, entry["base_url"], f"{path}.base_url")
    key = _checked(header_text, entry["api_key"], f"{path}.api_key")
    numbers = {name: _number(entry, name, path) for name in _NUMBERS if name in entry}
    return UpstreamSpec(entry["name"], url, key, **numbers)


def _checked(check: Callable[[str], str], value: str, path: str) -> str:
    try:
        return check(value)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _number(entry: dict[str, Any], name: str, path: str) -> Any:
    value, kind = entry[name], _NUMBERS[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or (kind is int and value != int(value)):
        raise ValueError(f"{path}.{name}: a number is wanted")
    if value < 0 or (name == "weight" and value == 0):
        raise ValueError(f"{path}.{name}: it must not be negative, and a weight not 0")
    return kind(value)
