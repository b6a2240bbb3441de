"""JSON schemas of `response_format` in the subset that structured outputs take.

The subset: objects closed by `additionalProperties: false`, arrays, strings, numbers, booleans,
null, `enum` and `const` of primitives, `anyOf`, internal references without recursion. Keywords
outside it that only narrow a value go into the description, as the official SDK's
`transform_schema` does it; what would change the meaning (maps with free keys, values of any kind,
recursion) raises, so that the caller can fall back to an instruction or refuse.
"""

from gateway import wire
from gateway.protocols.shared.schema_keywords import MAX_DEPTH, TYPES
from gateway.protocols.shared.tool_schemas import resolved
from gateway.wire import JSON, JSONObject

_FORMATS = (
        "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
    )  # fmt: skip
_DEFINITIONS = ("$defs", "definitions")
_MEANINGLESS = frozenset({"$schema", "$id", "$comment", "$anchor", "examples", "nullable"})
_MAX_BRANCHES = 256  # definitions that combine each other could otherwise double at every step
_OF_TYPE = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "minItems", "maxItems", "uniqueItems"),
    "string": ("format", "minLength", "maxLength", "pattern"),
    "integer": ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"),
    "number": ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"),
}


class SchemaMisfitError(ValueError):
    """The schema says something structured outputs cannot; the message says what and where."""


def fit_output_schema(schema: JSONObject) -> JSONObject:
    """`schema` rewritten into the subset. Raises SchemaMisfitError."""
    return _Fitting(schema).node(schema, "$", ())


class _Fitting:
    """One walk over one schema, with the references being followed."""

    def __init__(self, root: JSONObject) -> None:
        self._root = root
        self._sound: set[str] = set()
        self._depth = 0

    def node(self, schema: JSON, path: str, following: tuple[str, ...]) -> JSONObject:
        """The sub-schema at `path`, fitted; `following` are the references that led here."""
        if not isinstance(schema, dict):
            raise SchemaMisfitError(f"{path} must be a schema object")
        if self._depth >= MAX_DEPTH:
            raise SchemaMisfitError(f"it is nested deeper than {MAX_DEPTH} levels")
        self._depth += 1
        fitted = self._fitted(schema, path, following)
        self._depth -= 1
        return fitted

    def _fitted(self, schema: JSONObject, path: str, following: tuple[str, ...]) -> JSONObject:
        rest = {key: value for key, value in schema.items() if key not in _MEANINGLESS}
        out: JSONObject = {}
        for word in _DEFINITIONS:
            named = rest.pop(word, None)
            if isinstance(named, dict):
                out[word] = {
                    name: self.node(item, f"{path}.{word}.{name}", following)
                    for name, item in named.items()
                }
        if schema.get("nullable") is True:
            rest = {"anyOf": [rest, {"type": "null"}]}
        if "$ref" in rest:
            out["$ref"] = self._reference(rest["$ref"], path, following)
            return out
        self._shape(rest, out, path, following)
        self._describe(rest, out)
        return out

    def _reference(self, reference: JSON, path: str, following: tuple[str, ...]) -> str:
        """A sound reference; follows it once to find circles."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise SchemaMisfitError(f"{path} refers to another document")
        if reference in following or reference == "#":
            raise SchemaMisfitError(f"{path} is recursive ({reference})")
        if not reference.startswith(("#/$defs/", "#/definitions/")):
            raise SchemaMisfitError(f"{path} refers to {reference}, which is not a definition")
        if reference not in self._sound:
            target = resolved(self._root, reference)
            if target is None:
                raise SchemaMisfitError(f"{path} refers to {reference}, which does not exist")
            self.node(target, reference, (*following, reference))
            self._sound.add(reference)
        return reference

    def _shape(
        self, rest: JSONObject, out: JSONObject, path: str, following: tuple[str, ...]
    ) -> None:
        """Moves what says the kind of value from `rest` to `out`."""
        if self._literals(rest, out, path):
            return
        if isinstance(rest.get("allOf"), list) and rest["allOf"]:
            merged = self._all_of(rest.pop("allOf"), rest, path, following)
            rest.clear()
            rest.update(merged)
            self._shape(rest, out, path, following)
            return
        kind = rest.get("type")
        variants = rest.get("anyOf") or rest.get("oneOf")
        if isinstance(kind, list):
            self._type_list(rest, out, path, following)
        elif isinstance(variants, list) and "properties" not in rest:
            for word in ("type", "anyOf", "oneOf"):
                rest.pop(word, None)
            out["anyOf"] = [
                self.node(variant, f"{path}.anyOf[{index}]", following)
                for index, variant in enumerate(variants)
            ]
        else:
            self._typed(rest, out, path, following)

    def _literals(self, rest: JSONObject, out: JSONObject, path: str) -> bool:
        values = rest.get("enum")
        if isinstance(values, list) and values:
            out["enum"] = rest.pop("enum")
        if "const" in rest:
            out["const"] = rest.pop("const")
            values = [*(values or []), out["const"]]
        if not values:
            return False
        if any(isinstance(value, (dict, list)) for value in values):
            raise SchemaMisfitError(f"{path} lists values that are objects or arrays")
        rest.pop("type", None)
        return True

    def _all_of(
        self, branches: list[JSON], rest: JSONObject, path: str, following: tuple[str, ...]
    ) -> JSONObject:
        """The branches and the rest as one schema: closed objects cannot be combined otherwise."""
        merged: JSONObject = {}
        for branch in [*branches, rest]:
            target = branch
            if isinstance(branch, dict) and "$ref" in branch:
                target = resolved(self._root, self._reference(branch["$ref"], path, following))
            if not isinstance(target, dict):
                raise SchemaMisfitError(f"{path}.allOf holds something that is no schema")
            for key, value in target.items():
                if key == "properties" and isinstance(merged.get(key), dict):
                    merged[key] = {**merged[key], **optional_dict(value)}
                elif key == "required" and isinstance(merged.get(key), list):
                    merged[key] = [*merged[key], *(value if isinstance(value, list) else [])]
                elif key == "allOf" and isinstance(value, list):
                    merged[key] = [*merged.get(key, ()), *value]
                elif key not in _DEFINITIONS:
                    merged[key] = value
        if len(merged.get("allOf") or ()) > _MAX_BRANCHES:
            raise SchemaMisfitError(f"{path}.allOf has more than {_MAX_BRANCHES} branches")
        return merged

    def _type_list(
        self, rest: JSONObject, out: JSONObject, path: str, following: tuple[str, ...]
    ) -> None:
        """`["string", "null"]`, OpenAI's way to say optional, as `anyOf`."""
        kinds = rest.pop("type")
        own = {
            word: rest.pop(word) for words in _OF_TYPE.values() for word in words if word in rest
        }
        variants = [
            {"type": kind, **{word: own[word] for word in _OF_TYPE.get(kind, ()) if word in own}}
            for kind in dict.fromkeys(kind for kind in kinds if isinstance(kind, str))
        ]
        fitted = [self.node(variant, path, following) for variant in variants]
        if not fitted:
            raise SchemaMisfitError(f"{path} names no type")
        if len(fitted) == 1:
            out.update(fitted[0])
        else:
            out["anyOf"] = fitted

    def _typed(
        self, rest: JSONObject, out: JSONObject, path: str, following: tuple[str, ...]
    ) -> None:
        kind = rest.pop("type", None)
        if kind is None and "properties" in rest:
            kind = "object"
        elif kind is None and "items" in rest:
            kind = "array"
        if kind is None:
            raise SchemaMisfitError(f"{path} admits a value of any kind")
        if not isinstance(kind, str) or kind not in TYPES:
            raise SchemaMisfitError(f"{path} names a type that does not exist")
        out["type"] = kind
        if kind == "object":
            self._object(rest, out, path, following)
        elif kind == "array":
            self._array(rest, out, path, following)
        elif kind == "string" and rest.get("format") in _FORMATS:
            out["format"] = rest.pop("format")

    def _object(
        self, rest: JSONObject, out: JSONObject, path: str, following: tuple[str, ...]
    ) -> None:
        properties = optional_dict(rest.pop("properties", None))
        extra = rest.pop("additionalProperties", None)
        if isinstance(extra, dict) or rest.pop("patternProperties", None):
            raise SchemaMisfitError(f"{path} is a map with free keys")
        if not properties and extra is not False:
            raise SchemaMisfitError(f"{path} is an object without named properties")
        out["properties"] = {
            name: self.node(item, f"{path}.{name}", following) for name, item in properties.items()
        }
        out["additionalProperties"] = False
        required = rest.pop("required", None)
        if isinstance(required, list):
            out["required"] = list(
                dict.fromkeys(
                    name for name in required if isinstance(name, str) and name in properties
                )
            )

    def _array(
        self, rest: JSONObject, out: JSONObject, path: str, following: tuple[str, ...]
    ) -> None:
        if "prefixItems" in rest or isinstance(rest.get("items"), list):
            raise SchemaMisfitError(f"{path} is an array with positions of its own")
        if "items" not in rest:
            raise SchemaMisfitError(f"{path} is an array of anything")
        out["items"] = self.node(rest.pop("items"), f"{path}.items", following)
        if type(rest.get("minItems")) is int and rest["minItems"] in (0, 1):
            out["minItems"] = rest.pop("minItems")

    def _describe(self, rest: JSONObject, out: JSONObject) -> None:
        """Title and description as they are; left-over keywords appended to the description."""
        description = rest.pop("description", None)
        title = rest.pop("title", None)
        texts = [description] if isinstance(description, str) and description else []
        if rest:
            pairs = (f"{key}: {wire.dumps_text(value)}" for key, value in rest.items())
            texts.append("{" + ", ".join(pairs) + "}")
        if texts:
            out["description"] = "\n\n".join(texts)
        if isinstance(title, str):
            out["title"] = title


def optional_dict(value: JSON) -> JSONObject:
    """`value` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}
