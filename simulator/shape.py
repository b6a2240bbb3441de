"""Checks of the shape of a JSON body, worded as the API words them.

A check is a function of `(value, path)` that returns nothing or raises a 400. `Fields` checks an
object: required and optional fields, and no others. The words are Pydantic's, because the API's
errors are (`max_tokens: Field required`, `messages.0.content.1.text.text: Field required`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from simulator.errors import invalid
from simulator.wire import Json, JsonValue

Check = Callable[[JsonValue, str], None]


def anything(_value: JsonValue, _path: str) -> None:
    """Accepts every value."""


def nullable(check: Check) -> Check:
    """Also accepts null."""

    def run(value: JsonValue, path: str) -> None:
        if value is not None:
            check(value, path)

    return run


def string(minimum: int = 0, maximum: int | None = None, pattern: str | None = None) -> Check:
    """A string with bounds on its length in characters, and a pattern it must match."""
    compiled = re.compile(pattern) if pattern else None

    def run(value: JsonValue, path: str) -> None:
        if not isinstance(value, str):
            raise invalid(path, "Input should be a valid string")
        if len(value) < minimum:
            raise invalid(path, f"String should have at least {minimum} character")
        if maximum is not None and len(value) > maximum:
            raise invalid(path, f"String should have at most {maximum} characters")
        if compiled is not None and not compiled.fullmatch(value):
            raise invalid(path, f"String should match pattern '{pattern}'")

    return run


def boolean(value: JsonValue, path: str) -> None:
    """true or false."""
    if not isinstance(value, bool):
        raise invalid(path, "Input should be a valid boolean")


def integer(minimum: int | None = None, maximum: int | None = None) -> Check:
    """A whole number in bounds."""

    def run(value: JsonValue, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid(path, "Input should be a valid integer")
        if minimum is not None and value < minimum:
            raise invalid(path, f"Input should be greater than or equal to {minimum}")
        if maximum is not None and value > maximum:
            raise invalid(path, f"Input should be less than or equal to {maximum}")

    return run


def number(value: JsonValue, path: str) -> None:
    """A number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(path, "Input should be a valid number")


def one_of(*choices: str) -> Check:
    """One of some strings."""
    quoted = [f"'{choice}'" for choice in choices]
    listed = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"

    def run(value: JsonValue, path: str) -> None:
        if value not in choices:
            raise invalid(path, f"Input should be {listed}")

    return run


def mapping(value: JsonValue, path: str) -> None:
    """Any JSON object."""
    if not isinstance(value, dict):
        raise invalid(path, "Input should be a valid dictionary")


def array(check: Check, maximum: int | None = None) -> Check:
    """A list whose items pass a check."""

    def run(value: JsonValue, path: str) -> None:
        if not isinstance(value, list):
            raise invalid(path, "Input should be a valid list")
        if maximum is not None and len(value) > maximum:
            raise invalid(path, f"List should have at most {maximum} items after validation")
        for index, item in enumerate(value):
            check(item, f"{path}.{index}")

    return run


@dataclass(frozen=True, slots=True)
class Fields:
    """A check of an object by its fields; others than the named ones are refused."""

    required: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)

    def __call__(self, value: JsonValue, path: str) -> None:
        """Runs the check."""
        mapping(value, path)
        prefix = f"{path}." if path else ""
        for name, check in self.required.items():
            if name not in value:
                raise invalid(prefix + name, "Field required")
            check(value[name], prefix + name)
        for name, item in value.items():
            if name in self.required:
                continue
            known = self.optional.get(name)
            if known is None:
                raise invalid(prefix + name, "Extra inputs are not permitted")
            known(item, prefix + name)


@dataclass(frozen=True, slots=True)
class Tagged:
    """A check of an object by its `type`; the path of a fault carries the tag."""

    variants: Mapping[str, Check]
    default: str | None = None

    def __call__(self, value: JsonValue, path: str) -> None:
        """Runs the check of the variant."""
        mapping(value, path)
        tag = self.tag(value, path)
        self.variants[tag](value, f"{path}.{tag}")

    def tag(self, value: Json, path: str) -> str:
        """The variant's name; raises when it is missing or unknown."""
        tag = value.get("type") or self.default
        if tag is None:
            raise invalid(f"{path}.type", "Field required")
        if not isinstance(tag, str) or tag not in self.variants:
            listed = ", ".join(f"'{name}'" for name in self.variants)
            raise invalid(
                path,
                f"Input tag '{tag}' found using 'type' does not match any of the expected tags: "
                f"{listed}",
            )
        return tag
