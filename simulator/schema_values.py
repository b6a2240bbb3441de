"""A JSON value that satisfies a JSON schema: tool arguments and structured outputs.

Values are chosen by the property's name where that tells what is meant (a path, a command, a
search pattern), else by type. Only required properties are filled, plus those given as `known`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.validation.output_schema import resolve_reference
from simulator.wire import Json, JsonValue

_DEPTH = 12  # a recursive schema stops here
_FORMATS: dict[str, str] = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "duration": "PT1M",
    "email": "someone@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


@dataclass(frozen=True, slots=True)
class Hints:
    """Texts for properties by what their names mean: path, command, pattern, content, old, new."""

    values: Mapping[str, str] = field(default_factory=dict)
    fallback: str = "value"

    def text(self, name: str) -> str:
        """The text for a string property."""
        meaning = meaning_of(name)
        return self.values.get(meaning, self.fallback) if meaning else self.fallback


_MEANINGS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("old", re.compile(r"^(old|search|find|before|original)(_?(str|string|text|content))?$")),
    ("new", re.compile(r"^(new|replace|replacement|after)(_?(str|string|text|content))?$")),
    ("directory", re.compile(r"(dir|directory|folder|cwd|root)")),
    ("path", re.compile(r"(path|file|filename|uri|target|paths|files)")),
    ("command", re.compile(r"(command|cmd|script|shell)")),
    ("pattern", re.compile(r"(pattern|query|regex|glob|search|symbol)")),
    ("content", re.compile(r"(content|text|body|code|diff|patch|edit|input|data)")),
    ("reason", re.compile(r"(explanation|reason|description|instruction|title|summary|purpose)")),
)


def meaning_of(name: str) -> str:
    """What a property name stands for; empty when it does not say."""
    snake = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
    for meaning, pattern in _MEANINGS:
        if pattern.search(snake):
            return meaning
    return ""


def value_for(schema: JsonValue, hints: Hints) -> JsonValue:
    """A value of the schema."""
    root = schema if isinstance(schema, dict) else {}
    return _Maker(root, hints).make(schema, "", 0)


@dataclass(frozen=True, slots=True)
class _Maker:
    root: Json
    hints: Hints

    def make(self, schema: JsonValue, name: str, depth: int) -> JsonValue:
        """A value of a sub-schema; `name` is the property it is for."""
        if not isinstance(schema, dict) or depth > _DEPTH:
            return self.hints.text(name)
        fixed = [schema[keyword] for keyword in ("const", "default") if keyword in schema]
        fixed += schema.get("enum") or []
        if fixed:
            return fixed[0]
        inner = self._inner(schema)
        if inner is not None:
            return self.make(inner, name, depth + 1)
        return self._typed(schema, name, depth)

    def _inner(self, schema: Json) -> JsonValue:
        """The sub-schema that stands for this one, if it is a reference or a combination."""
        if "$ref" in schema:
            return resolve_reference(self.root, schema["$ref"]) or {}
        for keyword in ("anyOf", "oneOf"):
            if schema.get(keyword):
                return _first_solid(schema[keyword])
        return _merged(schema) if schema.get("allOf") else None

    def _typed(self, schema: Json, name: str, depth: int) -> JsonValue:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((item for item in kind if item != "null"), "null")
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in ("integer", "number"):
            return _number(schema)
        if kind == "boolean":
            return False
        if kind == "null":
            return None
        return self._text(schema, name)

    def _object(self, schema: Json, depth: int) -> Json:
        properties = schema.get("properties") or {}
        return {
            name: self.make(properties.get(name, {}), name, depth + 1)
            for name in _ordered(properties, schema.get("required") or [])
        }

    def _array(self, schema: Json, name: str, depth: int) -> list[JsonValue]:
        if "prefixItems" in schema:
            return [self.make(item, name, depth + 1) for item in schema["prefixItems"]]
        count = max(int(schema.get("minItems", 1)), 1)
        return [self.make(schema.get("items", {}), name, depth + 1) for _ in range(count)]

    def _text(self, schema: Json, name: str) -> str:
        form = schema.get("format")
        if form in _FORMATS:
            return _FORMATS[form]
        text = self.hints.text(name)
        minimum = int(schema.get("minLength", 0))
        text = text + "x" * max(minimum - len(text), 0)
        return text[: int(schema.get("maxLength", len(text)))]


def _ordered(properties: Json, required: list[str]) -> list[str]:
    """Required names in the order of the schema, then required ones it does not describe."""
    listed = [name for name in properties if name in required]
    return listed + [name for name in required if name not in properties]


def _first_solid(options: list[JsonValue]) -> JsonValue:
    solid = [item for item in options if isinstance(item, dict) and item.get("type") != "null"]
    return solid[0] if solid else options[0]


def _merged(schema: Json) -> Json:
    merged: Json = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        if isinstance(part, dict):
            for key, value in part.items():
                if key == "properties":
                    merged["properties"] = {**merged.get("properties", {}), **value}
                elif key == "required":
                    merged["required"] = [*merged.get("required", []), *value]
                else:
                    merged.setdefault(key, value)
    return merged


def _number(schema: Json) -> int | float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    if isinstance(low, int | float) and not isinstance(low, bool):
        return low + (1 if "exclusiveMinimum" in schema else 0)
    high = schema.get("maximum")
    if isinstance(high, int | float) and high < 1:
        return high
    return 1
