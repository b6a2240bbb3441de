"""The subset of JSON Schema that structured outputs take.

Refused: recursion, numeric and length limits, `oneOf`, `not`, conditions, external references,
objects that are not closed, too many optional or union-typed parameters.
"""

from dataclasses import dataclass

from simulator.errors import ApiError, invalid
from simulator.wire import Json, JsonValue

MAX_OPTIONAL = 24
MAX_UNIONS = 16
_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_FORMATS = frozenset(
    {
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
    }
)
_KEYWORDS = frozenset(
    {
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "$ref",
        "$defs",
        "definitions",
        "default",
        "description",
        "title",
        "format",
        "minItems",
        "pattern",
        "examples",
        "$schema",
        "$id",
    }
)


def check_output_schema(schema: Json, path: str) -> None:
    """Raises a 400 naming the keyword or limit that does not fit."""
    _Walk(root=schema, path=path).node(schema, ("#",))


def resolve_reference(root: Json, reference: str) -> Json | None:
    """The sub-schema an internal reference such as `#/$defs/Item` names; `#` is the root."""
    target: JsonValue = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            target = target.get(part) if isinstance(target, dict) else None
    return target if isinstance(target, dict) else None


@dataclass(slots=True)
class _Walk:
    """One walk over a schema, with its counts and the references being followed."""

    root: Json
    path: str
    optional: int = 0
    unions: int = 0

    def node(self, schema: JsonValue, following: tuple[str, ...]) -> None:
        """Checks one sub-schema; `following` are the references that led to it."""
        if not isinstance(schema, dict):
            raise invalid(self.path, "every sub-schema must be an object")
        for keyword in schema:
            if keyword not in _KEYWORDS:
                kind = schema.get("type")
                suffix = f"For '{kind}' type, property" if isinstance(kind, str) else "Property"
                raise invalid(self.path, f"{suffix} '{keyword}' is not supported")
        if "$ref" in schema:
            self._reference(schema, following)
            return
        self._types(schema)
        self._object(schema, following)
        self._children(schema, following)

    def _reference(self, schema: Json, following: tuple[str, ...]) -> None:
        reference = schema["$ref"]
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise invalid(self.path, f"external $ref '{reference}' is not supported")
        if reference in following:
            raise invalid(
                self.path, f"Circular reference detected in schema definitions: {reference}"
            )
        named = reference.startswith(("#/$defs/", "#/definitions/"))
        target = resolve_reference(self.root, reference) if named else None
        if target is None:
            raise invalid(self.path, f"$ref '{reference}' cannot be resolved")
        self.node(target, (*following, reference))

    def _types(self, schema: Json) -> None:
        kind = schema.get("type")
        kinds = kind if isinstance(kind, list) else [kind]
        if isinstance(kind, list) or "anyOf" in schema:
            self.unions += 1
            if self.unions > MAX_UNIONS:
                raise ApiError(
                    400,
                    "Schemas contains too many parameters with union types "
                    f"(limit: {MAX_UNIONS} parameters with unions).",
                )
        if kind is None and not any(word in schema for word in ("anyOf", "allOf", "enum", "const")):
            raise invalid(self.path, "Schema type is required")
        if any(item is not None and item not in _TYPES for item in kinds):
            raise invalid(self.path, f"type '{kind}' is not supported")
        form = schema.get("format")
        if form is not None and form not in _FORMATS:
            raise invalid(self.path, f"For 'string' type, format '{form}' is not supported")
        if schema.get("minItems") not in (None, 0, 1):
            raise invalid(
                self.path, "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
            )

    def _object(self, schema: Json, following: tuple[str, ...]) -> None:
        if schema.get("type") != "object":
            return
        if schema.get("additionalProperties") is not False:
            raise invalid(
                self.path,
                "For 'object' type, 'additionalProperties' must be explicitly set to false",
            )
        properties = schema.get("properties") or {}
        required = schema.get("required") or []
        self.optional += sum(1 for name in properties if name not in required)
        if self.optional > MAX_OPTIONAL:
            raise ApiError(
                400,
                "Schemas contains too many optional parameters "
                f"({self.optional}), which would make grammar compilation inefficient "
                f"(limit: {MAX_OPTIONAL}).",
            )
        for child in properties.values():
            self.node(child, following)

    def _children(self, schema: Json, following: tuple[str, ...]) -> None:
        if "items" in schema:
            self.node(schema["items"], following)
        for word in ("anyOf", "allOf"):
            for child in schema.get(word, ()):
                self.node(child, following)
